internal import Neural
public import Simulation
public import Support

/// MAD2RL: multi-agent diffusion-based deep reinforcement learning (P1, Sec. 6 and 7, Algorithm 1).
///
/// Every client's q-values come out of a reverse diffusion of M steps that starts from Gaussian noise and is
/// guided by the client's observation; QMIX mixes the clients' values and trains all networks end to end.
public struct MAD2RL: Agent {
  public typealias Model = SingleRSUEnvironment

  public static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "mad2rl", version: 2, summary: "Diffusion-based QMIX (P1).", isLearner: true,
    parameters: parameters, settle: settle
  ) { try MAD2RL(environment: $0, parameters: $1, context: $2) }

  // MARK: Configuration

  public static let parameters: [Parameter] =
    QMIXLearner.parameters + [
      Parameter(
        "denoisingSteps", .integer(1...100), default: .integer(7), source: "P1 §8.3.1",
        "Steps M of the reverse diffusion."),
      Parameter(
        "betaMin", .number(1e-6...100), default: .number(0.1), source: "P1 (35)",
        "Least diffusion rate."),
      Parameter(
        "betaMax", .number(1e-6...1000), default: .number(10), source: "P1 (35)",
        "Greatest diffusion rate."),
      Parameter(
        "prediction", .choice(["x0", "epsilon"]), default: .text("x0"), source: "P1 (38), (40)",
        "What the denoiser predicts: the clean row x0, or the noise as printed in (41)."),
      Parameter(
        "q", .choice(["logits", "softmax"]), default: .text("logits"), source: "P1 (43)",
        "q-values: the clean row itself, or its softmax as printed."),
      Parameter(
        "noiseOutput", .choice(["linear", "tanh"]), default: .text("linear"), source: "P1 (41)",
        "Output of the denoiser."),
      Parameter(
        "clip", .optional(.number(1e-6...1e6)), default: .none, source: "P1 (38)",
        "Bound of the predicted clean row; none as printed."),
      Parameter(
        "printed", .flag, default: .flag(false), source: "P1 (41), (43), (59)",
        "All choices as the paper prints them: prediction epsilon, q softmax, noiseOutput linear, "
          + "no clip, mixer printed."),
    ]

  /// What `printed: true` stands for.
  static let printedChoices: [(key: String, value: ParameterValue)] = [
    ("prediction", .text("epsilon")), ("q", .text("softmax")), ("noiseOutput", .text("linear")),
    ("clip", .none), ("mixer", .text("printed")),
  ]

  /// Carries out `printed: true`, so that a run's record says what is computed, and checks the diffusion's coefficients.
  static func settle(_ values: inout ParameterValues, _ given: Set<String>) throws {
    try QMIXLearner.settle(&values, given)
    if values.flag("printed") {
      for (key, value) in printedChoices {
        if given.contains(key), values[key] != value {
          throw InputError(
            "contradicts printed: true, which stands for \(value.text)", key: key,
            value: values[key].text, advice: "Leave out one of the two")
        }
        values[key] = value
      }
    }
    let diffusion = diffusion(values)
    if !DiffusionSchedule(diffusion).isFinite {
      throw InputError(
        "makes coefficients of the reverse diffusion that are not finite numbers with "
          + "prediction \(values.text("prediction")) and \(diffusion.steps) steps",
        key: "betaMax", value: values["betaMax"].text, advice: "P1 uses 0.1 to 10")
    }
  }

  private static func diffusion(_ parameters: ParameterValues) -> Diffusion {
    var diffusion = Diffusion()
    diffusion.steps = parameters.integer("denoisingSteps")
    diffusion.betaMin = parameters.number("betaMin")
    diffusion.betaMax = parameters.number("betaMax")
    diffusion.prediction = parameters.text("prediction") == "epsilon" ? .epsilon : .x0
    diffusion.q = parameters.text("q") == "softmax" ? .softmax : .logits
    diffusion.noiseOutput = parameters.text("noiseOutput") == "tanh" ? .tanh : .linear
    diffusion.clip = parameters.optionalNumber("clip")
    return diffusion
  }

  // MARK: Networks

  private let nodes: Int
  private var learner: QMIXLearner

  public init(
    environment: SingleRSUEnvironment, parameters: ParameterValues, context: AgentContext
  ) throws {
    nodes = environment.scenario.nodes
    learner = try QMIXLearner(
      environment: environment, parameters: parameters, context: context,
      diffusion: MAD2RL.diffusion(parameters), mixer: parameters.text("mixer"))
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
