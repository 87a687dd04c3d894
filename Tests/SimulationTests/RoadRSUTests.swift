import Foundation
import Simulation
import Support
import Testing
import Trace

/// A network of two fully connected layers: 3.0 GFLOP on 9.6 Mbit, then 7.0 GFLOP on 160 kbit.
///
/// (2 · 300,000 - 1) · 5000 = 2,999,995,000 and (2 · 5000 - 1) · 700,000 = 6,999,300,000.
private let pair = """
  name,kind,in_features,out_features
  first,fc,300000,5000
  second,fc,5000,700000
  """

private func profiles() throws -> [String: DNNProfile] {
  ["pair": try DNNProfile(name: "pair", table: CSVTable(text: pair, file: "pair.csv"))]
}

private func parameters(
  _ given: [String: ParameterValue] = [:]
) throws -> ParameterValues {
  var values: [String: ParameterValue] = [
    "dnnTypes": .list([.text("pair")]), "vehicles": .integer(2), "slots": .integer(20),
    "releaseRate": .number(10), "rsuPositions": .list([.list([.number(0), .number(30)])]),
    "rsuHeight": .number(0),
  ]
  values.merge(given) { $1 }
  return try ParameterValues(schema: RoadRSUEnvironment.parameters, setting: values)
}

/// Vehicles that stand at points; `releaseRate` 10 at slots of 0.1 s: each releases a task in every slot.
private func standing(_ points: [(x: Double, y: Double)], slots: Int = 20) -> TraceWindow {
  let rows = (0..<slots).flatMap { _ in points }
  return TraceWindow(
    startTime: 100, slotLength: 0.1, slots: slots, vehicles: Array(points.indices),
    names: points.indices.map { "car\($0)" }, x: rows.map(\.x), y: rows.map(\.y),
    speed: rows.map { _ in 0 })
}

private let axis = RoadAxis(
  originX: 0, originY: 0, directionX: 1, directionY: 0, start: -1000, end: 1000)

private func environment(
  _ given: [String: ParameterValue] = [:], points: [(x: Double, y: Double)] = [(0, 0), (40, 0)],
  seed: UInt64 = 1
) throws -> RoadRSUEnvironment {
  var given = given
  given["vehicles"] = .integer(points.count)
  return try RoadRSUEnvironment(
    parameters: parameters(given), profiles: profiles(), seed: seed, axis: axis,
    windows: [standing(points)])
}

/// A situation with one RSU in range at a rate of 16 Mbit/s, for the equations alone.
private func situation(
  wait: Double = 0, alpha: Double = 1, deadline: Double = 100, rate: Double = 16e6,
  localWait: Double = 0
) -> TaskSituation {
  TaskSituation(
    type: 0, deadline: deadline, battery: 1, alpha: alpha, localWait: localWait,
    links: [
      RSULink(
        rsu: 1, distance: 50, along: 30, fading: 1, rate: rate, queueWait: wait, queueLength: 0,
        broadcastWait: 0)
    ], diverted: 0)
}

private func isClose(_ a: Double, _ b: Double, _ tolerance: Double = 1e-12) -> Bool {
  abs(a - b) <= tolerance * max(abs(a), abs(b), 1e-300)
}

@Suite struct RoadEquationTests {
  private let model: TaskModel

  init() throws { model = try environment().model }

  private func cost(
    _ situation: TaskSituation, _ cut: Int, _ vehicle: Double = 3e9, _ rsu: Double = 7e9
  ) throws -> TaskCost {
    try model.cost(
      of: TaskDecision(
        cut: cut, rsu: cut == 2 ? 0 : 1, vehicleFrequency: vehicle, rsuFrequency: rsu),
      in: situation)
  }

