internal import Glibc
internal import Neural
internal import Simulation
internal import Support

/// RTD: task diversion and soft actor-critic (P2, Section III, Alg. 1).
///
/// The environment's diversion picks the RSU; the agent there decides the cut and both frequencies. All RSUs
/// share one agent. What an RSU decides next is a request at the same RSU: with a discount, a transition leads
/// from one request at an RSU to the following one there. A vehicle that no RSU reaches has no agent to ask and
/// runs its task at full frequency.
struct RTD: Agent {
  typealias Model = RoadRSUEnvironment

  // MARK: Configuration

  /// How the policy's actions become a decision.
  enum Actions: String, CaseIterable {
    /// A categorical cut and two squashed Gaussians.
    case hybrid
    /// Three squashed Gaussians; the cut is the first one, scaled to 0...J and rounded down.
    case rounded
  }

  /// How an evaluation picks the cut.
  enum EvaluationCut: String, CaseIterable {
    /// The most probable one of the policy.
    case policy
    /// The one of the greatest value, by the critics.
    case value
  }

  static let parameters: [Parameter] = [
    Parameter(
      "evaluationCut", .choice(EvaluationCut.allCases.map(\.rawValue)), default: .text("value"),
      source: "ours",
      "Cut in evaluation: the policy's most probable one, or the one that the critics value most."),
    Parameter(
      "actions", .choice(Actions.allCases.map(\.rawValue)), default: .text("hybrid"),
      source: "ours",
      "Categorical cut and Gaussian frequencies, or three Gaussians with the cut rounded."),
    Parameter(
      "learningRate", .number(1e-8...1), default: .number(3e-4), source: "ours",
      "Learning rate of Adam for actor, critics and temperatures; P2 uses 0.05."),
    Parameter(
      "discount", .number(0...0.9999), default: .number(0), source: "P2 (25)",
      "Discount of the values of the following requests at the same RSU."),
    Parameter(
      "softUpdate", .number(1e-6...1), default: .number(0.005), source: "ours",
      "Share by which target networks follow at every step."),
    Parameter(
      "batchSize", .integer(1...65_536), default: .integer(256), source: "ours",
      "Transitions of a mini-batch."),
    Parameter(
      "hidden", .list(of: .integer(1...4096), count: 1...4),
      default: .list([.integer(256), .integer(256)]), source: "ours",
      "Widths of the hidden layers of actor and critics."),
    Parameter(
      "replayCapacity", .integer(1...10_000_000), default: .integer(100_000), source: "ours",
      "Transitions that the replay buffer holds."),
    Parameter(
      "warmupTasks", .integer(1...10_000_000), default: .integer(1024), unit: "tasks",
      source: "ours",
      "Transitions with uniformly random decisions before learning begins."),
    Parameter(
      "updatesPerTask", .integer(1...64), default: .integer(1), source: "ours",
      "Gradient steps for every transition."),
    Parameter(
      "leastTemperature", .number(1e-6...1000), default: .number(0.001), source: "P2 IV-A",
      "Least temperature of the entropy."),
    Parameter(
      "greatestTemperature", .number(1e-6...1000), default: .number(1), source: "P2 IV-A",
      "Greatest temperature of the entropy."),
    Parameter(
      "firstTemperature", .number(1e-6...1000), default: .number(0.1), source: "ours",
      "Temperature at the start."),
    Parameter(
      "cutEntropy", .number(0...1), default: .number(0.1), source: "ours",
      "Entropy that the cut is held at, as a share of that of a uniform cut."),
    Parameter(
      "frequencyEntropy", .number(-20...0.69), default: .number(-1), unit: "nat",
      source: "SAC", "Entropy that each Gaussian action is held at."),
    Parameter(
      "learningRateEnd", .number(0...1), default: .number(1), source: "ours",
      "Share of the learning rate that is left at the end of training; it falls linearly."),
    RewardBaseline.parameter,
    FrequencyRange.parameter,
  ]

  private let model: TaskModel
  private let observation: TaskObservation
  private let actions: Actions
  private let evaluationCut: EvaluationCut
  private let range: FrequencyRange
  private let baseline: RewardBaseline
  private let warmUp: Int
  private let updatesPerTask: Int
  private let rates: (first: Double, last: Double)
  private let episodes: Int

