internal import Glibc
internal import Neural
internal import Simulation
internal import Support

struct RTDSettings: Settings {
  /// How the policy's actions become a decision.
  enum Actions: String, CaseIterable, DescribedSettingValue {
    /// A categorical cut and two squashed Gaussians.
    case hybrid
    /// Three squashed Gaussians; the cut is the first one, scaled to 0...J and rounded down.
    case rounded
  }

  @Setting(
    source: "ours",
    "Categorical cut and Gaussian frequencies, or three Gaussians with the cut rounded.")
  var actions = Actions.hybrid
  @Setting(
    1e-8...1, source: "ours",
    "Learning rate of Adam for actor, critics and temperatures; P2 uses 0.05.")
  var learningRate = 0.001
  @Setting(1e-6...1, source: "ours", "Share by which target networks follow at every step.")
  var softUpdate = 0.005
  @Setting(1...65_536, source: "ours", "Transitions of a mini-batch.")
  var batchSize = 256
  @Setting(
    each: 1...4096, count: 1...4, source: "ours",
    "Widths of the hidden layers of actor and critics.")
  var hidden = [256, 256]
  @Setting(1...10_000_000, source: "ours", "Transitions that the replay buffer holds.")
  var replayCapacity = 100_000
  @Setting(
    1...10_000_000, unit: "tasks", source: "ours",
    "Transitions with uniformly random decisions before learning begins.")
  var warmupTasks = 1024
  @Setting(1...64, source: "ours", "Gradient steps for every transition.")
  var updatesPerTask = 1
  @Setting(1e-6...1000, source: "P2 IV-A", "Least temperature of the entropy.")
  var leastTemperature = 0.001
  @Setting(1e-6...1000, source: "P2 IV-A", "Greatest temperature of the entropy.")
  var greatestTemperature = 1.0
  @Setting(1e-6...1000, source: "ours", "Temperature at the start.")
  var firstTemperature = 0.1
  @Setting(
    0...1, source: "ours",
    "Entropy that the cut is held at, as a share of that of a uniform cut.")
  var cutEntropy = 0.1
  @Setting(-20...0.69, unit: "nat", source: "SAC", "Entropy that each Gaussian action is held at.")
  var frequencyEntropy = -1.0
  var learning = TaskLearning()
  var range = FrequencyRange()
}

/// RTD: task diversion and soft actor-critic (P2, Section III, Alg. 1).
///
/// The environment's diversion picks the RSU; the agent there decides the cut and both frequencies. All RSUs
/// share one agent. What an RSU decides next is a request at the same RSU: with a discount, a transition leads
/// from one request at an RSU to the following one there. A vehicle that no RSU reaches has no agent to ask and
/// runs its task at full frequency.
struct RTD: Agent {
  typealias Model = RoadRSUEnvironment

  private let settings: RTDSettings
  private let model: TaskModel
  private let observation: TaskObservation
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
    environment: RoadRSUEnvironment, settings: RTDSettings, context: AgentContext
  ) throws {
    self.settings = settings
    model = environment.model
    observation = environment.observation
    episodes = context.episodes
    guard settings.leastTemperature <= settings.greatestTemperature else {
      throw InputError(
        "is greater than greatestTemperature", key: settings.$leastTemperature.key,
        value: CSVWriter.text(of: settings.leastTemperature),
        advice: "P2 keeps it within 0.001 and 1")
    }
    let mostCuts = (model.types.map(\.layers).max() ?? 0) + 1
    let isHybrid = settings.actions == .hybrid
    var sizes = HybridSACSettings(
      observation: observation.requestCount + TaskObservation.linkCount,
      choices: isHybrid ? mostCuts : 1, continuous: isHybrid ? 2 : 3)
    sizes.hidden = settings.hidden
    sizes.discount = settings.learning.discount
    sizes.softUpdate = settings.softUpdate
    sizes.batch = settings.batchSize
    sizes.temperatures = settings.leastTemperature...settings.greatestTemperature
    sizes.firstTemperature = settings.firstTemperature
    sizes.choiceEntropy = settings.cutEntropy
    sizes.continuousEntropy = settings.frequencyEntropy
    var initialisation = RandomStream(seed: context.seed, .initialisation)
    sac = HybridSAC(sizes, kernels: context.kernels, using: &initialisation)
    batch = HybridBatch(sizes)
    buffer = TransitionBuffer(
      capacity: settings.replayCapacity, stateCount: sizes.observation,
      actionCount: sizes.continuous)
    exploration = RandomStream(seed: context.seed, .exploration)
    replay = RandomStream(seed: context.seed, .replay)
    chain = RequestChain(rsus: model.rsuCount, discount: sizes.discount)
    rewardScale = RewardStandardisation(types: model.types.count, discount: sizes.discount)
  }

  // MARK: Acting

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    chain.beginEpisode()
    losses = 0
    steps = 0
    learningRate = settings.learning.rate(
      settings.learningRate, episode: episode, of: episodes)
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
    settings.actions == .hybrid ? model.types[situation.type].layers + 1 : 1
  }

  /// - Throws: `InputError` if the policy is no longer finite.
  mutating func decide(_ situation: TaskSituation, phase: Phase) throws -> TaskDecision {
    guard let diverted = situation.diverted else { return model.local(situation) }
    let link = situation.links[diverted]
    let state = observe(situation, link)
    let allowed = allowedChoices(situation)
    var choice: Int
    var values: [Float]
    if phase == .eval {
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
      settings.actions == .hybrid ? choice : min(Int(positions[2] * Double(layers + 1)), layers)
    return TaskDecision(
      cut: cut, rsu: cut < layers ? link.rsu : 0,
      vehicleFrequency: settings.range.frequency(
        positions[0], greatest: model.constants.vehicleFrequency),
      rsuFrequency: settings.range.frequency(positions[1], greatest: model.constants.rsuFrequency),
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
      choice: settings.actions == .hybrid ? decision.cut : 0, actions: decision.drawn,
      reward: settings.learning.rewardBaseline.reward(outcome, model))
    guard let transition = chain.append(request, rsu: link.rsu - 1) else { return }
    buffer.append(transition)
    if !rewardScale.isFixed {
      guard buffer.count >= settings.warmupTasks else { return }
      rewardScale.fix(by: buffer)
    }
    for _ in 0..<settings.updatesPerTask {
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
    isLearner: true, parameters: RTDSettings.parameters, settle: TaskLearning.settle
  ) { try RTD(environment: $0, settings: RTDSettings($1), context: $2) }
}
