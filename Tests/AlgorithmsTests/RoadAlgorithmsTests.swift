import Foundation
import Simulation
import Support
import Testing
import Trace

@testable import Algorithms

private let experiments = #filePath.replacing(
  "Tests/AlgorithmsTests/RoadAlgorithmsTests.swift", with: "Experiments")

/// An environment on made-up traffic: 2 km, 4 RSUs, the four networks of the paper.
func roadEnvironment(
  _ given: [String: ParameterValue] = [:], seed: UInt64 = 1
) throws -> RoadRSUEnvironment {
  let parameters = try ParameterValues(schema: RoadRSUEnvironment.parameters, setting: given)
  var profiles: [String: DNNProfile] = [:]
  for name in RoadRSUEnvironment.profileNames(parameters) {
    profiles[name] = try DNNProfile.load(name, relativeTo: experiments)
  }
  let road = StraightRoad(vehicles: parameters.integer("vehicles") + 3)
  var stream = RandomStream(seed: seed, .test)
  return try RoadRSUEnvironment(
    parameters: parameters, profiles: profiles, seed: seed, axis: road.axis,
    windows: (0..<3).map { _ in
      road.window(
        slots: parameters.integer("slots"), slotLength: parameters.number("slotLength"),
        using: &stream)
    })
}

private func agent(
  _ name: String, _ environment: RoadRSUEnvironment, seed: UInt64 = 1,
  _ given: [String: ParameterValue] = [:]
) throws -> any Agent<RoadRSUEnvironment> {
  let algorithm = try #require(Registry.roadRSU.first { $0.name == name })
  return try algorithm.make(
    environment, ParameterValues(schema: algorithm.parameters, setting: given),
    AgentContext(seed: seed))
}

/// Runs one episode and returns its outcomes.
private func play(
  _ environment: inout RoadRSUEnvironment, _ agent: inout some Agent<RoadRSUEnvironment>,
  episode: Int = 0, phase: Phase = .eval
) throws -> [DecidedTask] {
  environment.beginEpisode(episode, phase: phase)
  agent.beginEpisode(episode, phase: phase)
  var outcomes: [DecidedTask] = []
  while let situation = environment.situation {
    outcomes.append(try environment.apply(try agent.decide(situation, phase: phase)))
  }
  return outcomes
}

private func relativeError(_ a: Double, _ b: Double) -> Double {
  a == b ? 0 : abs(a - b) / max(abs(a), abs(b))
}