  // MARK: Networks and memory

  private let sac: HybridSAC
  private let batch: HybridBatch
  private var chain: RequestChain
  private(set) var buffer: TransitionBuffer
  private(set) var rewardScale: RewardStandardisation
  private var exploration: RandomStream
  private var replay: RandomStream
  private var learningRate = 0.0
  private var losses = 0.0
  private var steps = 0

  init(
    environment: RoadRSUEnvironment, parameters: ParameterValues, context: AgentContext
  ) throws {
    let seed = context.seed
    model = environment.model
    observation = environment.observation
    actions = Actions(rawValue: parameters.text("actions")) ?? .hybrid
    evaluationCut = EvaluationCut(rawValue: parameters.text("evaluationCut")) ?? .value
    range = FrequencyRange(parameters)
    baseline = RewardBaseline(parameters)
    episodes = context.episodes
    rates.first = parameters.number("learningRate")
    rates.last = rates.first * parameters.number("learningRateEnd")
    warmUp = parameters.integer("warmupTasks")
    updatesPerTask = parameters.integer("updatesPerTask")
    let least = parameters.number("leastTemperature")
    let greatest = parameters.number("greatestTemperature")
    guard least <= greatest else {
      throw InputError(
        "is greater than greatestTemperature", key: "leastTemperature",
        value: parameters["leastTemperature"].text, advice: "P2 keeps it within 0.001 and 1")
    }
    let mostCuts = (model.types.map(\.layers).max() ?? 0) + 1
    var settings = HybridSACSettings(
      observation: observation.requestCount + TaskObservation.linkCount,
      choices: actions == .hybrid ? mostCuts : 1, continuous: actions == .hybrid ? 2 : 3)
    settings.hidden = parameters.integers("hidden")
    settings.discount = parameters.number("discount")
    settings.softUpdate = parameters.number("softUpdate")
    settings.batch = parameters.integer("batchSize")
    settings.temperatures = least...greatest
    settings.firstTemperature = parameters.number("firstTemperature")
    settings.choiceEntropy = parameters.number("cutEntropy")
    settings.continuousEntropy = parameters.number("frequencyEntropy")
    var initialisation = RandomStream(seed: seed, .initialisation)
    sac = HybridSAC(settings, kernels: context.kernels, using: &initialisation)
    batch = HybridBatch(settings)
    buffer = TransitionBuffer(
      capacity: parameters.integer("replayCapacity"),
      stateCount: settings.observation, actionCount: settings.continuous)
    exploration = RandomStream(seed: seed, .exploration)
    replay = RandomStream(seed: seed, .replay)
    chain = RequestChain(rsus: model.rsuCount, discount: settings.discount)
    rewardScale = RewardStandardisation(types: model.types.count, discount: settings.discount)
  }

