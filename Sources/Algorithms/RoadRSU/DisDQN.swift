internal import Neural
internal import Simulation
internal import Support

/// DisDQN, distributed DQN (P2 IV-B): every RSU has a DQN of its own that picks an RSU in range and a cut.
///
/// A request goes to the nearest RSU, whose network decides at full frequencies: one action for each pair of an
/// RSU in range and a cut before the last layer, and one for running locally. A transition leads from one
/// request at an RSU to the next one that it decides; the last of an episode is left out. A vehicle that no RSU
/// reaches runs its task itself.
struct RoadDisDQN: Agent {
  typealias Model = RoadRSUEnvironment

  // MARK: Configuration

  static let parameters: [Parameter] = [
    Parameter(
      "learningRate", .number(1e-8...1), default: .number(3e-4), source: "ours",
      "Learning rate of Adam."),
    Parameter(
      "discount", .number(0...0.9999), default: .number(0.99), source: "ours",
      "Discount of the values of the following requests at the same RSU."),
    Parameter(
      "softUpdate", .number(1e-6...1), default: .number(0.005), source: "ours",
      "Share by which target networks follow at every step."),
    Parameter(
      "batchSize", .integer(1...65_536), default: .integer(64), source: "ours",
      "Transitions of a mini-batch."),
    Parameter(
      "hidden", .list(of: .integer(1...4096), count: 1...4),
      default: .list([.integer(256), .integer(256)]), source: "ours",
      "Widths of the hidden layers."),
    Parameter(
      "replayCapacity", .integer(1...10_000_000), default: .integer(100_000), source: "ours",
      "Transitions that the replay buffer of an RSU holds."),
    Parameter(
      "warmupTasks", .integer(1...10_000_000), default: .integer(64), unit: "tasks", source: "ours",
      "Transitions of an RSU before its network learns."),
    Parameter(
      "epsilonStart", .number(0...1), default: .number(1), source: "ours",
      "Share of random decisions at the start of training."),
    Parameter(
      "epsilonEnd", .number(0...1), default: .number(0.05), source: "ours",
      "Share of random decisions after the first third of the training episodes."),
    Parameter(
      "gradientClip", .optional(.number(1e-6...1e9)), default: .number(10), source: "ours",
      "Bound of the gradients' norm."),
  ]

  private let model: RoadModel
  private let observation: RoadObservation
  private let discount: Double
  private let adam: Adam
  private let softUpdate: Double
  private let clipNorm: Double?
  private let batchSize: Int
  private let warmUp: Int
  private let epsilons: (first: Double, last: Double)
  private let episodes: Int
  /// Cuts of the deepest network, and length of an observation.
  private let mostCuts: Int
  private let width: Int

  // MARK: Networks and memory

  private let network: MLP
  /// One store of parameters and targets, one buffer and one scale of rewards for each RSU.
  private let stores: [ParameterStore]
  private var buffers: [TransitionBuffer]
  private var scales: [RewardStandardisation]
  private let record: MLP.Record
  private let actingRecord: MLP.Record
  private let state: Matrix
  private let states: Matrix
  private let gradient: Matrix
  private var exploration: RandomStream
  private var replay: RandomStream
  private var epsilon = 0.0

  private struct Pending {
    var observation: [Float]
    var action: Int
    var reward = 0.0
  }
  private var pending: [Pending?]
  private var last: Pending?
  private var losses = 0.0
  private var steps = 0