@Suite struct RoadLogTests {
  /// Recomputes `tasks.csv` as a stranger would: from its columns, the constants and the layer tables alone.
  @Test(arguments: [
    ["releaseRate": ParameterValue.number(0.3)],
    ["releaseRate": .number(0.8), "queueWait": .text("last-completion")],
    [
      "releaseRate": .number(0.5), "beta": .number(2e-3), "bandwidth": .number(5e6),
      "missedPenalty": .none, "rsuHeight": .number(12), "broadcastInterval": .integer(20),
    ],
    ["releaseRate": .number(0.4), "localQueue": .flag(true)],
  ])
  func everyColumnFollowsFromTheOthers(_ given: [String: ParameterValue]) throws {
    let parameters = try ParameterValues(schema: RoadRSUEnvironment.parameters, setting: given)
    let isServiceTime = parameters.text("queueWait") == "service-time"
    let log = RoadRSUEnvironment.logs[0]
    for (seed, name) in [
      (1, "random"), (2, "random"), (3, "reo"), (4, "gbs"), (5, "myopic-optimum"),
    ] {
      var environment = try roadEnvironment(given, seed: UInt64(seed))
      var agent = try agent(name, environment, seed: UInt64(seed))
      var writer = CSVWriter(columns: log.columns)
      for episode in 0..<2 {
        for outcome in try play(&environment, &agent, episode: episode) {
          log.append(outcome, episode, &writer)
        }
      }
      let table = try CSVTable(
        text: String(decoding: writer.bytes, as: UTF8.self), file: log.file)
      var columns: [String: [Double]] = [:]
      for column in table.columns where !["vehicle", "dnn"].contains(column) {
        columns[column] = try table.numbers(column)
      }
      let networks = try table.texts("dnn")
      let vehicles = try table.texts("vehicle")
      #expect(table.rows.count > 100)
      for row in table.rows.indices {
        func value(_ column: String) -> Double { columns[column]![row] }
        func check(
          _ column: String, _ expected: Double, _ location: SourceLocation = #_sourceLocation
        ) {
          let error = relativeError(value(column), expected)
          #expect(
            error <= 1e-9, "\(name), seed \(seed), row \(row), \(column)", sourceLocation: location)
        }
        let profile = try DNNProfile.load(networks[row], relativeTo: experiments)
        let works = profile.layers.map { $0.flop(.p2) / 1e9 }
        let cut = Int(value("cut"))
        check("local_gflop", works.prefix(cut).reduce(0, +))
        check("remote_gflop", works.dropFirst(cut).reduce(0, +))
        check("deadline_s", 1.2 * works.reduce(0, +) * 1e9 / 3e9)
        check("decision_s", value("release_s"))
        let localWork = value("local_gflop") * 1e9
        #expect(value("f_vehicle_hz").isNaN == (localWork == 0))
        let localTime = localWork > 0 ? localWork / value("f_vehicle_hz") : 0
        check("local_s", localTime)
        var ownWait = 0.0
        if parameters.flag("localQueue"), localWork > 0 {
          // Until the vehicle's earlier local parts are done; each ends its wait and its time after its release.
          for earlier in 0..<row
          where columns["episode"]![earlier] == value("episode")
            && vehicles[earlier] == vehicles[row] && columns["local_gflop"]![earlier] > 0
          {
            let end =
              columns["release_s"]![earlier] + columns["local_wait_s"]![earlier]
              + columns["local_s"]![earlier]
            ownWait = max(ownWait, end - value("release_s"))
          }
        }
        #expect(abs(value("local_wait_s") - ownWait) <= 1e-9 * max(ownWait, 1))
        check("alpha", value("battery") > 1.0 / 3 ? 1 / value("battery") : 3)
        check(
          "vehicle_j", localWork > 0 ? 1e-26 * localWork * pow(value("f_vehicle_hz"), 2) : 0)
        var delay = ownWait + localTime
        if cut == works.count {
          #expect(value("rsu") == 0 && value("rate_bps").isNaN && value("distance_m").isNaN)
          for column in ["cut_bits", "queue_wait_s", "transmit_s", "remote_s", "rsu_j"] {
            check(column, 0)
          }
        } else {
          check("cut_bits", Double(profile.layers[cut].inputElements) * 32)
          let gain =
            pow(10, -(38.4 + 21 * log10(value("distance_m"))) / 10) * value("fading")
          check(
            "rate_bps",
            parameters.number("bandwidth") * log2(1 + 0.2 * gain / 3e-13))
          check("transmit_s", value("cut_bits") / value("rate_bps"))
          check("remote_s", value("remote_gflop") * 1e9 / value("f_rsu_hz"))
          var wait = 0.0
          for earlier in 0..<row
          where columns["episode"]![earlier] == value("episode")
            && columns["rsu"]![earlier] == value("rsu")
          {
            let left =
              columns["release_s"]![earlier] + columns["delay_s"]![earlier] - value("decision_s")
            guard left > 0 else { continue }
            wait =
              isServiceTime
              ? wait + min(left, columns["remote_s"]![earlier]) : max(wait, left)
          }
          #expect(
            abs(value("queue_wait_s") - wait) <= 1e-9 * wait + 1e-12,
            "\(name), seed \(seed), row \(row)")
          delay =
            max(
              value("decision_s") + value("queue_wait_s"),
              value("release_s") + ownWait + localTime + value("transmit_s"))
            - value("release_s")
            + value("remote_s")
          check("rsu_j", 1e-26 * value("remote_gflop") * 1e9 * pow(value("f_rsu_hz"), 2))
          #expect(value("distance_m") <= 500)
        }
        check("delay_s", delay)
        check("transmit_j", 0.2 * value("transmit_s"))
        check(
          "energy_j",
          value("alpha") * (value("vehicle_j") + value("transmit_j")) + value("rsu_j"))
        #expect((value("missed") == 1) == (value("delay_s") > value("deadline_s")))
        let penalty = (parameters.optionalNumber("missedPenalty") ?? 0) * value("missed")
        check(
          "cost", value("delay_s") + parameters.number("beta") * value("energy_j") + penalty)
      }
    }
  }

  @Test func theSameSeedGivesTheSameBytes() throws {
    let log = RoadRSUEnvironment.logs[0]
    func bytes(seed: UInt64) throws -> [UInt8] {
      var environment = try roadEnvironment(["releaseRate": .number(0.2)], seed: 7)
      var agent = try agent("random", environment, seed: seed)
      var writer = CSVWriter(columns: log.columns)
      for episode in 0..<2 {
        for outcome in try play(&environment, &agent, episode: episode) {
          log.append(outcome, episode, &writer)
        }
      }
      return writer.bytes
    }
    #expect(try bytes(seed: 1) == bytes(seed: 1))
    #expect(try bytes(seed: 1) != bytes(seed: 2))
  }

  @Test func metricsAreThoseOfTheTasks() throws {
    var environment = try roadEnvironment(["releaseRate": .number(0.2)], seed: 5)
    var agent = try agent("reo", environment)
    let outcomes = try play(&environment, &agent)
    var metrics = RoadRSUMetrics()
    for outcome in outcomes { metrics.add(outcome) }
    #expect(metrics.fields.count == RoadRSUMetrics.columns.count)
    func value(_ column: String) -> Double {
      switch metrics.fields[RoadRSUMetrics.columns.firstIndex(of: column)!] {
      case .number(let value): value
      case .integer(let value): Double(value)
      default: .nan
      }
    }
    let count = Double(outcomes.count)
    #expect(value("tasks") == count)
    #expect(
      relativeError(value("mean_delay_s"), outcomes.reduce(0) { $0 + $1.costs.delay } / count)
        < 1e-12)
    #expect(
      relativeError(value("return"), outcomes.reduce(0) { $0 + $1.reward }) < 1e-12)
    #expect(value("miss_share") == Double(outcomes.count { $0.costs.missed }) / count)
    let low = outcomes.filter { $0.situation.battery <= 1.0 / 3 }
    #expect(value("low_battery_tasks") == Double(low.count) && !low.isEmpty)
    #expect(value("high_battery_tasks") == count - Double(low.count))
    #expect(
      relativeError(
        value("low_battery_cost"), low.reduce(0) { $0 + $1.costs.cost } / Double(low.count))
        < 1e-12)
    // REO: what is not transmission is service and the wait for it.
    #expect(value("local_delay_s") == 0 && value("edge_delay_s") > 0)
    #expect(
      relativeError(
        value("edge_delay_s"), value("mean_delay_s") - value("transmit_delay_s")) < 1e-12)
    let sent = outcomes.filter { $0.link != nil }
    #expect(sent.count < outcomes.count || value("share_local") == 0)
    #expect(
      relativeError(
        value("mean_queue_wait_s"),
        sent.reduce(0) { $0 + $1.costs.queueWait } / Double(sent.count)) < 1e-12)
    #expect(
      value("p95_delay_s") == Statistics.quantile(outcomes.map(\.costs.delay), 0.95))
    let empty = RoadRSUMetrics()
    #expect(empty.fields[0] == .integer(0) && empty.fields[2] == .missing)
  }
}