  @Test func allRemoteIsTransmissionAndService() throws {
    // 9.6 Mbit at 16 Mbit/s take 0.6 s; 9.999295 GFLOP at 7 GHz take 1.428470714... s.
    let costs = try cost(situation(), 0)
    #expect(costs.localTime == 0 && costs.vehicleEnergy == 0)
    #expect(isClose(costs.transmitTime, 0.6))
    #expect(isClose(costs.remoteTime, 9_999_295_000 / 7e9))
    #expect(isClose(costs.delay, 0.6 + 1.4284707142857143))
    // e_trans = 0.2 W for 0.6 s; e_RSU = 1e-26 · 9.999295e9 · 49e18 = 4899.65455 J.
    #expect(isClose(costs.transmitEnergy, 0.12))
    #expect(isClose(costs.rsuEnergy, 4899.65455))
    #expect(isClose(costs.energy, 4899.77455))
    #expect(isClose(costs.objective, 2.0284707142857143 + 3e-4 * 4899.77455))
    #expect(costs.cost == costs.objective && !costs.missed)
  }

  @Test func allLocalIsComputingAlone() throws {
    // 9.999295 GFLOP at 3 GHz: 3.333098333... s; 1e-26 · 9.999295e9 · 9e18 = 899.93655 J.
    let costs = try cost(situation(wait: 50, alpha: 2), 2)
    #expect(isClose(costs.delay, 3.3330983333333333))
    #expect(isClose(costs.vehicleEnergy, 899.93655))
    #expect(isClose(costs.energy, 2 * 899.93655))
    #expect(costs.queueWait == 0 && costs.cutBits == 0)
    #expect(costs.transmitTime == 0 && costs.remoteTime == 0 && costs.rsuEnergy == 0)
  }

  @Test func transmissionIsTheBottleneck() throws {
    // Local 0.999998333... s, then 160 kbit at 16 Mbit/s in 10 ms; the queue of 0.5 s is over before.
    let costs = try cost(situation(wait: 0.5), 1)
    #expect(isClose(costs.localTime, 0.9999983333333333))
    #expect(isClose(costs.transmitTime, 0.01))
    #expect(isClose(costs.remoteTime, 0.9999))
    #expect(isClose(costs.delay, 0.9999983333333333 + 0.01 + 0.9999))
  }

  @Test func queueIsTheBottleneck() throws {
    let costs = try cost(situation(wait: 4.5), 1)
    #expect(costs.queueWait == 4.5)
    #expect(isClose(costs.delay, 4.5 + 0.9999))
  }

  @Test func frequenciesScaleTimeAndEnergy() throws {
    let costs = try cost(situation(alpha: 3), 1, 1.5e9, 3.5e9)
    #expect(isClose(costs.localTime, 2 * 0.9999983333333333))
    #expect(isClose(costs.remoteTime, 2 * 0.9999))
    // κ C f²: 1e-26 · 2.999995e9 · 2.25e18 and 1e-26 · 6.9993e9 · 12.25e18.
    #expect(isClose(costs.vehicleEnergy, 67.4998875))
    #expect(isClose(costs.rsuEnergy, 857.41425))
    #expect(isClose(costs.energy, 3 * (67.4998875 + 0.002) + 857.41425))
  }

  @Test func aMissedDeadlineCostsThePenalty() throws {
    let met = try cost(situation(deadline: 3.34), 2)
    let missed = try cost(situation(deadline: 3.33), 2)
    #expect(!met.missed && missed.missed)
    #expect(met.cost == met.objective)
    #expect(isClose(missed.cost, met.objective + 5))
    let free = try environment(["missedPenalty": .none]).model
    let decision = TaskDecision(cut: 2, rsu: 0, vehicleFrequency: 3e9, rsuFrequency: 7e9)
    let unpunished = try free.cost(of: decision, in: situation(deadline: 3.33))
    #expect(unpunished.missed && unpunished.cost == unpunished.objective)
  }

  @Test func aDeadlineReachedExactlyIsMet() throws {
    let delay = try cost(situation(), 2).delay
    #expect(try !cost(situation(deadline: delay), 2).missed)
    #expect(try cost(situation(deadline: delay.nextDown), 2).missed)
  }

  @Test func batteryCoefficientOnBothSidesOfAThird() {
    #expect(TaskConstants.batteryCoefficient(1) == 1)
    #expect(TaskConstants.batteryCoefficient(0.5) == 2)
    #expect(TaskConstants.batteryCoefficient(1.0 / 3.0) == 3)
    #expect(TaskConstants.batteryCoefficient((1.0 / 3.0).nextUp) < 3.0000001)
    #expect(TaskConstants.batteryCoefficient(0.2) == 3)
    #expect(TaskConstants.batteryCoefficient(0.01) == 3)
  }