  init(
    environment: RoadRSUEnvironment, parameters: ParameterValues, context: AgentContext
  ) throws {
    let seed = context.seed
    model = environment.model
    observation = environment.observation
    discount = parameters.number("discount")
    adam = Adam(learningRate: parameters.number("learningRate"))
    softUpdate = parameters.number("softUpdate")
    clipNorm = parameters.optionalNumber("gradientClip")
    batchSize = parameters.integer("batchSize")
    warmUp = parameters.integer("warmupTasks")
    epsilons = (parameters.number("epsilonStart"), parameters.number("epsilonEnd"))
    self.episodes = context.episodes
    mostCuts = (model.types.map(\.layers).max() ?? 0) + 1
    width = observation.requestCount + model.rsuCount * RoadObservation.linkCount
    let hidden = parameters.integers("hidden")
    var layout = ParameterLayout()
    network = MLP(
      &layout, "q", widths: [width] + hidden + [model.rsuCount * mostCuts], activation: .relu)
    let kernels = context.kernels
    var initialisation = RandomStream(seed: seed, .initialisation)
    var stores: [ParameterStore] = []
    for _ in 0..<model.rsuCount {
      let store = ParameterStore(layout, targets: true, kernels: kernels)
      store.initialise(using: &initialisation)
      stores.append(store)
    }
    self.stores = stores
    buffers = Array(
      repeating: TransitionBuffer(
        capacity: parameters.integer("replayCapacity"), width: 2 * width, indexWidth: 2),
      count: model.rsuCount)
    scales = Array(repeating: RewardStandardisation(), count: model.rsuCount)
    record = MLP.Record(network, rows: batchSize)
    actingRecord = MLP.Record(network, rows: 1)
    state = Matrix(rows: 1, columns: width)
    states = Matrix(rows: batchSize, columns: width)
    gradient = Matrix(rows: batchSize, columns: network.outputs)
    exploration = RandomStream(seed: seed, .exploration)
    replay = RandomStream(seed: seed, .replay)
    pending = Array(repeating: nil, count: model.rsuCount)
  }

