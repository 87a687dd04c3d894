public import Support

/// Figures of an agent that `episodes.csv` shows beside the environment's own measures.
public struct AgentStatistics: Sendable {
  /// Share of random decisions at the end of the episode; nil for an agent that does not explore so.
  public var epsilon: Double?
  /// Mean loss over the gradient steps of the episode; nil without a step.
  public var loss: Double?
  /// Gradient steps of the episode.
  public var steps: Int

  public init(epsilon: Double? = nil, loss: Double? = nil, steps: Int = 0) {
    self.epsilon = epsilon
    self.loss = loss
    self.steps = steps
  }

  /// Figures of an agent with the losses of the episode's gradient steps.
  public init(epsilon: Double? = nil, losses: Double, steps: Int) {
    self.init(epsilon: epsilon, loss: steps > 0 ? losses / Double(steps) : nil, steps: steps)
  }
}

/// Something that decides in an environment and may learn from what follows.
public protocol Agent<Model> {
  associatedtype Model: Environment

  mutating func beginEpisode(_ episode: Int, phase: Phase)
  /// The decision in a situation; exploration only in `Phase.train`.
  mutating func decide(_ situation: Model.Situation, phase: Phase) throws -> Model.Decision
  /// Learns from one decision of a training episode; `next` is nil when no situation follows.
  mutating func learn(
    _ situation: Model.Situation, _ decision: Model.Decision, _ outcome: Model.Outcome,
    next: Model.Situation?) throws
  /// The episode is over; `statistics` are asked for next.
  mutating func endEpisode() throws
  var statistics: AgentStatistics { get }
  /// What the agent fixed by itself and no parameter says, for `run.json`: reward scale, sizes of networks.
  var constants: [String: JSONValue] { get }

  /// Whether `saveState` keeps all that is needed; a run whose agent does not save starts anew after a kill.
  var savesState: Bool { get }
  /// Everything that training needs to go on to the same bytes: networks, targets, optimiser, replay buffer,
  /// random streams, schedules, scaling. Called between episodes.
  func saveState(to writer: inout StateWriter) throws
  mutating func restoreState(from reader: inout StateReader) throws
  /// What evaluation needs: the networks, their scaling, and a description of their shape.
  func savePolicy(to writer: inout StateWriter) throws
  mutating func restorePolicy(from reader: inout StateReader) throws
  /// Reads the policy of a run whose scenario may have been another one of equal shape.
  ///
  /// - Parameter trained: parameters of the run that the policy is from.
  mutating func restorePolicy(
    from reader: inout StateReader, trainedWith trained: ParameterValues) throws

  /// The agent is not needed any more.
  ///
  /// - Parameter isFinished: whether its run came to its end.
  func close(isFinished: Bool)
}

/// Agents without a memory need only `decide`.
extension Agent {
  public mutating func beginEpisode(_ episode: Int, phase: Phase) {}
  public mutating func learn(
    _ situation: Model.Situation, _ decision: Model.Decision, _ outcome: Model.Outcome,
    next: Model.Situation?
  ) throws {}
  public mutating func endEpisode() throws {}
  public var statistics: AgentStatistics { AgentStatistics() }
  public var constants: [String: JSONValue] { [:] }
  public var savesState: Bool { true }
  public func saveState(to writer: inout StateWriter) {}
  public mutating func restoreState(from reader: inout StateReader) throws {}
  public func savePolicy(to writer: inout StateWriter) {}
  public mutating func restorePolicy(from reader: inout StateReader) throws {}
  public mutating func restorePolicy(
    from reader: inout StateReader, trainedWith trained: ParameterValues
  ) throws {
    try restorePolicy(from: &reader)
  }
  public func close(isFinished: Bool) {}
}
