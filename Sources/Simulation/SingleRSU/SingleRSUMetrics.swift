public import Support

/// Measures of an episode of the single-RSU model.
///
/// Delays are means over tasks, backlogs means over slots of Q(t) at the slot's start, summed over queues.
public struct SingleRSUMetrics: EpisodeMetrics {
  public static let columns = [
    "return", "mean_delay_s", "p95_delay_s", "local_delay_s", "transmit_delay_s", "edge_delay_s",
    "backlog_client_gflop", "backlog_rsu_gflop", "backlog_service_gflop", "share_local",
    "share_rsu", "share_service",
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

  public var fields: [CSVField] {
    guard let scenario = situation?.scenario else {
      return [CSVField](repeating: .missing, count: SingleRSUMetrics.columns.count)
    }
    let tasks = Double(delays.count)
    func backlog(_ queues: Range<Int>) -> Double {
      backlogSums[queues].reduce(0, +) / Double(slots)
    }
    let types = scenario.clients..<scenario.clients + scenario.types
    let serviceTasks = delays.count - localTasks - rsuTasks
    let values = [
      rewardSum, Statistics.mean(delays), Statistics.quantile(delays, 0.95), localSum / tasks,
      transmitSum / tasks, edgeSum / tasks, backlog(0..<scenario.clients), backlog(types),
      backlog(types.upperBound..<scenario.queues), Double(localTasks) / tasks,
      Double(rsuTasks) / tasks, Double(serviceTasks) / tasks,
    ]
    return values.map { .number($0) }
  }
}
