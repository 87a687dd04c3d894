internal import Glibc
public import Plan
public import Simulation
public import Support

/// What an external agent is told about its run, and where it is.
public struct AgentRun: Sendable {
  public var command: AgentCommand
  public var sight: AgentSight
  public var isLearner: Bool
  public var seed: UInt64
  /// Episodes of training, and of one evaluation.
  public var episodes: Int
  public var evaluationEpisodes: Int
  /// The agent's own parameters.
  public var parameters: JSONValue
  /// The run's document.
  public var document: JSONValue
  /// Absolute path of the file through which its checkpoints pass.
  public var checkpointPath: String

  public init(
    command: AgentCommand, sight: AgentSight, isLearner: Bool, seed: UInt64, episodes: Int,
    evaluationEpisodes: Int, parameters: JSONValue, document: JSONValue, checkpointPath: String
  ) {
    self.command = command
    self.sight = sight
    self.isLearner = isLearner
    self.seed = seed
    self.episodes = episodes
    self.evaluationEpisodes = evaluationEpisodes
    self.parameters = parameters
    self.document = document
    self.checkpointPath = checkpointPath
  }
}

/// An agent in another process: it decides and learns by messages (`Experiments/AGENTS.md`).
public struct ExternalAgent<Model: ExternalModel>: Agent {
  private let process: AgentProcess
  private let model: Model
  private let run: AgentRun
  /// Whether it can save and restore.
  public let savesState: Bool
  public let constants: [String: JSONValue]
  public private(set) var statistics = AgentStatistics()

  private var episode = 0
  private var phase = Phase.train
  /// Said together with the episode's first decision: a message more costs a look of the agent at its input.
  private var announcement: [UInt8] = []
  /// Members of the situation that `learn` has already told.
  private var nextMembers: [UInt8]?
  private var decisions = 0
  private var learned = 0

  /// Largest state that goes into a checkpoint, in bytes.
  private static var largestState: Int { 1 << 30 }

  /// Starts the agent and greets it.
  ///
  /// - Parameter shouldStop: whether somebody asked this process to stop.
  /// - Throws: `AgentFault` when it does not start, or does not answer as it should.
  public init(
    _ run: AgentRun, environment: Model, shouldStop: @escaping @Sendable () -> Bool
  ) throws {
    self.run = run
    model = environment
    process = try AgentProcess(run.command, shouldStop: shouldStop)
    do {
      let answer = try process.exchange(
        ExternalAgent.hello(run, environment), expecting: "ready",
        members: ["protocol", "checkpoint", "sees", "constants"],
        AgentProcess.Duty(limit: run.command.startup, "'hello'"))
      (savesState, constants) = try process.checking("'hello'") {
        let version = try answer.integer("protocol", 0...Int.max)
        if version != agentProtocolVersion {
          throw AgentAnswerError(
            "speaks protocol \(version), this program \(agentProtocolVersion)")
        }
        if let sees = answer["sees"], sees != .text(run.sight.rawValue) {
          throw AgentAnswerError(
            "wants to see \(sees.canonical): the experiment file says 'sees: \(run.sight.rawValue)' for it"
          )
        }
        return (
          try answer.flag("checkpoint", default: false), try answer.object("constants")
        )
      }
    } catch {
      process.terminate()
      throw error
    }
  }

  private static func hello(_ run: AgentRun, _ environment: Model) -> [UInt8] {
    var writer = MessageWriter(type: "hello")
    writer.member("algorithm", .text(run.command.name))
    writer.member("learner", run.isLearner)
    writer.member("sees", .text(run.sight.rawValue))
    writer.member("episodes", run.episodes)
    writer.member("evaluation_episodes", run.evaluationEpisodes)
    writer.member("parameters", run.parameters)
    writer.writeRun(environment, seed: run.seed, document: run.document)
    return writer.finish()
  }

  private func duty(_ message: @autoclosure @escaping () -> String) -> AgentProcess.Duty {
    AgentProcess.Duty(limit: run.command.silence, message())
  }

  // MARK: Episodes

  public mutating func beginEpisode(_ episode: Int, phase: Phase) {
    self.episode = episode
    self.phase = phase
    nextMembers = nil
    decisions = 0
    learned = 0
    statistics = AgentStatistics()
    var writer = MessageWriter(type: "episode")
    writer.member("episode", episode)
    writer.member("phase", .text(phase.rawValue))
    announcement += writer.finish()
  }

  public mutating func decide(
    _ situation: Model.Situation, phase: Phase
  ) throws -> Model.Decision {
    try process.checkStop()
    var writer = MessageWriter(type: "decide")
    writer.members(nextMembers ?? model.members(of: situation, sight: run.sight))
    nextMembers = nil
    decisions += 1
    let (number, episode) = (decisions, episode)
    let duty = duty("'decide' number \(number) of \(phase.rawValue) episode \(episode)")
    let answer = try process.exchange(
      takeAnnouncement() + writer.finish(), expecting: "act", members: Model.actionMembers, duty)
    return try process.checking(duty.message) { try model.decision(of: answer, in: situation) }
  }

