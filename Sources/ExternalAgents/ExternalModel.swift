public import Plan
public import Simulation
internal import Support

/// A model whose situations, decisions and outcomes can be told to a program in another language.
///
/// `Experiments/AGENTS.md` is the contract: what is written here must be as it says.
public protocol ExternalModel: Environment {
  /// The members of `scenario`: sizes and tables that stay the same through a run.
  func writeScenario(to writer: inout MessageWriter)
  /// The members of `decide`.
  func write(_ situation: Situation, sight: AgentSight, to writer: inout MessageWriter)
  /// The members of `measures`.
  static func write(measures outcome: Outcome, to writer: inout MessageWriter)
  static func reward(of outcome: Outcome) -> Double
  /// Whether an episode is over when this follows a decision.
  func isEpisodeOver(before next: Situation?) -> Bool
  /// Members that `act` may have.
  static var actionMembers: [String] { get }
  /// The decision of an answer `act`.
  ///
  /// - Throws: `AgentAnswerError` for what is missing, of the wrong type, or not allowed in the situation.
  func decision(of answer: AgentAnswer, in situation: Situation) throws -> Decision
}

extension MessageWriter {
  /// The members that say which run it is; hello of agents and of environments have them in common.
  mutating func writeRun<Model: ExternalModel>(
    _ environment: Model, seed: UInt64, document: JSONValue
  ) {
    member("protocol", agentProtocolVersion)
    member("model", .text(Model.modelName))
    member("seed", Int(clamping: seed))
    object("scenario") { environment.writeScenario(to: &$0) }
    member("run", document)
    member("constants", environment.constants)
  }

  /// The members of `learn`.
  ///
  /// - Parameter next: members of the situation that follows; nil when none does.
  mutating func writeOutcome<Model: ExternalModel>(
    _ outcome: Model.Outcome, of model: Model.Type, next: [UInt8]?, isLast: Bool,
    further: (inout MessageWriter) -> Void = { _ in }
  ) {
    member("reward", Model.reward(of: outcome))
    if let next {
      object("next") { $0.members(next) }
    } else {
      null("next")
    }
    member("last", isLast)
    object("measures") { writer in
      Model.write(measures: outcome, to: &writer)
      further(&writer)
    }
  }
}

extension ExternalModel {
  /// The members of a situation as bytes, so that they can stand in two messages.
  func members(of situation: Situation, sight: AgentSight) -> [UInt8] {
    var writer = MessageWriter()
    write(situation, sight: sight, to: &writer)
    return writer.bytes
  }
}
