public import Support

/// Measures of one episode of the road model; empty where there is nothing to average.
public struct RoadRSUMetrics: EpisodeMetrics {
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

    func mean(_ sum: Double) -> CSVField { RoadRSUMetrics.ratio(sum, tasks) }
  }

  public static let columns = [
    "tasks", "return", "mean_delay_s", "p95_delay_s", "local_delay_s", "transmit_delay_s",
    "edge_delay_s", "mean_queue_wait_s", "mean_queue_length", "mean_energy_j", "mean_objective",
    "mean_cost", "miss_share", "share_local", "share_out_of_range", "low_battery_tasks",
    "low_battery_delay_s", "low_battery_energy_j", "low_battery_cost", "low_battery_miss_share",
    "high_battery_tasks", "high_battery_delay_s", "high_battery_energy_j", "high_battery_cost",
    "high_battery_miss_share",
  ]

  private var all = Totals()
  /// Battery level at most 1/3, where α is 3.
  private var low = Totals()
  private var high = Totals()
  private var delays: [Double] = []
  private var localTime = 0.0
  private var transmitTime = 0.0
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
    localTime += outcome.costs.localTime
    if outcome.costs.localFLOP > 0 { localTime += outcome.situation.localWait }
    transmitTime += outcome.costs.transmitTime
    queueLength += outcome.meanQueueLength
    if outcome.link != nil {
      remote += 1
      queueWait += outcome.costs.queueWait
    }
    if outcome.situation.links.isEmpty { outOfRange += 1 }
  }

  private static func ratio(_ sum: Double, _ count: Int) -> CSVField {
    count == 0 ? .missing : .number(sum / Double(count))
  }

  public var fields: [CSVField] {
    var fields: [CSVField] = [
      .integer(all.tasks), .number(0 - all.cost), all.mean(all.delay),
      delays.isEmpty ? .missing : .number(Statistics.quantile(delays, 0.95)),
      all.mean(localTime), all.mean(transmitTime),
      all.mean(all.delay - localTime - transmitTime), RoadRSUMetrics.ratio(queueWait, remote),
      all.mean(queueLength), all.mean(all.energy), all.mean(all.objective), all.mean(all.cost),
      all.mean(Double(all.missed)), all.mean(Double(all.tasks - remote)),
      all.mean(Double(outOfRange)),
    ]
    for part in [low, high] {
      fields += [
        .integer(part.tasks), part.mean(part.delay), part.mean(part.energy), part.mean(part.cost),
        part.mean(Double(part.missed)),
      ]
    }
    return fields
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
        "f_vehicle_hz", "f_rsu_hz", "queue_wait_s", "local_s", "transmit_s", "remote_s", "delay_s",
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
        .number(outcome.decision.vehicleFrequency),
        link == nil ? .missing : .number(outcome.decision.rsuFrequency),
        .number(costs.queueWait), .number(costs.localTime), .number(costs.transmitTime),
        .number(costs.remoteTime), .number(costs.delay), .number(situation.battery),
        .number(situation.alpha), .number(costs.vehicleEnergy), .number(costs.transmitEnergy),
        .number(costs.rsuEnergy), .number(costs.energy), .integer(costs.missed ? 1 : 0),
        .number(costs.cost),
      ])
    }
  ]
}
