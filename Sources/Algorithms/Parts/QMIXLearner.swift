internal import Neural
internal import Simulation
internal import Support

/// What MAD2RL and P-QMIX have in common: the training procedure of P1, Sec. 7.5, around the agents' networks.
///
/// Acting is epsilon-greedy; one replay buffer of joint transitions; after the warm-up one gradient step a slot on
/// the loss (60), (61) through the mixer (59), and the soft update (62), (63).
struct QMIXLearner {
  /// The parameters of the training procedure.
  static let parameters: [Parameter] = [
    Parameter(
      "learningRate", .number(1e-8...1), default: .number(5e-4), source: "P1 §8.1",
      "Step size of Adam."),
    Parameter(
      "discount", .number(0...0.9999), default: .number(0.99), source: "P1 §8.1",
      "Weight of the next slot's value in the target; 0 minimises each slot's objective."),
    Parameter(
      "softUpdate", .number(1e-6...1), default: .number(0.001), source: "P1 (62), §8.1",
      "Share of the online networks that enters the target networks after each step."),
    Parameter(
      "batchSize", .integer(1...4096), default: .integer(64), source: "ours",
      "Transitions of a mini-batch."),
    Parameter(
      "replayCapacity", .integer(1...10_000_000), default: .integer(100_000), source: "ours",
      "Transitions that the replay buffer holds."),
    Parameter(
      "warmupEpisodes", .integer(1...100_000), default: .integer(10), unit: "episodes",
      source: "ours", "Episodes before the first gradient step; they fix the reward scale."),
    Parameter(
      "epsilonStart", .number(0...1), default: .number(1), source: "ours",
      "Share of random actions at the start."),
    Parameter(
      "epsilonEnd", .number(0...1), default: .number(0.05), source: "ours",
      "Share of random actions after the decay."),
    Parameter(
      "epsilonDecayShare", .number(0...1), default: .number(1.0 / 3), source: "ours",
      "Share of all training steps over which epsilon falls linearly."),
    Parameter(
      "gradientClip", .optional(.number(1e-6...1e9)), default: .number(10), source: "ours",
      "Bound of the norm of all gradients together."),
    Parameter(
      "mixer", .choice(["monotonic", "printed"]), default: .text("monotonic"), source: "P1 (59)",
      "monotonic: QMIX's non-negative weights and ELU; printed: linear, unconstrained."),
    Parameter(
      "shared", .flag, default: .flag(false), source: "ours",
      "Clients of one DNN type share a network instead of each having its own."),
    Parameter(
      "hidden", .list(of: .integer(1...4096), count: 1...8),
      default: .list([.integer(256), .integer(256), .integer(256)]), source: "P1 §8.1",
      "Widths of the hidden layers of an agent's network."),
  ]

  private let core: QMIXCore
  private let kernels: Kernels
  private let batch: JointBatch
  private let actions: [Int]
  private let observation: Int
  private let nodes: Int
  private let isShared: Bool
  private let typeNames: [String]
  private let typeOfClient: [Int]
  private var buffer: JointReplayBuffer
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

  /// - Parameters:
  ///   - diffusion: Settings of the reverse diffusion; nil for plain q-networks.
  ///   - mixer: `monotonic` or `printed`.
  init(
    environment: SingleRSUEnvironment, parameters: ParameterValues, context: AgentContext,
    diffusion: Diffusion?, mixer: String
  ) throws {
    let scenario = environment.scenario
    actions = (0..<scenario.clients).map { scenario.actions(ofClient: $0) }
    observation = scenario.observationSize
    nodes = scenario.nodes
    isShared = parameters.flag("shared")
    typeNames = scenario.typeNames
    typeOfClient = scenario.typeOfClient
    var settings = QMIXSettings(actions: actions, observation: observation)
    settings.hidden = parameters.integers("hidden")
    settings.diffusion = diffusion
    settings.mixer = mixer == "printed" ? .linear : .monotonic
    settings.gamma = parameters.number("discount")
    settings.adam = Adam(learningRate: parameters.number("learningRate"))
    settings.softUpdate = parameters.number("softUpdate")
    settings.clipNorm = parameters.optionalNumber("gradientClip")
    settings.batch = parameters.integer("batchSize")
    if isShared { settings.networkOfAgent = scenario.typeOfClient }
    kernels = context.kernels
    let seed = context.seed
    var initialisation = RandomStream(seed: seed, .initialisation)
    core = try QMIXCore(settings, kernels: kernels, using: &initialisation)
    batch = JointBatch(settings)
    buffer = JointReplayBuffer(
      capacity: parameters.integer("replayCapacity"), agents: actions.count,
      stateSize: actions.count * observation,
      maskSize: scenario.v2vRange != nil || scenario.taskProbability < 1
        ? actions.reduce(0, +) : 0)
    exploration = ExplorationSchedule(
      start: parameters.number("epsilonStart"), end: parameters.number("epsilonEnd"),
      steps: Int(parameters.number("epsilonDecayShare") * Double(context.episodes * scenario.slots))
    )
    warmupEpisodes = parameters.integer("warmupEpisodes")
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

  /// What the losses are measured in, and what of networks and optimiser no parameter says.
  var constants: [String: JSONValue] {
    let settings = core.settings
    return [
      "rewardDivisor": .number(rewardScale.divisor),
      "trainedParameters": .integer(core.store.layout.parameterCount),
      "mixerEmbedding": .integer(settings.mixerEmbedding),
      "hypernetworkHidden": .list(settings.hyperHidden.map { .integer($0) }),
      "adamBeta1": .number(settings.adam.beta1),
      "adamBeta2": .number(settings.adam.beta2),
      "adamEpsilon": .number(settings.adam.epsilon),
    ]
  }

  /// What holds for both learners: some episodes must be left to learn in.
  static func settle(_ values: inout ParameterValues, _ given: Set<String>) throws {
    let (warmup, episodes) = (values.integer("warmupEpisodes"), values.integer("episodes"))
    guard warmup >= episodes else { return }
    throw InputError(
      "leaves no episode to learn in, there are \(episodes)",
      key: given.contains("warmupEpisodes") ? "warmupEpisodes" : "episodes",
      value: String(given.contains("warmupEpisodes") ? warmup : episodes),
      advice: "warmupEpisodes (\(warmup)) must be less than episodes (\(episodes))")
  }

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    losses = (0, 0)
    switch phase {
    case .train: self.episode = episode
    case .eval:
      // The noise of an evaluation depends on its episode alone, not on how often was evaluated before.
      noiseOfEvaluation = NoiseStream(seed: evaluationNoise.bits(episode))
    }
  }

  // MARK: Act

  /// Every client's action: greedy by its q-values or, in training with probability epsilon, random.
  mutating func decide(_ situation: SlotSituation, phase: Phase) -> [Int] {
    let epsilon = phase == .train ? exploration.epsilon(step: step) : 0
    if phase == .train { step += 1 }
    var stream = phase == .train ? noise : noiseOfEvaluation
    defer { if phase == .train { noise = stream } else { noiseOfEvaluation = stream } }
    return actions.indices.map { client in
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
  }

  // MARK: Learn

  /// Stores the transition and, after the warm-up, takes one gradient step.
  ///
  /// The end of an episode is a truncation: its last transition bootstraps like any other.
  mutating func learn(
    _ situation: SlotSituation, actions taken: [Int], reward: Double, next: SlotSituation
  ) throws {
    buffer.append(
      state: situation.jointState(), actions: taken, reward: reward, nextState: next.jointState(),
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
