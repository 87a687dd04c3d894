internal import Neural
internal import Simulation
internal import Support

/// Settings of P-QMIX: the training procedure of P1, Sec. 7.5, around plain q-networks.
struct PQMIXSettings: Settings {
  /// What the networks and the gradient step need.
  var training = QMIXTraining()
  @Setting(1...10_000_000, source: "ours", "Transitions that the replay buffer holds.")
  var replayCapacity = 6_000
  @Setting(
    1...100_000, unit: "episodes", source: "ours",
    "Episodes before the first gradient step; they fix the reward scale.")
  var warmupEpisodes = 10
  @Setting(0...1, source: "ours", "Share of random actions at the start.")
  var epsilonStart = 1.0
  @Setting(0...1, source: "ours", "Share of random actions after the decay.")
  var epsilonEnd = 0.05
  @Setting(
    0...1, source: "ours", "Share of all training steps over which epsilon falls linearly.")
  var epsilonDecayShare = 1.0 / 3
  @Setting(
    source: "ours", "Clients of one DNN type share a network instead of each having its own.")
  var shared = false

  /// Some episodes must be left to learn in.
  func check(_ all: ParameterValues, given: Set<String>) throws {
    let run = TrainingRunSettings(all)
    guard warmupEpisodes >= run.episodes else { return }
    let isWarmupGiven = given.contains($warmupEpisodes.key)
    throw InputError(
      "leaves no episode to learn in, there are \(run.episodes)",
      key: isWarmupGiven ? $warmupEpisodes.key : run.$episodes.key,
      value: String(isWarmupGiven ? warmupEpisodes : run.episodes),
      advice: "warmupEpisodes (\(warmupEpisodes)) must be less than episodes (\(run.episodes))")
  }
}

/// Settings of MAD2RL: those of P-QMIX, and the reverse diffusion.
struct MAD2RLSettings: Settings {
  var qmix = PQMIXSettings()
  var diffusion = Diffusion()
  @Setting(
    source: "P1 (41), (43), (59)",
    "All choices as the paper prints them: prediction epsilon, q softmax, noiseOutput linear, "
      + "no clip, mixer printed.")
  var printed = false

  /// Carries out `printed: true`, so that a run's record says what is computed, and checks the diffusion's
  /// coefficients.
  mutating func settle(_ all: ParameterValues, given: Set<String>) throws {
    try qmix.check(all, given: given)
    if printed {
      try choose(\.qmix.training.mixer, qmix.training.$mixer, .linear, given)
      try choose(\.diffusion.prediction, diffusion.$prediction, .epsilon, given)
      try choose(\.diffusion.q, diffusion.$q, .softmax, given)
      try choose(\.diffusion.noiseOutput, diffusion.$noiseOutput, .linear, given)
      try choose(\.diffusion.clip, diffusion.$clip, nil, given)
    }
    if !DiffusionSchedule(diffusion).isFinite {
      throw InputError(
        "makes coefficients of the reverse diffusion that are not finite numbers with "
          + "prediction \(diffusion.prediction) and \(diffusion.steps) steps",
        key: diffusion.$betaMax.key, value: diffusion.betaMax.parameterValue.text,
        advice: "P1 uses 0.1 to 10")
    }
  }

  private mutating func choose<Value: SettingValue & Equatable>(
    _ field: WritableKeyPath<Self, Value>, _ parameter: Parameter, _ choice: Value,
    _ given: Set<String>
  ) throws {
    if given.contains(parameter.key), self[keyPath: field] != choice {
      throw InputError(
        "contradicts printed: true, which stands for \(choice.parameterValue.text)",
        key: parameter.key, value: self[keyPath: field].parameterValue.text,
        advice: "Leave out one of the two")
    }
    self[keyPath: field] = choice
  }
}

/// QMIX on joint transitions, in two forms: MAD2RL and its baseline P-QMIX (P1, Sec. 6 to 8).
///
/// Every client's q-values come from its own network and its own observation: with **MAD2RL** out of a reverse diffusion
/// of M steps that starts from Gaussian noise (Algorithm 1), with **P-QMIX** out of a plain network. The mixer (59) joins
/// the values taken and trains all networks end to end, so that a difference between the two is the diffusion's.
/// Acting is epsilon-greedy; one replay buffer of joint transitions; after the warm-up one gradient step a slot on the
/// loss (60), (61), and the soft update (62), (63). What a step does with networks is in `QMIXCore.trainStep`.
struct QMIX: Agent {
  typealias Model = SingleRSUEnvironment

  static let mad2rl = Algorithm<SingleRSUEnvironment>(
    name: "mad2rl", version: 2, summary: "Diffusion-based QMIX (P1).", isLearner: true,
    settings: MAD2RLSettings.self, settle: { try $0.settle($1, given: $2) },
    make: {
      try QMIX(environment: $0, settings: $1.qmix, diffusion: $1.diffusion, context: $2)
    })

  static let pQMIX = Algorithm<SingleRSUEnvironment>(
    name: "p-qmix", version: 2, summary: "QMIX with plain q-networks (P1).", isLearner: true,
    settings: PQMIXSettings.self, settle: { try $0.check($1, given: $2) },
    make: { try QMIX(environment: $0, settings: $1, diffusion: nil, context: $2) })

