internal import Support

/// Measures of one episode of the road model; empty where there is nothing to average.
public struct RoadRSUMetrics: EpisodeMetrics {
  public static let comparedBy = "mean_cost"

  /// Sums over some of the tasks.
  private struct Totals {
    var tasks = 0
    var delay = 0.0
    var energy = 0.0
    var objective = 0.0
    var cost = 0.0
    var missed = 0

    mutating func add(_ costs: TaskCost) {
      tasks += 1
      delay += costs.delay
      energy += costs.energy
      objective += costs.objective
      cost += costs.cost
      if costs.missed { missed += 1 }
    }

    func mean(_ sum: Double) -> Double? { RoadRSUMetrics.ratio(sum, tasks) }
    var meanDelay: Double? { mean(delay) }
    var meanEnergy: Double? { mean(energy) }
    var meanCost: Double? { mean(cost) }
    var missShare: Double? { mean(Double(missed)) }
  }

  public static let measures: [EpisodeMeasure<RoadRSUMetrics>] = [
    .init(counting: "tasks", "Tasks of the episode.") { $0.all.tasks },
    .init("return", "", "Sum of the rewards: the costs, negative.") { 0 - $0.all.cost },
    .init("mean_delay_s", "s", "Mean delay of a task.") { $0.all.meanDelay },
    .init("p95_delay_s", "s", "95th percentile of the delays.") { $0.delayQuantile(0.95) },
    .init(
      "local_delay_s", "s", "Mean local part; with localQueue, the wait for the own processor too."
    ) {
      $0.all.mean($0.localTime)
    },
    .init("transmit_delay_s", "s", "Mean transmission part.") { $0.all.mean($0.transmitTime) },
    .init(
      "edge_delay_s", "s",
      "Mean part at the RSU: its service, and the wait for it once the data are there."
    ) {
      $0.all.mean($0.edgeTime)
    },
    .init(
      "mean_queue_wait_s", "s", "Mean queueing time (17) of the tasks that were sent to an RSU."
    ) {
      ratio($0.queueWait, $0.remote)
    },
    .init(
      "mean_queue_length", "tasks",
      "Tasks at an RSU that are not finished, mean over all RSUs and over the decisions."
    ) {
      $0.all.mean($0.queueLength)
    },
    .init("mean_energy_j", "J", "Mean weighted energy of a task.") { $0.all.meanEnergy },
    .init("mean_objective", "", "Mean of the objective.") { $0.all.mean($0.all.objective) },
    .init("mean_cost", "", "Mean cost, penalty of missed deadlines included.") { $0.all.meanCost },
    .init("miss_share", "share", "Tasks that missed their deadline.") { $0.all.missShare },
    .init("share_local", "share", "Tasks done locally.") {
      $0.all.mean(Double($0.all.tasks - $0.remote))
    },
    .init("share_out_of_range", "share", "Tasks decided out of every RSU's range.") {
      $0.all.mean(Double($0.outOfRange))
    },
    .init(counting: "low_battery_tasks", "Tasks with a battery of at most 1/3.") { $0.low.tasks },
    .init("low_battery_delay_s", "s", "Mean delay of these.") { $0.low.meanDelay },
    .init("low_battery_energy_j", "J", "Mean weighted energy of these.") { $0.low.meanEnergy },
    .init("low_battery_cost", "", "Mean cost of these.") { $0.low.meanCost },
    .init("low_battery_miss_share", "share", "Missed deadlines of these.") { $0.low.missShare },
    .init(counting: "high_battery_tasks", "Tasks with a battery above 1/3.") { $0.high.tasks },
    .init("high_battery_delay_s", "s", "Mean delay of these.") { $0.high.meanDelay },
    .init("high_battery_energy_j", "J", "Mean weighted energy of these.") { $0.high.meanEnergy },
    .init("high_battery_cost", "", "Mean cost of these.") { $0.high.meanCost },
    .init("high_battery_miss_share", "share", "Missed deadlines of these.") { $0.high.missShare },
  ]

  private var all = Totals()
  /// Battery level at most 1/3, where α is 3.
  private var low = Totals()
  private var high = Totals()
  private var delays: [Double] = []
  private var localTime = 0.0
  private var transmitTime = 0.0
  private var edgeTime = 0.0
  private var queueWait = 0.0
  private var queueLength = 0.0
  private var remote = 0
  private var outOfRange = 0

  public init() {}

  public mutating func add(_ outcome: DecidedTask) {
    all.add(outcome.costs)
    if outcome.situation.battery > 1.0 / 3.0 {
      high.add(outcome.costs)
    } else {
      low.add(outcome.costs)
    }
    delays.append(outcome.costs.delay)
    localTime += outcome.localWait + outcome.costs.localTime
    transmitTime += outcome.costs.transmitTime
    edgeTime += outcome.edgeTime
    queueLength += outcome.meanQueueLength
    if outcome.link != nil {
      remote += 1
      queueWait += outcome.costs.queueWait
    }
    if outcome.situation.links.isEmpty { outOfRange += 1 }
  }

  private static func ratio(_ sum: Double, _ count: Int) -> Double? {
    count == 0 ? nil : sum / Double(count)
  }

  private func delayQuantile(_ share: Double) -> Double? {
    delays.isEmpty ? nil : Statistics.quantile(delays, share)
  }
}

extension RoadRSUEnvironment {
  public typealias Metrics = RoadRSUMetrics

  public static let logs = [
    OutcomeLog<DecidedTask>(
      file: "tasks.csv",
      columns: [
        "episode", "task", "vehicle", "dnn", "release_s", "decision_s", "deadline_s", "rsu",
        "distance_m", "fading", "rate_bps", "cut", "local_gflop", "remote_gflop", "cut_bits",
        "f_vehicle_hz", "f_rsu_hz", "queue_wait_s", "local_wait_s", "local_s", "transmit_s",
        "remote_s", "delay_s",
        "battery", "alpha", "vehicle_j", "transmit_j", "rsu_j", "energy_j", "missed", "cost",
      ],
      textColumns: ["vehicle", "dnn"]
    ) { outcome, episode, writer in
      let situation = outcome.situation
      let costs = outcome.costs
      let link = outcome.link
      writer.append([
        .integer(episode), .integer(situation.task), .text(outcome.vehicleName),
        .text(outcome.dnn), .number(situation.release), .number(situation.decision),
        .number(situation.deadline), .integer(link?.rsu ?? 0),
        link.map { .number($0.distance) } ?? .missing, link.map { .number($0.fading) } ?? .missing,
        link.map { .number($0.rate) } ?? .missing, .integer(outcome.decision.cut),
        .number(costs.localFLOP / 1e9), .number(costs.remoteFLOP / 1e9), .number(costs.cutBits),
        costs.localFLOP > 0 ? .number(outcome.decision.vehicleFrequency) : .missing,
        link == nil ? .missing : .number(outcome.decision.rsuFrequency),
        .number(costs.queueWait), .number(outcome.localWait), .number(costs.localTime),
        .number(costs.transmitTime),
        .number(costs.remoteTime), .number(costs.delay), .number(situation.battery),
        .number(situation.alpha), .number(costs.vehicleEnergy), .number(costs.transmitEnergy),
        .number(costs.rsuEnergy), .number(costs.energy), .integer(costs.missed ? 1 : 0),
        .number(costs.cost),
      ])
    }
  ]
}