@Suite struct RoadBaselineTests {
  @Test func everyAlgorithmPlaysWholeEpisodes() throws {
    for algorithm in Registry.roadRSU {
      for seed in 1...3 as ClosedRange<UInt64> {
        var environment = try roadEnvironment(["releaseRate": .number(0.1)], seed: seed)
        var agent = try agent(algorithm.name, environment, seed: seed)
        let outcomes = try play(&environment, &agent)
        #expect(outcomes.map(\.situation.task) == Array(1...outcomes.count), "\(algorithm.name)")
        #expect(outcomes.allSatisfy { $0.costs.cost.isFinite }, "\(algorithm.name), seed \(seed)")
      }
    }
  }

  @Test func releasesAreTheSameForEveryAlgorithm() throws {
    var seen: Set<[String]> = []
    for algorithm in Registry.roadRSU {
      var environment = try roadEnvironment(seed: 4)
      var agent = try agent(algorithm.name, environment)
      let outcomes = try play(&environment, &agent)
      seen.insert(
        outcomes.map {
          let s = $0.situation
          return "\(s.slot) \($0.vehicleName) \($0.dnn) \(s.battery) \(s.links.map(\.fading))"
        })
    }
    #expect(seen.count == 1)
  }

  @Test func baselinesDecideAsTheirNamesSay() throws {
    var environment = try roadEnvironment(["releaseRate": .number(0.5)], seed: 2)
    var random = try agent("random", environment)
    let leo = try agent("leo", environment)
    let reo = try agent("reo", environment)
    let greedy = try agent("gbs", environment)
    let blind = try agent("gbs", environment, ["queueBlind": .flag(true)])
    let diverted = try agent("reo", environment, ["target": .text("diverted")])
    environment.beginEpisode(0, phase: .eval)
    var blindDiffers = 0
    while let situation = environment.situation {
      let model = environment.model
      func decision(_ agent: any Agent<RoadRSUEnvironment>) throws -> TaskDecision {
        var agent = agent
        return try agent.decide(situation, phase: .eval)
      }
      let layers = model.types[situation.type].layers
      #expect(try decision(leo) == model.local(situation))
      let nearest = situation.links.min { $0.distance < $1.distance }
      #expect(
        try decision(reo)
          == (nearest.map {
            TaskDecision(cut: 0, rsu: $0.rsu, vehicleFrequency: 3e9, rsuFrequency: 7e9)
          } ?? model.local(situation)))
      #expect(
        try decision(diverted).rsu == situation.diverted.map { situation.links[$0].rsu } ?? 0)
      let greedyDecision = try decision(greedy)
      #expect(greedyDecision.vehicleFrequency == 3e9 && greedyDecision.rsuFrequency == 7e9)
      let least = (0...layers).map {
        model.cost(
          of: situation, cut: $0, link: $0 < layers ? nearest : nil, vehicleFrequency: 3e9,
          rsuFrequency: 7e9
        ).delay
      }.min()
      #expect(try model.cost(of: greedyDecision, in: situation).delay == least)
      if greedyDecision.cut < layers { #expect(greedyDecision.rsu == nearest?.rsu) }
      if try decision(blind) != greedyDecision { blindDiffers += 1 }
      _ = try environment.apply(try random.decide(situation, phase: .eval))
    }
    #expect(blindDiffers > 0)
  }

  /// diverted-optimum is myopic-optimum where every vehicle reaches the RSU of diversion alone.
  @Test func theDivertedOptimumIsTheOptimumAtTheRSUOfDiversion() throws {
    var environment = try roadEnvironment(["releaseRate": .number(0.5)], seed: 6)
    var diverted = try agent("diverted-optimum", environment)
    var optimum = try agent("myopic-optimum", environment)
    environment.beginEpisode(0, phase: .eval)
    var dearer = 0
    while let situation = environment.situation {
      let decision = try diverted.decide(situation, phase: .eval)
      var restricted = situation
      restricted.links = situation.diverted.map { [situation.links[$0]] } ?? []
      restricted.diverted = restricted.links.isEmpty ? nil : 0
      #expect(try decision == optimum.decide(restricted, phase: .eval))
      let best = try optimum.decide(situation, phase: .eval)
      let cost = try environment.model.cost(of: decision, in: situation).cost
      let least = try environment.model.cost(of: best, in: situation).cost
      #expect(cost >= least)
      if cost > least { dearer += 1 }
      _ = try environment.apply(decision)
    }
    #expect(dearer > 0)
  }
}