  public mutating func learn(
    _ situation: Model.Situation, _ decision: Model.Decision, _ outcome: Model.Outcome,
    next: Model.Situation?
  ) throws {
    nextMembers = next.map { model.members(of: $0, sight: run.sight) }
    learned += 1
    var writer = MessageWriter(type: "learn")
    writer.writeOutcome(
      outcome, of: Model.self, next: nextMembers, isLast: model.isEpisodeOver(before: next))
    let (number, episode) = (decisions, episode)
    try process.send(
      writer.finish(), duty("'learn' after decision \(number) of episode \(episode)"))
  }

  public mutating func endEpisode() throws {
    var writer = MessageWriter(type: "end_episode")
    writer.member("episode", episode)
    writer.member("phase", .text(phase.rawValue))
    let (episode, phase) = (episode, phase)
    let duty = duty("'end_episode' of \(phase.rawValue) episode \(episode)")
    let answer = try process.exchange(
      takeAnnouncement() + writer.finish(), expecting: "done",
      members: ["loss", "epsilon", "steps"], duty)
    let learned = learned
    statistics = try process.checking(duty.message) {
      let finite = "it must be a finite number"
      let steps =
        answer["steps"] == nil ? learned : try answer.integer("steps", 0...Int(Int32.max))
      return AgentStatistics(
        epsilon: try answer.number("epsilon", "it must be from 0 to 1") { (0...1).contains($0) },
        loss: try answer.number("loss", finite) { $0.isFinite }, steps: steps)
    }
  }

  private mutating func takeAnnouncement() -> [UInt8] {
    defer { announcement = [] }
    return announcement
  }

  // MARK: State

  public func saveState(to writer: inout StateWriter) throws {
    writer.section("external-agent")
    writer.write(savesState)
    if savesState { writer.write(try savedState()) }
  }

  private func savedState() throws -> [UInt8] {
    let path = run.checkpointPath
    unlink(path)
    defer { unlink(path) }
    try process.exchangePath("save", path, expecting: "saved", duty("'save'"))
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw process.fault("answered 'saved', but there is no file \(path)")
    }
    guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.largestState else {
      throw process.fault(
        "saved \(status.st_size) bytes: a state is one file of at most \(Self.largestState) bytes")
    }
    return try Files.read(path)
  }

  public mutating func restoreState(from reader: inout StateReader) throws {
    try reader.section("external-agent")
    guard try reader.readFlag() else { return }
    guard savesState else {
      throw process.fault("has saved a state before, but now answers that it cannot restore one")
    }
    let path = run.checkpointPath
    try Files.write(try reader.readBytes(), to: path)
    defer { unlink(path) }
    try process.exchangePath("restore", path, expecting: "restored", duty("'restore'"))
  }

  public func savePolicy(to writer: inout StateWriter) throws { try saveState(to: &writer) }

  public mutating func restorePolicy(from reader: inout StateReader) throws {
    guard savesState else {
      throw InputError(
        "cannot restore a policy: it answers no 'checkpoint' to 'hello'", key: "algorithm",
        value: run.command.name, advice: "An agent that can save and restore can be evaluated")
    }
    try restoreState(from: &reader)
  }

  // MARK: Its end

  /// Says 'end' and waits for the agent to leave if the run is whole; ends the agent and all that it started.
  ///
  /// An agent that does not leave as it should is told of on standard error: the result is whole.
  public func close(isFinished: Bool) {
    if isFinished {
      // How it ended says more than an error of this message.
      try? process.send(MessageWriter(type: "end").finish(), duty("'end'"))
      if let problem = process.leave(within: 10) {
        let line = Array("agent '\(run.command.name)' \(problem)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
      }
    }
    process.terminate()
  }
}

extension AgentProcess {
  /// Sends a message and reads the answer to it.
  func exchange(
    _ message: [UInt8], expecting type: String, members: [String], _ duty: Duty
  ) throws -> AgentAnswer {
    try send(message, duty)
    let line = try receive(duty)
    return try checking(duty.message) {
      try AgentAnswer(line: line, expected: type, allowed: members)
    }
  }

  func exchangePath(
    _ type: StaticString, _ path: String, expecting answer: String, _ duty: Duty
  ) throws {
    var writer = MessageWriter(type: type)
    writer.member("path", .text(path))
    _ = try exchange(writer.finish(), expecting: answer, members: [], duty)
  }

  /// Puts what is wrong with an answer into the sentence about the agent.
  func checking<Result>(
    _ message: @autoclosure () -> String, _ body: () throws -> Result
  ) throws -> Result {
    do {
      return try body()
    } catch let error as AgentAnswerError {
      throw fault("\(error) (to \(message()))")
    }
  }
}
