import Algorithms
import ArgumentParser
import Simulation
import Support

/// `veclab bench step`: slots of the single-RSU model in a second on one core, for every algorithm without
/// training, and fast code against its naive twin.
struct BenchStep: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "step",
    abstract: "Measure slots a second of the single-RSU model, decisions included.",
    discussion: """
      Traffic is made up, no trace is needed. A slot is the situation, the decision, the step of the environment \
      and the episode's measures; its time is that of the median episode, which other programs on the machine \
      disturb least. The slowest decision is timed by itself.
      """)

  @Option(help: "Client vehicles.") var clients = 7
  @Option(help: "Service vehicles.") var serviceVehicles = 5
  @Option(help: "Seconds to measure for each algorithm.") var seconds = 1.0
  @Option(help: "Only this algorithm.") var algorithm: String?
  @Flag(help: "The RSU's capacity divided by the printed rule.") var printedGamma = false
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    guard seconds > 0, seconds <= 3600 else {
      throw ValidationError("--seconds must be above 0 and at most 3600, not \(seconds).")
    }
  }

  func run() throws {
    let chosen = Registry.singleRSU.filter {
      !$0.isLearner && (algorithm == nil || algorithm == $0.name)
    }
    if chosen.isEmpty {
      let names = Registry.singleRSU.map(\.name)
      throw ValidationError(
        "'\(algorithm ?? "")' is none of \(names.joined(separator: ", ")).")
    }
    var rows: [String: JSONValue] = [:]
    var lines = ["\(clients) clients, \(serviceVehicles) service vehicles, one core"]
    for algorithm in chosen {
      let environment = try environment(clients: clients, serviceVehicles: serviceVehicles)
      let report = try measure(algorithm, environment)
      rows[algorithm.name] = .object([
        "slotsPerSecond": .number(report.slotsPerSecond.rounded()),
        "millisecondsPerSlot": .number(report.milliseconds),
        "slowestDecisionMilliseconds": .number(report.slowest),
        "meanDelaySeconds": .number(report.meanDelay),
      ])
      lines.append(
        "\(padded(algorithm.name, 22)) \(padded("\(Int(report.slotsPerSecond))", 9)) slots/s  "
          + "\(short(report.milliseconds)) ms a slot, slowest decision \(short(report.slowest)) ms"
      )
    }
    var object: [String: JSONValue] = [
      "clients": .integer(clients), "serviceVehicles": .integer(serviceVehicles),
      "algorithms": .object(rows),
    ]
    if algorithm == nil {
      let ratios = try self.ratios()
      object["fastOverNaive"] = .object(
        Dictionary(uniqueKeysWithValues: ratios.map { ($0.name, .number($0.ratio)) }))
      for ratio in ratios {
        lines.append("\(padded(ratio.name, 22)) \(short(ratio.ratio)) times its naive twin")
      }
    }
    print(json ? JSONValue.object(object).serialised() : lines.joined(separator: "\n"))
  }

  private func environment(clients: Int, serviceVehicles: Int) throws -> SingleRSUEnvironment {
    let options = ["clients": "--clients", "serviceVehicles": "--service-vehicles"]
    let parameters = try namingOptions(options) {
      try ParameterValues(
        schema: SingleRSUEnvironment.parameters,
        setting: [
          "clients": .integer(clients), "serviceVehicles": .integer(serviceVehicles),
          "gamma": .text(printedGamma ? "printed" : "corrected"),
        ])
    }
    var profiles: [String: DNNProfile] = [:]
    for name in SingleRSUEnvironment.profileNames(parameters) {
      profiles[name] = try DNNProfile.load(name, relativeTo: ".")
    }
    return try .synthetic(parameters: parameters, profiles: profiles, seed: 1)
  }

  private struct Report {
    var slotsPerSecond, milliseconds, slowest, meanDelay: Double
  }

  private func measure(
    _ algorithm: Algorithm<SingleRSUEnvironment>, _ original: SingleRSUEnvironment
  ) throws -> Report {
    var environment = original
    var agent = try algorithm.make(
      environment, ParameterValues(schema: algorithm.parameters), AgentContext(seed: 1))
    let clock = ContinuousClock()
    var times: [Double] = []
    var delays: [Double] = []
    func episode(_ number: Int) throws {
      let start = clock.now
      environment.beginEpisode(number, phase: .eval)
      agent.beginEpisode(number, phase: .eval)
      var metrics = SingleRSUMetrics()
      while !environment.isEpisodeOver, let situation = environment.situation {
        metrics.add(try environment.apply(agent.decide(situation, phase: .eval)))
      }
      if case .number(let delay) = metrics.fields[1] { delays.append(delay) }
      times.append((clock.now - start) / .milliseconds(1))
    }
    try episode(0)
    times = []
    let start = clock.now
    var number = 0
    repeat {
      try episode(number)
      number += 1
    } while clock.now - start < .seconds(seconds)
    let milliseconds = Statistics.quantile(times, 0.5) / Double(environment.scenario.slots)

    // The slowest decision of a few episodes, timed one by one.
    var slowest = Duration.zero
    for number in 0..<min(number, 4) {
      environment.beginEpisode(number, phase: .eval)
      agent.beginEpisode(number, phase: .eval)
      while !environment.isEpisodeOver, let situation = environment.situation {
        let before = clock.now
        let decision = try agent.decide(situation, phase: .eval)
        slowest = max(slowest, clock.now - before)
        _ = try environment.apply(decision)
      }
    }
    return Report(
      slotsPerSecond: 1000 / milliseconds, milliseconds: milliseconds,
      slowest: slowest / .milliseconds(1), meanDelay: Statistics.mean(delays))
  }

  /// Naive time over fast time, each measured here and now on the same decisions.
  private func ratios() throws -> [(name: String, ratio: Double)] {
    var environment = try environment(clients: clients, serviceVehicles: serviceVehicles)
    environment.beginEpisode(0, phase: .eval)
    let scenario = environment.scenario
    var stream = RandomStream(seed: 1, .test)
    environment.setBacklogs((0..<scenario.queues).map { _ in stream.uniform(0, 20) })
    guard let situation = environment.situation else { return [] }
    var objective = SlotObjective(scenario: scenario)
    objective.prepare(situation)
    let decisions = (0..<200).map { _ in
      SlotDecision(
        cuts: (0..<clients).map { stream.index(below: scenario.layers(ofClient: $0) + 1) },
        nodes: (0..<clients).map { _ in stream.index(below: scenario.nodes) })
    }
    var sink = 0.0

    let fastValue = time {
      for decision in decisions { sink += objective.value(decision) }
    }
    let naiveValue = try time {
      for decision in decisions {
        var copy = environment
        sink += try copy.apply(decision).objective
      }
    }

    let fastResponse = time {
      for (i, decision) in decisions.enumerated() {
        sink +=
          objective.bestResponse(of: i % clients, cuts: decision.cuts, nodes: decision.nodes)
          .change
      }
    }
    let naiveResponse = time {
      for (i, decision) in decisions.prefix(40).enumerated() {
        var other = decision
        var least = Double.infinity
        for cut in 0...scenario.layers(ofClient: i % clients) {
          for node in 0..<scenario.nodes {
            other.cuts[i % clients] = cut
            other.nodes[i % clients] = node
            least = min(least, objective.value(other))
          }
        }
        sink += least
      }
    }

    guard let exact = try exactRatio(&sink) else { return [] }
    // Printing needs the sum, so that no measured work can be left out.
    precondition(!sink.isNaN)
    return [
      ("objective", naiveValue / fastValue),
      ("best response", naiveResponse * 5 / fastResponse),
      ("exact, 3 CV and 2 SV", exact),
    ]
  }

  /// The same of the exact algorithm, on a slot small enough to try every decision.
  private func exactRatio(_ sink: inout Double) throws -> Double? {
    var small = try environment(clients: 3, serviceVehicles: 2)
    small.beginEpisode(0, phase: .eval)
    guard let situation = small.situation,
      let exact = Registry.singleRSU.first(where: { $0.name == "exact" })
    else { return nil }
    var agent = try exact.make(
      small, ParameterValues(schema: exact.parameters), AgentContext(seed: 1))
    var objective = SlotObjective(scenario: small.scenario)
    objective.prepare(situation)
    let fast = try time {
      sink += objective.value(try agent.decide(situation, phase: .eval))
    }
    let naive = time { sink += BenchStep.bruteForce(&objective) }
    return naive / fast
  }

  /// Least of several timings, in seconds.
  private func time(_ work: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    var least = Double.infinity
    for _ in 0..<3 { least = min(least, try clock.measure(work) / .seconds(1)) }
    return least
  }

  /// Least P by trying every decision of three clients.
  private static func bruteForce(_ objective: inout SlotObjective) -> Double {
    let scenario = objective.scenario
    let actions = (0..<3).map { scenario.layers(ofClient: $0) * scenario.nodes + 1 }
    var cuts = [0, 0, 0]
    var nodes = [0, 0, 0]
    var least = Double.infinity
    func choose(_ client: Int, _ action: Int) {
      cuts[client] = action / scenario.nodes
      nodes[client] = action % scenario.nodes
    }
    for a in 0..<actions[0] {
      choose(0, a)
      for b in 0..<actions[1] {
        choose(1, b)
        for c in 0..<actions[2] {
          choose(2, c)
          least = min(least, objective.value(cuts: cuts, nodes: nodes))
        }
      }
    }
    return least
  }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}
