internal import Algorithms
internal import Glibc
public import Plan
internal import Simulation
internal import Support

/// Lets another process act in a model: `veclab environment`.
///
/// The same messages as those of agents, the other way round: see `Experiments/AGENTS.md`.
///
/// - Parameters:
///   - parent: process that started this one; it ends with it, even if its input stays open.
/// - Throws: `InputError` when the scenario cannot be made.
public func serveEnvironment(
  _ scenario: ExperimentScenario, sources: RunSources, sight: AgentSight, parent: Int32
) throws {
  signal(SIGPIPE, SIG_IGN)
  detachThread {
    while getppid() == parent { usleep(500_000) }
    _exit(0)
  }
  func open<Offered: OfferedModel>(_ offered: Offered) throws {
    guard let model = Offered.Model.self as? any ExternalModel.Type else {
      throw InputError("has no messages", key: "model", value: scenario.model.name)
    }
    try serve(model)
  }
  func serve<Model: ExternalModel>(_ model: Model.Type) throws {
    var server = try EnvironmentServer<Model>(scenario, sources: sources, sight: sight)
    try server.run()
  }
  try open(scenario.model.offered)
}

private struct EnvironmentServer<Model: ExternalModel> {
  private var scenario: ExperimentScenario
  private let sources: RunSources
  private let sight: AgentSight
  private var environment: Model
  private var metrics = Model.Metrics()
  private var hasBegun = false
  private var lines = InputLines()

  init(_ scenario: ExperimentScenario, sources: RunSources, sight: AgentSight) throws {
    self.scenario = scenario
    self.sources = sources
    self.sight = sight
    environment = try scenario.environment(Model.self, sources: sources)
  }

  /// Answers until the other side has nothing more to say.
  mutating func run() throws {
    try say(hello)
    while let line = try lines.next() {
      var answer: [UInt8]
      do {
        guard let message = try self.answer(line) else { return }
        answer = message
      } catch let error as InputError {
        answer = EnvironmentServer.error("\(error)")
      } catch let error as AgentAnswerError {
        answer = EnvironmentServer.error("the message \(error)")
      }
      try say(answer)
    }
  }

  private func say(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes {
      try Files.writeAll($0, to: STDOUT_FILENO, path: Files.standardOutput)
    }
  }

  private static func error(_ problem: String) -> [UInt8] {
    var writer = MessageWriter(type: "error")
    writer.member("message", .text(problem))
    return writer.finish()
  }

  private var hello: [UInt8] {
    var writer = MessageWriter(type: "hello")
    writer.member("sees", .text(sight.rawValue))
    writer.writeRun(
      environment, seed: UInt64(scenario.parameters.integer("seed")), document: scenario.document)
    return writer.finish()
  }

  /// - Returns: nil for the message that ends the exchange.
  private mutating func answer(_ line: [UInt8]) throws -> [UInt8]? {
    let type = (try? JSONValue(parsing: line))?["type"]?.textValue ?? ""
    func read(_ members: [String]) throws -> AgentAnswer {
      try AgentAnswer(line: line, expected: type, allowed: members)
    }
    switch type {
    case "seed":
      let seed = try read(["seed"]).integer("seed", 0...Int.max)
      let other = try scenario.with(seed: seed)
      environment = try other.environment(Model.self, sources: sources)
      scenario = other
      hasBegun = false
      return hello
    case "episode": return try begin(read(["episode", "phase"]))
    case "act": return try act(read(Model.actionMembers))
    case "end":
      _ = try read([])
      return nil
    default:
      throw AgentAnswerError(
        "\(AgentAnswer.quoted(line)) is none of 'seed', 'episode', 'act' and 'end'")
    }
  }

  private mutating func begin(_ message: AgentAnswer) throws -> [UInt8] {
    let episode = try message.integer("episode", 1...Int(Int32.max))
    guard let phase = message["phase"]?.textValue.flatMap(Phase.init(rawValue:)) else {
      throw AgentAnswerError("has no 'phase' in 'episode': it must be 'train' or 'eval'")
    }
    environment.beginEpisode(episode, phase: phase)
    metrics = Model.Metrics()
    hasBegun = true
    guard !environment.isEpisodeOver, let situation = environment.situation else {
      var writer = MessageWriter(type: "end_episode")
      writer.member("episode", episode)
      writer.member("phase", .text(phase.rawValue))
      return writer.finish()
    }
    var writer = MessageWriter(type: "decide")
    environment.write(situation, sight: sight, to: &writer)
    return writer.finish()
  }

  private mutating func act(_ message: AgentAnswer) throws -> [UInt8] {
    guard hasBegun, !environment.isEpisodeOver, let situation = environment.situation else {
      throw AgentAnswerError("'act' needs an episode that has begun and is not over")
    }
    let decision = try environment.decision(of: message, in: situation)
    let outcome = try environment.apply(decision)
    metrics.add(outcome)
    let isLast = environment.isEpisodeOver
    let next = environment.situation.map { environment.members(of: $0, sight: sight) }
    var writer = MessageWriter(type: "learn")
    let measures = isLast ? metrics : nil
    writer.writeOutcome(outcome, of: Model.self, next: next, isLast: isLast) { writer in
      if let measures { writer.member("episode", measures.json) }
    }
    return writer.finish()
  }
}

extension EpisodeMetrics {
  /// The columns of `episodes.csv`; null where there is nothing to measure.
  fileprivate var json: JSONValue {
    .object(
      Dictionary(
        uniqueKeysWithValues: zip(Self.columns, fields).map { name, field in
          switch field {
          case .text(let value): (name, .text(value))
          case .integer(let value): (name, .integer(value))
          case .number(let value): (name, .number(value))
          case .missing: (name, .null)
          }
        }))
  }
}

/// The lines of standard input.
private struct InputLines {
  private var buffer: [UInt8] = []
  private var start = 0

  /// The next line without its line feed; nil at the end of the input.
  mutating func next() throws -> [UInt8]? {
    var searched = start
    while true {
      if let end = buffer[searched...].firstIndex(of: 10) {
        defer { start = end + 1 }
        return Array(buffer[start..<end])
      }
      buffer.removeFirst(start)
      start = 0
      searched = buffer.count
      guard buffer.count <= AgentProcess.longestAnswer else {
        throw InputError("a line of more than \(AgentProcess.longestAnswer) bytes")
      }
      var chunk = [UInt8](repeating: 0, count: 1 << 16)
      let count = read(STDIN_FILENO, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { return nil }
      buffer.append(contentsOf: chunk[..<count])
    }
  }
}