  // MARK: Networks

  private let core: QMIXCore
  private let batch: JointBatch
  private let actions: [Int]
  private let observation: Int
  private let nodes: Int
  private let isShared: Bool
  private let typeNames: [String]
  private let typeOfClient: [Int]
  private(set) var buffer: JointReplayBuffer
  private let exploration: ExplorationSchedule
  private let warmupEpisodes: Int
  private var rewardScale = RewardScale()

  private let evaluationNoise: RandomField
  /// Noise of training, of acting and learning alike.
  private var noise: NoiseStream
  private var noiseOfEvaluation: NoiseStream
  private var explorationStream: RandomStream
  private var replayStream: RandomStream

  private var episode = 0
  /// Decisions taken in training so far.
  private var step = 0
  private var losses = (sum: 0.0, count: 0)

  /// - Parameter diffusion: nil for plain q-networks.
  init(
    environment: SingleRSUEnvironment, settings: PQMIXSettings, diffusion: Diffusion?,
    context: AgentContext
  ) throws {
    let scenario = environment.scenario
    actions = (0..<scenario.clients).map { scenario.actions(ofClient: $0) }
    observation = scenario.observationSize
    nodes = scenario.nodes
    isShared = settings.shared
    typeNames = scenario.typeNames
    typeOfClient = scenario.typeOfClient
    var shape = QMIXSettings(actions: actions, observation: observation)
    shape.training = settings.training
    shape.diffusion = diffusion
    if isShared { shape.networkOfAgent = scenario.typeOfClient }
    let seed = context.seed
    var initialisation = RandomStream(seed: seed, .initialisation)
    core = try QMIXCore(shape, kernels: context.kernels, using: &initialisation)
    batch = JointBatch(shape)
    buffer = JointReplayBuffer(
      capacity: settings.replayCapacity, agents: actions.count,
      stateSize: actions.count * observation,
      maskSize: scenario.v2vRange != nil || scenario.taskProbability < 1
        ? actions.reduce(0, +) : 0)
    exploration = ExplorationSchedule(
      start: settings.epsilonStart, end: settings.epsilonEnd,
      steps: Int(settings.epsilonDecayShare * Double(context.episodes * scenario.slots)))
    warmupEpisodes = settings.warmupEpisodes
    noise = NoiseStream(seed: RandomField(seed: seed, .diffusionNoise).bits(0))
    evaluationNoise = RandomField(seed: seed, .evaluationNoise)
    noiseOfEvaluation = NoiseStream(seed: evaluationNoise.bits(0))
    explorationStream = RandomStream(seed: seed, .exploration)
    replayStream = RandomStream(seed: seed, .replay)
  }

  var statistics: AgentStatistics {
    AgentStatistics(
      epsilon: exploration.epsilon(step: step), losses: losses.sum, steps: losses.count)
  }

  /// What rewards are divided by before they are learnt from.
  var rewardDivisor: Double { rewardScale.divisor }

  /// What the losses are measured in, and what of networks and optimiser no parameter says.
  var constants: [String: JSONValue] {
    let settings = core.settings
    return [
      "rewardDivisor": .number(rewardDivisor),
      "trainedParameters": .integer(core.store.layout.parameterCount),
      "mixerEmbedding": .integer(settings.mixerEmbedding),
      "hypernetworkHidden": .list(settings.hyperHidden.map { .integer($0) }),
      "adamBeta1": .number(settings.adam.beta1),
      "adamBeta2": .number(settings.adam.beta2),
      "adamEpsilon": .number(settings.adam.epsilon),
    ]
  }