  // MARK: Acting

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    chain.beginEpisode()
    losses = 0
    steps = 0
    let progress = min(Double(episode - 1) / Double(max(episodes - 1, 1)), 1)
    learningRate = rates.first + (rates.last - rates.first) * progress
  }

  private func observe(_ situation: TaskSituation, _ link: RSULink) -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(sac.settings.observation)
    observation.appendRequest(situation, to: &values)
    observation.appendLink(link, to: &values)
    return values
  }

  /// How many choices the policy has for a task.
  private func allowedChoices(_ situation: TaskSituation) -> Int {
    actions == .hybrid ? model.types[situation.type].layers + 1 : 1
  }

  /// - Throws: `InputError` if the policy is no longer finite.
  mutating func decide(_ situation: TaskSituation, phase: Phase) throws -> TaskDecision {
    guard let diverted = situation.diverted else { return model.local(situation) }
    let link = situation.links[diverted]
    let state = observe(situation, link)
    let allowed = allowedChoices(situation)
    var choice: Int
    var values: [Float]
    if phase == .eval, evaluationCut == .value {
      (choice, values) = sac.judge(state, allowed: allowed)
    } else if phase == .eval {
      var none: RandomStream?
      (choice, values) = sac.act(state, allowed: allowed, stream: &none)
    } else if rewardScale.isFixed {
      var stream: RandomStream? = exploration
      (choice, values) = sac.act(state, allowed: allowed, stream: &stream)
      exploration = stream ?? exploration
    } else {
      choice = exploration.index(below: allowed)
      values = (0..<sac.settings.continuous).map { _ in Float(exploration.uniform(-1, 1)) }
    }
    guard values.allSatisfy(\.isFinite) else {
      throw InputError(
        "the training diverged: the policy's actions are not finite numbers", key: "learningRate",
        advice: "Lower the learning rate")
    }
    let layers = model.types[situation.type].layers
    let positions = values.map { (Double($0) + 1) / 2 }
    let cut =
      actions == .hybrid ? choice : min(Int(positions[2] * Double(layers + 1)), layers)
    return TaskDecision(
      cut: cut, rsu: cut < layers ? link.rsu : 0,
      vehicleFrequency: range.frequency(
        positions[0], greatest: model.constants.vehicleFrequency),
      rsuFrequency: range.frequency(positions[1], greatest: model.constants.rsuFrequency),
      drawn: values)
  }

  // MARK: Learning

  mutating func learn(
    _ situation: TaskSituation, _ decision: TaskDecision, _ outcome: DecidedTask,
    next: TaskSituation?
  ) {
    guard let diverted = situation.diverted else { return }
    let link = situation.links[diverted]
    let request = Transition(
      state: observe(situation, link), type: situation.type, allowed: allowedChoices(situation),
      choice: actions == .hybrid ? decision.cut : 0, actions: decision.drawn,
      reward: baseline.reward(outcome, model))
    guard let transition = chain.append(request, rsu: link.rsu - 1) else { return }
    buffer.append(transition)
    if !rewardScale.isFixed {
      guard buffer.count >= warmUp else { return }
      rewardScale.fix(by: buffer)
    }
    for _ in 0..<updatesPerTask {
      sampleBatch()
      losses += sac.trainStep(batch, learningRate: learningRate, using: &replay).criticLoss
      steps += 1
    }
  }

  private mutating func sampleBatch() {
    for b in 0..<batch.size {
      let row = replay.index(below: buffer.count)
      for i in 0..<buffer.stateCount {
        batch.states[b, i] = buffer.state(row, i)
        batch.nextStates[b, i] = buffer.nextState(row, i)
      }
      for k in 0..<buffer.actionCount {
        batch.actions[b * buffer.actionCount + k] = buffer.action(row, k)
      }
      batch.choices[b] = buffer.choice(row)
      batch.allowed[b] = buffer.allowed(row)
      batch.nextAllowed[b] = buffer.nextAllowed(row)
      batch.rewards[b] = rewardScale.scaled(buffer.reward(row), type: buffer.type(row))
    }
  }

  var statistics: AgentStatistics {
    AgentStatistics(losses: losses, steps: steps)
  }

  var constants: [String: JSONValue] { ["rewards": rewardScale.json] }

  // MARK: State

  func saveState(to writer: inout StateWriter) {
    writer.section("rtd")
    sac.save(to: &writer)
    buffer.save(to: &writer)
    rewardScale.save(to: &writer)
    writer.write(exploration)
    writer.write(replay)
  }

  mutating func restoreState(from reader: inout StateReader) throws {
    try reader.section("rtd")
    try sac.restore(from: &reader)
    try buffer.restore(from: &reader)
    try rewardScale.restore(from: &reader)
    exploration = try reader.readStream()
    replay = try reader.readStream()
  }

  func savePolicy(to writer: inout StateWriter) {
    writer.section("rtd-policy")
    sac.save(to: &writer)
  }

  mutating func restorePolicy(from reader: inout StateReader) throws {
    try reader.section("rtd-policy")
    try sac.restore(from: &reader)
  }

  static let algorithm = Algorithm<RoadRSUEnvironment>(
    name: "rtd", version: 2,
    summary: "RTD: diversion, then soft actor-critic for the cut and both frequencies.",
    isLearner: true, parameters: parameters
  ) { try RTD(environment: $0, parameters: $1, context: $2) }
}