  @Test func ownQueueDelaysLocalWorkOnly() throws {
    let waiting = situation(localWait: 2)
    #expect(isClose(try cost(waiting, 2).delay, 2 + 3.3330983333333333))
    #expect(isClose(try cost(waiting, 1).delay, 2 + 0.9999983333333333 + 0.01 + 0.9999))
    #expect(try cost(waiting, 0).delay == cost(situation(), 0).delay)
  }

  @Test func impossibleDecisionsAreRefused() throws {
    func problem(_ decision: TaskDecision) -> String? {
      do {
        _ = try model.cost(of: decision, in: situation())
        return nil
      } catch { return (error as? InputError)?.key }
    }
    func decision(
      cut: Int = 1, rsu: Int = 1, _ vehicle: Double = 3e9, _ server: Double = 7e9
    ) -> TaskDecision {
      TaskDecision(cut: cut, rsu: rsu, vehicleFrequency: vehicle, rsuFrequency: server)
    }
    #expect(problem(decision()) == nil)
    #expect(problem(decision(cut: -1)) == "cut")
    #expect(problem(decision(cut: 3)) == "cut")
    #expect(problem(decision(rsu: 0)) == "rsu")
    #expect(problem(decision(rsu: 2)) == "rsu")
    #expect(problem(decision(0)) == "vehicleFrequency")
    #expect(problem(decision(3.1e9)) == "vehicleFrequency")
    #expect(problem(decision(.nan)) == "vehicleFrequency")
    #expect(problem(decision(3e9, 0)) == "rsuFrequency")
    #expect(problem(decision(3e9, .infinity)) == "rsuFrequency")
    // A task that runs locally is bound to no RSU.
    #expect(problem(decision(cut: 2, rsu: 0)) == nil)
  }
}

@Suite struct RoadQueueTests {
  /// Decides every task of an episode and returns the outcomes.
  private func run(
    _ environment: inout RoadRSUEnvironment, tasks: Int = .max,
    _ decide: (TaskSituation) -> (cut: Int, vehicle: Double, rsu: Double)
  ) throws -> [DecidedTask] {
    environment.beginEpisode(0, phase: .eval)
    var outcomes: [DecidedTask] = []
    while let situation = environment.situation, outcomes.count < tasks {
      let choice = decide(situation)
      outcomes.append(
        try environment.apply(
          TaskDecision(
            cut: choice.cut, rsu: situation.links.first?.rsu ?? 0, vehicleFrequency: choice.vehicle,
            rsuFrequency: choice.rsu)))
    }
    return outcomes
  }

  @Test func oneTaskAloneFindsAnEmptyQueue() throws {
    var environment = try environment(points: [(0, 0)])
    let outcomes = try run(&environment, tasks: 1) { _ in (0, 3e9, 7e9) }
    let task = try #require(outcomes.first)
    let link = try #require(task.link)
    #expect(task.costs.queueWait == 0 && link.queueLength == 0 && task.situation.task == 1)
    #expect(task.situation.release == 0 && task.situation.decision == 0)
    // 30 m away, height 0: path loss 38.4 + 21 log10 30 = 69.4195... dB.
    #expect(link.distance == 30 && link.rsu == 1)
    let gain = pow(10.0, -(38.4 + 21 * log10(30.0)) / 10) * link.fading
    #expect(isClose(link.rate, 20e6 * log2(1 + 0.2 * gain / 3e-13), 1e-11))
    #expect(isClose(task.costs.delay, 9.6e6 / link.rate + 9_999_295_000 / 7e9, 1e-11))
    #expect(task.costs.delay > 0 && task.situation.deadline == 1.2 * 9_999_295_000 / 3e9)
  }

