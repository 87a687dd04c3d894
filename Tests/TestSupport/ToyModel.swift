import Algorithms
import Simulation
import Support
import Trace

@testable import Plan
@testable import Runs

/// A model small enough to compute by hand: a slot's delay is a random number plus |decision - clients|.
struct ToyEnvironment: Environment {
  struct Situation: Equatable { var slot: Int }
  struct Outcome {
    var slot: Int
    var decision: Int
    var delay: Double
  }

  struct Metrics: EpisodeMetrics {
    static let comparedBy = "mean_delay_s"
    static let measures: [EpisodeMeasure<Metrics>] = [
      .init("return", "", "Sum of the delays, negative.") { -$0.delays.reduce(0, +) },
      .init("mean_delay_s", "s", "Mean delay.") { Statistics.mean($0.delays) },
    ]
    var delays: [Double] = []
    init() {}
    mutating func add(_ outcome: Outcome) { delays.append(outcome.delay) }
    static var tables: [EpisodeTable<Metrics>] {
      [
        EpisodeTable(
          file: "backlogs.csv", columns: ["queue", "backlog_gflop"], textColumns: ["queue"]
        ) { metrics in
          ["client:1", "rsu:vgg16"].enumerated().map { i, queue in
            [.text(queue), .number(Statistics.mean(metrics.delays) * Double(i + 1))]
          }
        }
      ]
    }
  }

  static let modelName = "toy"
  static let parameters: [Parameter] = [
    Parameter("clients", .integer(1...10), default: .integer(3), source: "toy", "Clients."),
    Parameter("V", .number(0...1000), default: .number(10), source: "toy", "Weight."),
    Parameter("slots", .integer(1...100), default: .integer(4), source: "toy", "Slots."),
    Parameter(
      "dnnTypes", .list(of: .text, count: 0...4), default: .list([]), source: "toy", "Networks."),
    Parameter(
      "explodeIn", .integer(0...1000), default: .integer(0), source: "toy",
      "Episode whose delay is infinite; 0: none."),
    Parameter(
      "detour", .integer(0...9), default: .integer(0), source: "toy", isImpliedAtDefault: true,
      "Added to every delay; younger than the first results."),
  ]
  static func profileNames(_ parameters: ParameterValues) -> [String] {
    parameters.list("dnnTypes").map(\.text)
  }

  let clients: Int
  let slots: Int
  let explodeIn: Int
  let detour: Int
  let noise: RandomField
  var episode = 0
  var phase = Phase.train
  var slot = 0

  init(parameters: ParameterValues, sources: ScenarioSources) throws {
    clients = parameters.integer("clients")
    slots = parameters.integer("slots")
    explodeIn = parameters.integer("explodeIn")
    detour = parameters.integer("detour")
    noise = RandomField(seed: sources.seed, .fading)
    if sources.trace.header.rows < clients {
      throw InputError("has too few rows", file: sources.trace.path)
    }
  }

  var constants: JSONValue { .object(["clients": .integer(clients)]) }

  static var logs: [OutcomeLog<Outcome>] {
    [
      OutcomeLog(file: "slots.csv", columns: ["episode", "slot", "decision", "delay_s"]) {
        outcome, episode, writer in
        writer.append([
          .integer(episode), .integer(outcome.slot), .integer(outcome.decision),
          .number(outcome.delay),
        ])
      }
    ]
  }

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    self.episode = episode
    self.phase = phase
    slot = 0
  }
  var windowStart: Double { Double(episode * 10 + (phase == .eval ? 5 : 0)) }
  var isEpisodeOver: Bool { slot == slots }
  var situation: Situation? { Situation(slot: slot) }
  mutating func apply(_ decision: Int) throws -> Outcome {
    var delay = noise.uniform(episode, phase == .eval ? 1 : 0, slot)
    delay += Double(abs(decision - clients) + detour)
    if episode == explodeIn { delay = .infinity }
    slot += 1
    return Outcome(slot: slot, decision: decision, delay: delay)
  }
}

/// Always decides the same.
struct ToyConstant: Agent {
  typealias Model = ToyEnvironment
  var decision: Int
  mutating func decide(_ situation: ToyEnvironment.Situation, phase: Phase) throws -> Int {
    decision
  }
}

/// Learns the clients' number by trial: weights, an exploration stream and a counter make up its state.
struct ToyLearner: Agent {
  typealias Model = ToyEnvironment
  let clients: Int
  var scores = [Double](repeating: 0, count: 11)
  var stream: RandomStream
  var steps = 0
  var lossSum = 0.0
  var lossCount = 0
  let rate: Double

  init(clients: Int, rate: Double, seed: UInt64) {
    self.clients = clients
    self.rate = rate
    stream = RandomStream(seed: seed, .exploration)
  }

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    if phase == .train {
      lossSum = 0
      lossCount = 0
    }
  }
  mutating func decide(_ situation: ToyEnvironment.Situation, phase: Phase) throws -> Int {
    if phase == .train, stream.uniform() < 0.5 { return stream.index(below: scores.count) }
    return scores.indices.max { scores[$0] < scores[$1] } ?? 0
  }
  mutating func learn(
    _ situation: ToyEnvironment.Situation, _ decision: Int, _ outcome: ToyEnvironment.Outcome,
    next: ToyEnvironment.Situation?
  ) throws {
    let error = -outcome.delay - scores[decision]
    scores[decision] += rate * error
    steps += 1
    lossSum += error * error
    lossCount += 1
  }
  var statistics: AgentStatistics {
    AgentStatistics(
      epsilon: 0.5, loss: lossCount == 0 ? nil : lossSum / Double(lossCount), steps: lossCount)
  }
  func saveState(to writer: inout StateWriter) {
    savePolicy(to: &writer)
    writer.write(stream)
    writer.write(steps)
  }
  mutating func restoreState(from reader: inout StateReader) throws {
    try restorePolicy(from: &reader)
    stream = try reader.readStream()
    steps = try reader.readInteger()
  }
  func savePolicy(to writer: inout StateWriter) {
    writer.section("toy-learner")
    writer.write(clients)
    writer.write(array: scores)
  }
  mutating func restorePolicy(from reader: inout StateReader) throws {
    try reader.section("toy-learner")
    let trained = try reader.readInteger()
    if trained != clients {
      throw InputError("was trained for \(trained) clients, not \(clients)", key: "clients")
    }
    scores = try reader.readArray(count: 11)
  }
}

enum ToyModel {
  static let algorithms: [Algorithm<ToyEnvironment>] = [
    Algorithm(name: "zero", version: 1, summary: "Decides 0.") { _, _, _, _ in
      ToyConstant(decision: 0)
    },
    Algorithm(
      name: "constant", version: 1, summary: "Decides a number.",
      parameters: [
        Parameter("decision", .integer(0...10), default: .integer(1), source: "toy", "Decision.")
      ]
    ) { _, parameters, _, _ in
      ToyConstant(decision: parameters.integer("decision"))
    },
    Algorithm(
      name: "learner", version: 3, summary: "Learns.", isLearner: true,
      parameters: [
        Parameter("rate", .number(0...1), default: .number(0.5), source: "toy", "Rate."),
        Parameter(
          "clip", .either([.number(0...10), .choice(["none", "auto"])]), default: .text("none"),
          source: "toy", "Clip."),
      ]
    ) { environment, parameters, seed, _ in
      ToyLearner(
        clients: environment.clients, rate: parameters.number("rate"), seed: seed)
    },
  ]
  static let models = [AnyModel(Offer(algorithms))]
}