  // MARK: Act

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    losses = (0, 0)
    switch phase {
    case .train: self.episode = episode
    case .eval:
      // The noise of an evaluation depends on its episode alone, not on how often was evaluated before.
      noiseOfEvaluation = NoiseStream(seed: evaluationNoise.bits(episode))
    }
  }

  /// Every client's action: greedy by its q-values or, in training with probability epsilon, random.
  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    let epsilon = phase == .train ? exploration.epsilon(step: step) : 0
    if phase == .train { step += 1 }
    var stream = phase == .train ? noise : noiseOfEvaluation
    defer { if phase == .train { noise = stream } else { noiseOfEvaluation = stream } }
    let chosen = actions.indices.map { client in
      let allowed = allowedActions(situation, client)
      if epsilon > 0, explorationStream.uniform() < epsilon {
        guard let allowed else { return explorationStream.index(below: actions[client]) }
        let choices = allowed.indices.filter { allowed[$0] }
        return choices[explorationStream.index(below: choices.count)]
      }
      return core.greedyAction(
        agent: client, observation: situation.observation(ofClient: client), allowed: allowed,
        noise: &stream)
    }
    return SlotDecision(actions: chosen, nodes: nodes)
  }

  // MARK: Learn

  /// Stores the transition and, after the warm-up, takes one gradient step.
  ///
  /// The end of an episode is a truncation: its last transition bootstraps like any other.
  mutating func learn(
    _ situation: SlotSituation, _ decision: SlotDecision, _ outcome: SlotOutcome,
    next: SlotSituation?
  ) throws {
    guard let next else { return }
    let reward = outcome.reward
    buffer.append(
      state: situation.jointState(), actions: decision.actions(nodes: nodes), reward: reward,
      nextState: next.jointState(),
      nextAllowed: buffer.maskSize == 0
        ? [] : actions.indices.flatMap { allowedActions(next, $0) ?? [] })
    guard episode > warmupEpisodes else {
      rewardScale.add(reward)
      return
    }
    buffer.sample(into: batch, rewardScale: rewardScale.divisor, using: &replayStream)
    let result = core.trainStep(batch, noise: &noise)
    guard result.loss.isFinite, result.gradientNorm.isFinite else {
      let what =
        result.loss.isFinite
        ? "the gradients' norm is \(result.gradientNorm)" : "the loss is \(result.loss)"
      throw InputError(
        "training diverged: \(what) in episode \(episode)",
        advice: "Try a smaller learningRate, another prediction, q or clip, or a smaller betaMax")
    }
    losses.sum += result.loss
    losses.count += 1
  }

  /// One flag per action a = cut * J + node; nil when nothing is restricted.
  ///
  /// A client out of every service vehicle's range keeps the RSU, so there always is an action. One without a task has
  /// the first of its all-local actions alone, which does nothing then.
  private func allowedActions(_ situation: SlotSituation, _ client: Int) -> [Bool]? {
    guard buffer.maskSize > 0 else { return nil }
    guard situation.tasks[client] else {
      let idle = actions[client] - nodes
      return (0..<actions[client]).map { $0 == idle }
    }
    let nodes = (0..<nodes).map { situation.allows(client: client, node: $0) }
    return (0..<actions[client]).map { nodes[$0 % nodes.count] }
  }

  // MARK: State

  func saveState(to writer: inout StateWriter) {
    save(.training, to: &writer)
    writer.section("qmix-learner")
    writer.write(episode)
    writer.write(step)
    writer.write(noise.block)
    writer.write(explorationStream)
    writer.write(replayStream)
    rewardScale.save(to: &writer)
    buffer.save(to: &writer)
  }

  mutating func restoreState(from reader: inout StateReader) throws {
    try restore(.training, from: &reader)
    try reader.section("qmix-learner")
    episode = try reader.readInteger()
    step = try reader.readInteger()
    noise.block = try reader.readWord()
    explorationStream = try reader.readStream()
    replayStream = try reader.readStream()
    try rewardScale.restore(from: &reader)
    try buffer.restore(from: &reader)
  }

  func savePolicy(to writer: inout StateWriter) { save(.policy, to: &writer) }

  mutating func restorePolicy(from reader: inout StateReader) throws {
    try restore(.policy, from: &reader)
  }

  /// A policy with a network for each DNN type serves any number of clients of these types.
  mutating func restorePolicy(
    from reader: inout StateReader, trainedWith trained: ParameterValues
  ) throws {
    guard isShared else { return try restorePolicy(from: &reader) }
    try reader.section("qmix")
    let actions = try reader.readArray(of: Int.self)
    let observation = try reader.readInteger()
    let bytes = try reader.readBytes()
    let known = SingleRSUEnvironment.profileNames(trained)
    let networks = try typeNames.map { name in
      if let network = known.firstIndex(of: name) { return network }
      throw InputError(
        "the policy has no network for this DNN", key: "dnnTypes", value: name,
        advice: "It has one for each of \(known.joined(separator: ", "))")
    }
    for (client, count) in self.actions.enumerated() {
      let name = typeNames[typeOfClient[client]]
      guard known.contains(name), actions.contains(count), observation == self.observation else {
        throw otherShape(actions, observation)
      }
    }
    try core.restoreNetworks(bytes, savedNetworks: networks)
  }

  /// The shape comes first, so that a policy meets networks of another shape with a sentence, not a crash.
  private func save(_ extent: ParameterStore.Extent, to writer: inout StateWriter) {
    writer.section("qmix")
    writer.write(array: actions)
    writer.write(observation)
    writer.write(core.saveState(extent))
  }

  private mutating func restore(
    _ extent: ParameterStore.Extent, from reader: inout StateReader
  ) throws {
    try reader.section("qmix")
    let actions = try reader.readArray(of: Int.self)
    let observation = try reader.readInteger()
    guard actions == self.actions, observation == self.observation else {
      throw otherShape(actions, observation)
    }
    try core.restoreState(reader.readBytes(), extent)
  }

  private func otherShape(_ actions: [Int], _ observation: Int) -> InputError {
    InputError(
      "the policy is of another shape: it was trained for \(actions.count) clients with "
        + "\(actions) actions and observations of \(observation) numbers, clients here: "
        + "\(self.actions.count), with \(self.actions) actions and \(self.observation) numbers",
      advice: "Evaluate with the same serviceVehicles and DNNs of as many layers; the number of "
        + "clients may differ if the policy was trained with 'shared: true'")
  }
}