  @Test func twoTasksShareOneQueue() throws {
    // Both are decided at time 0, in the order of the vehicles: the second waits for the first's service.
    var environment = try environment()
    let outcomes = try run(&environment, tasks: 3) { _ in (0, 3e9, 7e9) }
    let service = 9_999_295_000 / 7e9
    #expect(outcomes.map(\.situation.vehicle) == [0, 1, 0])
    #expect(outcomes[0].costs.queueWait == 0)
    #expect(isClose(outcomes[1].costs.queueWait, service))
    #expect(isClose(outcomes[1].costs.delay, service + service))
    // The third comes at 0.1 s. The first one's data took a moment, so its service is not over a service
    // time after 0; until it starts it counts whole.
    let sent = outcomes[0].costs.transmitTime
    let first = min(service, sent + service - 0.1)
    #expect(outcomes[2].situation.release == 0.1)
    #expect(isClose(outcomes[2].costs.queueWait, first + service, 1e-9))
    #expect(outcomes[2].link?.queueLength == 2)
  }

  @Test func timeInWhichTheServerWaitsForDataIsNotService() throws {
    // The first task computes 30 s on its vehicle before it is sent: 1 s of service is ahead of the second.
    for rule in QueueWaitRule.allCases {
      var environment = try environment(["queueWait": .text(rule.rawValue)])
      let outcomes = try run(&environment, tasks: 2) { situation in
        situation.vehicle == 0 ? (1, 1e8, 7e9) : (0, 3e9, 7e9)
      }
      let first = outcomes[0].costs
      #expect(first.delay > 30)
      switch rule {
      case .serviceTime: #expect(isClose(outcomes[1].costs.queueWait, first.remoteTime))
      case .lastCompletion: #expect(isClose(outcomes[1].costs.queueWait, first.delay))
      }
    }
  }

  /// Tasks that run locally wait for no RSU: they are no part of the mean.
  @Test func theMeanWaitIsThatOfOffloadedTasks() throws {
    var environment = try environment()
    let outcomes = try run(&environment, tasks: 6) { ($0.task % 3 == 0 ? 2 : 0, 3e9, 7e9) }
    var metrics = RoadRSUMetrics()
    for outcome in outcomes { metrics.add(outcome) }
    let waits = [0, 1, 3, 4].map { outcomes[$0].costs.queueWait }
    #expect(waits[3] > 1 && outcomes[2].link == nil && outcomes[5].link == nil)
    let measure = try #require(
      RoadRSUMetrics.measures.first { $0.name == "mean_queue_wait_s" })
    guard case .number(let mean) = measure.value(metrics) else {
      Issue.record("the mean is missing")
      return
    }
    #expect(isClose(mean, waits.reduce(0, +) / 4))
  }

  @Test func aVehicleOutOfRangeMustComputeItself() throws {
    var environment = try environment(points: [(600, 0)])
    environment.beginEpisode(0, phase: .train)
    let situation = try #require(environment.situation)
    #expect(situation.links.isEmpty && situation.diverted == nil && situation.nearest == nil)
    #expect(throws: InputError.self) {
      _ = try environment.apply(
        TaskDecision(cut: 0, rsu: 1, vehicleFrequency: 3e9, rsuFrequency: 7e9))
    }
    // A refused decision leaves the task to be decided.
    #expect(environment.situation == situation)
    let outcome = try environment.apply(environment.model.local(situation))
    #expect(outcome.link == nil && isClose(outcome.costs.delay, 3.3330983333333333))
  }

  @Test func theBatteryDrainsOnlyWhenItShould() throws {
    for drains in [false, true] {
      var environment = try environment(
        ["batteryDrain": .flag(drains), "batteryCapacity": .number(0.01)], points: [(0, 0)])
      let outcomes = try run(&environment) { _ in (2, 3e9, 7e9) }
      let first = outcomes[0].situation.battery
      let last = outcomes[outcomes.count - 1].situation.battery
      let used = Double(outcomes.count - 1) * 899.93655 / 36_000
      #expect(isClose(last, drains ? max(0, first - used) : first, 1e-9))
      #expect((0.05..<1).contains(first))
    }
  }

  @Test func theOwnProcessorIsBusyUntilItsTasksAreDone() throws {
    var environment = try environment(["localQueue": .flag(true)], points: [(0, 0)])
    let outcomes = try run(&environment, tasks: 3) { _ in (2, 3e9, 7e9) }
    let time = 9_999_295_000 / 3e9
    #expect(outcomes[0].situation.localWait == 0)
    #expect(isClose(outcomes[1].situation.localWait, time - 0.1))
    #expect(isClose(outcomes[2].situation.localWait, 2 * time - 0.2))
    #expect(isClose(outcomes[2].costs.delay, 3 * time - 0.2))
  }

  @Test func broadcastsAreStaleBetweenTheirSlots() throws {
    var environment = try environment(["broadcastInterval": .integer(5)], points: [(0, 0)])
    let outcomes = try run(&environment) { _ in (0, 3e9, 7e9) }
    let waits = outcomes.compactMap(\.link).map(\.broadcastWait)
    #expect(waits[0] == 0 && waits[4] == 0)
    // At the start of slot 5 five tasks are at the RSU; those decided in the slot are not yet known.
    #expect(isClose(waits[5], outcomes[5].costs.queueWait))
    #expect(waits[6] == waits[5] && waits[9] == waits[5] && waits[10] > waits[9])
    #expect(outcomes[9].costs.queueWait > waits[9])
  }

  @Test func lowerRatesReleaseSomeOfTheTasksOfHigherOnes() throws {
    var released: [[String]] = []
    for rate in [1.0, 4.0] {
      var environment = try environment(["releaseRate": .number(rate)])
      let outcomes = try run(&environment) { _ in (0, 3e9, 7e9) }
      released.append(
        outcomes.map { "\($0.situation.slot) \($0.situation.vehicle) \($0.link!.fading)" })
    }
    #expect(!released[0].isEmpty && released[0].count < released[1].count)
    #expect(Set(released[0]).isSubset(of: released[1]))
  }
}