  // MARK: Acting

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    pending = Array(repeating: nil, count: model.rsuCount)
    last = nil
    losses = 0
    steps = 0
    let third = max(Double(episodes) / 3, 1)
    let progress = min(max(Double(episode - 1) / third, 0), 1)
    epsilon = epsilons.first * (1 - progress) + epsilons.last * progress
  }

  private func observe(_ situation: RoadSituation) -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(width)
    observation.appendRequest(situation, to: &values)
    for rsu in 1...model.rsuCount { observation.appendLink(situation.link(to: rsu), to: &values) }
    return values
  }

  /// The actions that an RSU may take on a request: RSUs in range with every cut, and the last cut as its own.
  private func allowed(rsu: Int, layers: Int, inRange: (Int) -> Bool) -> [Int] {
    var actions: [Int] = []
    for other in 0..<model.rsuCount where inRange(other) {
      for cut in 0..<layers { actions.append(other * mostCuts + cut) }
    }
    actions.append(rsu * mostCuts + layers)
    return actions
  }

  mutating func decide(_ situation: RoadSituation, phase: Phase) -> RoadDecision {
    last = nil
    guard let nearest = situation.nearest else { return model.local(situation) }
    let rsu = situation.links[nearest].rsu - 1
    let layers = model.types[situation.type].layers
    let values = observe(situation)
    let actions = allowed(rsu: rsu, layers: layers) { situation.link(to: $0 + 1) != nil }
    var action: Int
    if phase == .train, exploration.uniform() < epsilon {
      action = actions[exploration.index(below: actions.count)]
    } else {
      state.setRow(0, values)
      let q = network.forward(state, stores[rsu], record: actingRecord)
      action = actions[0]
      for other in actions where q[0, other] > q[0, action] { action = other }
    }
    if phase == .train { last = Pending(observation: values, action: action) }
    let cut = action % mostCuts
    return RoadDecision(
      cut: cut, rsu: cut < layers ? action / mostCuts + 1 : 0,
      vehicleFrequency: model.constants.vehicleFrequency,
      rsuFrequency: model.constants.rsuFrequency)
  }

  // MARK: Learning

  mutating func learn(
    _ situation: RoadSituation, _ decision: RoadDecision, _ outcome: RoadOutcome,
    next: RoadSituation?
  ) {
    guard let nearest = situation.nearest, var now = last else { return }
    last = nil
    let rsu = situation.links[nearest].rsu - 1
    let before = pending[rsu]
    now.reward = outcome.reward
    pending[rsu] = now
    guard let before else { return }
    buffers[rsu].append(
      before.observation + now.observation,
      indices: [before.action, model.types[situation.type].layers], reward: before.reward)
    if !scales[rsu].isFixed {
      guard buffers[rsu].count >= warmUp else { return }
      let moments = buffers[rsu].rewardMoments
      scales[rsu].fix(mean: moments.mean, deviation: moments.deviation)
    }
    losses += trainStep(rsu)
    steps += 1
  }

  /// One gradient step of an RSU's network: (Q(s, a) - r - γ max Q'(s', ·))² over allowed actions.
  private mutating func trainStep(_ rsu: Int) -> Double {
    let buffer = buffers[rsu]
    let store = stores[rsu]
    let rows = (0..<batchSize).map { _ in replay.index(below: buffer.count) }
    for (b, row) in rows.enumerated() {
      for i in 0..<width { states[b, i] = buffer.number(row, width + i) }
    }
    let nextQ = network.forward(states, store, .targets, record: record)
    let targets = rows.enumerated().map { b, row -> Double in
      // An RSU that is in range shows a 1 as the first of its numbers.
      let actions = allowed(rsu: rsu, layers: buffer.index(row, 1)) {
        buffer.number(
          row, width + observation.requestCount + $0 * RoadObservation.linkCount) != 0
      }
      let best = actions.reduce(-Float.infinity) { max($0, nextQ[b, $1]) }
      return Double(scales[rsu].scaled(buffer.reward(row))) + discount * Double(best)
    }
    for (b, row) in rows.enumerated() {
      for i in 0..<width { states[b, i] = buffer.number(row, i) }
    }
    let q = network.forward(states, store, record: record)
    gradient.fill(0)
    var loss = 0.0
    for (b, row) in rows.enumerated() {
      let action = buffer.index(row, 0)
      let error = Double(q[b, action]) - targets[b]
      loss += error * error / Double(batchSize)
      gradient[b, action] = Float(2 * error / Double(batchSize))
    }
    network.backward(states, outputGradient: gradient, store, record: record)
    store.adamStep(adam, clip: clipNorm, softUpdate: softUpdate)
    return loss
  }

  var statistics: AgentStatistics {
    AgentStatistics(epsilon: epsilon, losses: losses, steps: steps)
  }

  var constants: [String: JSONValue] { ["rewards": .list(scales.map(\.json))] }

  // MARK: State

  func saveState(to writer: inout StateWriter) {
    writer.section("disdqn")
    for store in stores { store.save(to: &writer) }
    for buffer in buffers { buffer.save(to: &writer) }
    for scale in scales { scale.save(to: &writer) }
    writer.write(exploration)
    writer.write(replay)
  }

  mutating func restoreState(from reader: inout StateReader) throws {
    try reader.section("disdqn")
    for store in stores { try store.restore(from: &reader) }
    for rsu in buffers.indices { try buffers[rsu].restore(from: &reader) }
    for rsu in scales.indices { try scales[rsu].restore(from: &reader) }
    exploration = try reader.readStream()
    replay = try reader.readStream()
  }

  func savePolicy(to writer: inout StateWriter) {
    writer.section("disdqn-policy")
    for store in stores { store.save(to: &writer) }
  }

  mutating func restorePolicy(from reader: inout StateReader) throws {
    try reader.section("disdqn-policy")
    for store in stores { try store.restore(from: &reader) }
  }

  static let algorithm = Algorithm<RoadRSUEnvironment>(
    name: "disdqn", version: 1,
    summary: "Distributed DQN: each RSU's own network picks an RSU in range and a cut.",
    isLearner: true, parameters: parameters
  ) { try RoadDisDQN(environment: $0, parameters: $1, context: $2) }
}
