internal import Support

/// Measures of an episode of the single-RSU model.
///
/// Delays are means over tasks, backlogs means over slots of Q(t) at the slot's start, summed over queues.
public struct SingleRSUMetrics: EpisodeMetrics {
  public static let comparedBy = "mean_delay_s"

  public static let measures: [EpisodeMeasure<SingleRSUMetrics>] = [
    .init("return", "", "Sum of the rewards; no measure of performance.") { $0.returnSum },
    .init("mean_delay_s", "s", "Mean delay of a task.") { $0.perTask($0.delays.reduce(0, +)) },
    .init("p95_delay_s", "s", "95th percentile of the delays.") { $0.delayQuantile(0.95) },
    .init("local_delay_s", "s", "Mean local part of a delay.") { $0.perTask($0.localSum) },
    .init("transmit_delay_s", "s", "Mean transmission part.") { $0.perTask($0.transmitSum) },
    .init("edge_delay_s", "s", "Mean part at RSU or service vehicle.") { $0.perTask($0.edgeSum) },
    .init("backlog_client_gflop", "GFLOP", "Mean backlog of all clients.") { $0.backlog(.client) },
    .init("backlog_rsu_gflop", "GFLOP", "Mean backlog of the RSU.") { $0.backlog(.rsu) },
    .init("backlog_service_gflop", "GFLOP", "Mean backlog of all service vehicles.") {
      $0.backlog(.service)
    },
    .init("share_local", "share", "Tasks done locally.") { $0.perTask(Double($0.localTasks)) },
    .init("share_rsu", "share", "Tasks that end at the RSU.") { $0.perTask(Double($0.rsuTasks)) },
    .init("share_service", "share", "Tasks that end at a service vehicle.") {
      $0.perTask(Double($0.delays.count - $0.localTasks - $0.rsuTasks))
    },
  ]

  /// Mean backlog of each queue and the vehicle that has it: `backlogs.csv`.
  public static let tables: [EpisodeTable<SingleRSUMetrics>] = [
    EpisodeTable(
      file: "backlogs.csv", columns: ["queue", "vehicle", "mean_backlog_gflop"],
      textColumns: ["queue", "vehicle"],
      rows: { metrics in
        guard let situation = metrics.situation else { return [] }
        let scenario = situation.scenario
        return (0..<scenario.queues).map { queue in
          let vehicle: CSVField =
            if queue < scenario.clients {
              .text(situation.vehicleName(client: queue))
            } else if queue < scenario.clients + scenario.types {
              .missing
            } else {
              .text(situation.vehicleName(node: queue - scenario.clients - scenario.types + 1))
            }
          return [
            .text(scenario.queueName(queue)), vehicle,
            .number(metrics.backlogSums[queue] / Double(metrics.slots)),
          ]
        }
      })
  ]

  private var situation: SlotSituation?
  private var slots = 0
  private var rewardSum = 0.0
  private var delays: [Double] = []
  private var localSum = 0.0
  private var transmitSum = 0.0
  private var edgeSum = 0.0
  private var localTasks = 0
  private var rsuTasks = 0
  private var backlogSums: [Double] = []

  public init() {}

  public mutating func add(_ outcome: SlotOutcome) {
    if situation == nil {
      situation = outcome.situation
      backlogSums = [Double](repeating: 0, count: outcome.queues.count)
      delays.reserveCapacity(outcome.tasks.count * outcome.situation.scenario.slots)
    }
    slots += 1
    rewardSum += outcome.reward
    for task in outcome.tasks {
      delays.append(task.delay)
      localSum += task.localDelay
      transmitSum += task.transmitDelay
      edgeSum += task.edgeDelay
      if !task.isRemote {
        localTasks += 1
      } else if task.node == 0 {
        rsuTasks += 1
      }
    }
    for i in outcome.queues.indices { backlogSums[i] += outcome.queues[i].backlog }
  }

  private enum QueueKind { case client, rsu, service }

  /// Sum of the rewards; nil before the first slot.
  private var returnSum: Double? { situation == nil ? nil : rewardSum }

  /// A sum over tasks, divided by their number.
  private func perTask(_ sum: Double) -> Double? {
    delays.isEmpty ? nil : sum / Double(delays.count)
  }

  private func delayQuantile(_ share: Double) -> Double? {
    delays.isEmpty ? nil : Statistics.quantile(delays, share)
  }

  /// Backlog summed over the queues of a kind, mean over slots.
  private func backlog(_ kind: QueueKind) -> Double? {
    guard let scenario = situation?.scenario else { return nil }
    let types = scenario.clients..<scenario.clients + scenario.types
    let queues =
      switch kind {
      case .client: 0..<scenario.clients
      case .rsu: types
      case .service: types.upperBound..<scenario.queues
      }
    return backlogSums[queues].reduce(0, +) / Double(slots)
  }
}