@Suite struct DiversionTests {
  /// Two RSUs, the first 30 m and the second 230 m from the vehicle; counts which are asked.
  private func shares(
    _ rule: DiversionRule, wait: Double = 0, seed: UInt64 = 3
  ) throws -> (first: Double, expected: Double) {
    var environment = try RoadRSUEnvironment(
      parameters: parameters([
        "vehicles": .integer(1), "slots": .integer(4000), "diversion": .text(rule.rawValue),
        "rsuPositions": .list([
          .list([.number(0), .number(30)]), .list([.number(230), .number(0)]),
          .list([.number(460), .number(0)]),
        ]),
      ]), profiles: profiles(), seed: seed, axis: axis, windows: [standing([(0, 0)], slots: 4000)])
    environment.beginEpisode(0, phase: .eval)
    var first = 0
    var tasks = 0
    var expected = 0.0
    while let situation = environment.situation {
      #expect(situation.links.count == 3)
      let times = situation.links.map { 9.6e6 / $0.rate + $0.broadcastWait }
      if situation.diverted == 0 { first += 1 }
      tasks += 1
      let sorted = times.sorted()
      switch rule {
      case .probabilistic:
        expected +=
          times[0] <= sorted[1] ? (sorted[0] + sorted[1] - times[0]) / (sorted[0] + sorted[1]) : 0
      case .argmin: expected += times[0] == sorted[0] ? 1 : 0
      case .random: expected += 1.0 / 3
      case .nearest: expected += 1
      }
      // All tasks run locally, so the queues stay empty.
      _ = try environment.apply(environment.model.local(situation))
    }
    return (Double(first) / Double(tasks), expected / Double(tasks))
  }

  @Test(arguments: DiversionRule.allCases) func sharesFollowTheRule(_ rule: DiversionRule) throws {
    let shares = try shares(rule)
    let tolerance = rule == .argmin || rule == .nearest ? 0 : 0.03
    #expect(abs(shares.first - shares.expected) <= tolerance, "\(rule): \(shares)")
  }
}

