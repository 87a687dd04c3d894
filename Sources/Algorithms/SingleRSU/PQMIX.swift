public import Simulation
public import Support

/// P-QMIX: QMIX with plain q-networks, the baseline of MAD2RL (P1, Sec. 8.2).
///
/// Every client's q-values come from a network of three hidden layers on its observation; mixer and training are
/// those of MAD2RL, so that a difference between the two is the diffusion's.
public struct PQMIX: Agent {
  public typealias Model = SingleRSUEnvironment

  public static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "p-qmix", version: 2, summary: "QMIX with plain q-networks (P1).", isLearner: true,
    parameters: parameters, settle: QMIXLearner.settle
  ) { try PQMIX(environment: $0, parameters: $1, context: $2) }

  // MARK: Configuration

  public static let parameters: [Parameter] = QMIXLearner.parameters

  // MARK: Networks

  private let nodes: Int
  private var learner: QMIXLearner

  public init(
    environment: SingleRSUEnvironment, parameters: ParameterValues, context: AgentContext
  ) throws {
    nodes = environment.scenario.nodes
    learner = try QMIXLearner(
      environment: environment, parameters: parameters, context: context,
      diffusion: nil, mixer: parameters.text("mixer"))
  }

  public var statistics: AgentStatistics { learner.statistics }
  public var constants: [String: JSONValue] { learner.constants }

  // MARK: Act

  public mutating func beginEpisode(_ episode: Int, phase: Phase) {
    learner.beginEpisode(episode, phase: phase)
  }

  public mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    SlotDecision(actions: learner.decide(situation, phase: phase), nodes: nodes)
  }

  // MARK: Learn

  public mutating func learn(
    _ situation: SlotSituation, _ decision: SlotDecision, _ outcome: SlotOutcome,
    next: SlotSituation?
  ) throws {
    guard let next else { return }
    try learner.learn(
      situation, actions: decision.actions(nodes: nodes), reward: outcome.reward, next: next)
  }

  // MARK: State

  public func saveState(to writer: inout StateWriter) { learner.saveState(to: &writer) }
  public mutating func restoreState(from reader: inout StateReader) throws {
    try learner.restoreState(from: &reader)
  }
  public func savePolicy(to writer: inout StateWriter) { learner.savePolicy(to: &writer) }
  public mutating func restorePolicy(from reader: inout StateReader) throws {
    try learner.restorePolicy(from: &reader)
  }
  public mutating func restorePolicy(
    from reader: inout StateReader, trainedWith trained: ParameterValues
  ) throws {
    try learner.restorePolicy(from: &reader, trainedWith: trained)
  }
}