@Suite struct RoadMeasureTests {
  /// Two tasks at the RSU and one on its vehicle: by hand.
  @Test func measuresOfThreeTasks() throws {
    var environment = try environment(points: [(0, 0)])
    environment.beginEpisode(0, phase: .eval)
    var metrics = RoadRSUMetrics()
    var outcomes: [DecidedTask] = []
    for cut in [0, 0, 2] {
      let situation = try #require(environment.situation)
      let outcome = try environment.apply(
        TaskDecision(
          cut: cut, rsu: cut < 2 ? 1 : 0, vehicleFrequency: 3e9, rsuFrequency: 7e9))
      metrics.add(outcome)
      outcomes.append(outcome)
      #expect(outcome.situation == situation)
    }
    func value(_ column: String) -> Double {
      let index = RoadRSUMetrics.columns.firstIndex(of: column)!
      guard case .number(let value) = metrics.fields[index] else { return .nan }
      return value
    }
    let service = 9_999_295_000 / 7e9
    // The second task is decided 0.1 s later: the first one's service is ahead, less what was done of it.
    let sent = outcomes.prefix(2).map(\.costs.transmitTime)
    let wait = min(service, sent[0] + service - 0.1)
    // Of remote tasks only: the first waited 0 s.
    #expect(isClose(value("mean_queue_wait_s"), wait / 2, 1e-9))
    // One RSU with 0, 1 and 2 unfinished tasks when the three are decided.
    #expect(value("mean_queue_length") == 1)
    #expect(isClose(value("local_delay_s"), 9_999_295_000 / 3e9 / 3))
    #expect(isClose(value("transmit_delay_s"), (sent[0] + sent[1]) / 3))
    let edge = service + max(wait - sent[1], 0) + service
    #expect(isClose(value("edge_delay_s"), edge / 3, 1e-9))
    #expect(
      isClose(
        value("mean_delay_s"),
        value("local_delay_s") + value("transmit_delay_s") + value("edge_delay_s"), 1e-12))
    #expect(isClose(value("share_local"), 1.0 / 3))
  }

  @Test func partsAreNeverNegative() throws {
    // Local tasks alone, with times that do not add up exactly in floating point.
    var environment = try environment(
      ["localQueue": .flag(true), "deadlineFactor": .number(1.1)], points: [(0, 0), (40, 0)])
    environment.beginEpisode(0, phase: .eval)
    var metrics = RoadRSUMetrics()
    while let situation = environment.situation {
      metrics.add(
        try environment.apply(environment.model.local(situation, frequency: 2.7e9 / 1.3)))
    }
    let index = try #require(RoadRSUMetrics.columns.firstIndex(of: "edge_delay_s"))
    #expect(metrics.fields[index] == .number(0))
  }

  @Test func loadIsWorkOverCapacity() throws {
    // 2 vehicles, 10 tasks a second, 9.999295 GFLOP each; one RSU of 7 GFLOP/s.
    #expect(isClose(try environment().model.load, 2 * 10 * 9.999295 / 7))
    #expect(try environment(["releaseRate": .number(0)]).model.load == 0)
    guard case .number(let load) = try environment().constants["load"] else {
      Issue.record("no load in the constants")
      return
    }
    #expect(isClose(load, 2 * 10 * 9.999295 / 7))
  }
}

@Suite struct RoadPlacementTests {
  private func rsus(_ given: [String: ParameterValue]) throws -> [(x: Double, y: Double)] {
    let model = try environment(given.merging(["rsuPositions": .none]) { $1 }).model
    return zip(model.rsuX, model.rsuY).map { ($0, $1) }
  }

  @Test func aRowIsCentredBesideTheRoad() throws {
    let rsus = try rsus([:])
    #expect(rsus.map(\.x) == [-750, -250, 250, 750])
    #expect(rsus.allSatisfy { $0.y == -12 })
  }

  @Test func coverReachesBothEndsOfTheRoad() throws {
    let rsus = try rsus(["rsuCount": .text("cover"), "rsuSpacing": .number(450)])
    #expect(rsus.map(\.x) == [-1125, -675, -225, 225, 675, 1125])
  }

  @Test func parametersThatContradictEachOtherAreRefused() {
    #expect(throws: InputError.self) { try environment(["releaseRate": .number(11)]) }
    #expect(throws: InputError.self) {
      try environment(["batteryLow": .number(0.9), "batteryHigh": .number(0.5)])
    }
    #expect(throws: InputError.self) { try environment(["dnnTypes": .list([.text("other")])]) }
  }
}
