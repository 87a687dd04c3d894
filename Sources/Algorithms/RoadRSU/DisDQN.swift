internal import Neural
internal import Simulation
internal import Support

struct DisDQNSettings: Settings {
  @Setting(1e-8...1, source: "ours", "Learning rate of Adam.")
  var learningRate = 0.001
  @Setting(1e-6...1, source: "ours", "Share by which target networks follow at every step.")
  var softUpdate = 0.005
  @Setting(1...65_536, source: "ours", "Transitions of a mini-batch.")
  var batchSize = 64
  @Setting(each: 1...4096, count: 1...4, source: "ours", "Widths of the hidden layers.")
  var hidden = [256, 256]
  @Setting(1...10_000_000, source: "ours", "Transitions that the replay buffer of an RSU holds.")
  var replayCapacity = 100_000
  @Setting(
    1...10_000_000, unit: "tasks", source: "ours",
    "Transitions of an RSU before its network learns.")
  var warmupTasks = 64
  @Setting(
    1...64, source: "ours", "Gradient steps of an RSU's network for each of its transitions.")
  var updatesPerTask = 2
  @Setting(0...1, source: "ours", "Share of random decisions at the start of training.")
  var epsilonStart = 1.0
  @Setting(
    0...1, source: "ours",
    "Share of random decisions after the first third of the training episodes.")
  var epsilonEnd = 0.05
  @Setting(1e-6...1e9, source: "ours", "Bound of the gradients' norm.")
  var gradientClip: Double? = 10
  var learning = TaskLearning()
}

/// DisDQN, distributed DQN (P2 IV-B): every RSU has a DQN of its own that picks an RSU in range and a cut.
///
/// A request goes to the nearest RSU, whose network decides at full frequencies: one action for each pair of an
/// RSU in range and a cut before the last layer, and one for running locally. The network scores one RSU in
/// range at a time: it takes the numbers about the request and that RSU and returns the value of each cut there;
/// running locally is the last cut of the deciding RSU itself. With a discount, a transition leads from one
/// request at an RSU to the next one that it decides. A vehicle that no RSU reaches runs its task itself.
struct DisDQN: Agent {
  typealias Model = RoadRSUEnvironment

  private let settings: DisDQNSettings
  private let model: TaskModel
  private let observation: TaskObservation
  private let episodes: Int
  /// Cuts of the deepest network.
  private let mostCuts: Int

  // MARK: Networks and memory

  private let network: MLP
  /// One store of parameters and targets, one buffer and one scale of rewards for each RSU.
  private let stores: [ParameterStore]
  private(set) var buffers: [TransitionBuffer]
  private(set) var scales: [RewardStandardisation]
  private var chain: RequestChain
  private let record: MLP.Record
  private let actingRecord: MLP.Record
  private let input: Matrix
  /// [B, request + link]: what the network takes.
  private let inputs: Matrix
  private let gradient: Matrix
  private var exploration: RandomStream
  private var replay: RandomStream
  private var epsilon = 0.0
  private var learningRate = 0.0
  private var losses = 0.0
  private var steps = 0

  init(
    environment: RoadRSUEnvironment, settings: DisDQNSettings, context: AgentContext
  ) throws {
    self.settings = settings
    model = environment.model
    observation = environment.observation
    episodes = context.episodes
    mostCuts = (model.types.map(\.layers).max() ?? 0) + 1
    let width = observation.requestCount + TaskObservation.linkCount
    var layout = ParameterLayout()
    network = MLP(
      &layout, "q", widths: [width] + settings.hidden + [mostCuts], activation: .relu)
    var initialisation = RandomStream(seed: context.seed, .initialisation)
    var stores: [ParameterStore] = []
    for _ in 0..<model.rsuCount {
      let store = ParameterStore(layout, targets: true, kernels: context.kernels)
      store.initialise(using: &initialisation)
      stores.append(store)
    }
    self.stores = stores
    buffers = Array(
      repeating: TransitionBuffer(
        capacity: settings.replayCapacity,
        stateCount: observation.requestCount + model.rsuCount * TaskObservation.linkCount,
        actionCount: 0),
      count: model.rsuCount)
    scales = Array(
      repeating: RewardStandardisation(
        types: model.types.count, discount: settings.learning.discount),
      count: model.rsuCount)
    chain = RequestChain(rsus: model.rsuCount, discount: settings.learning.discount)
    record = MLP.Record(network, rows: settings.batchSize)
    actingRecord = MLP.Record(network, rows: 1)
    input = Matrix(rows: 1, columns: width)
    inputs = Matrix(rows: settings.batchSize, columns: width)
    gradient = Matrix(rows: settings.batchSize, columns: network.outputs)
    exploration = RandomStream(seed: context.seed, .exploration)
    replay = RandomStream(seed: context.seed, .replay)
  }

  // MARK: Acting

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    chain.beginEpisode()
    losses = 0
    steps = 0
    let third = max(Double(episodes) / 3, 1)
    let explored = min(max(Double(episode - 1) / third, 0), 1)
    epsilon = settings.epsilonStart * (1 - explored) + settings.epsilonEnd * explored
    learningRate = settings.learning.rate(
      settings.learningRate, episode: episode, of: episodes)
  }

  /// Numbers about the request and about every RSU, in the order of their numbers.
  private func observe(_ situation: TaskSituation) -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(buffers[0].stateCount)
    observation.appendRequest(situation, to: &values)
    for rsu in 1...model.rsuCount { observation.appendLink(situation.link(to: rsu), to: &values) }
    return values
  }

  /// Place in a state of the numbers about an RSU, counted from 0.
  private func linkStart(_ rsu: Int) -> Int {
    observation.requestCount + rsu * TaskObservation.linkCount
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

  /// The action of an RSU that a decision came from.
  private func action(_ decision: TaskDecision, rsu: Int) -> Int {
    (decision.rsu == 0 ? rsu : decision.rsu - 1) * mostCuts + decision.cut
  }

  mutating func decide(_ situation: TaskSituation, phase: Phase) -> TaskDecision {
    guard let nearest = situation.nearest else { return model.local(situation) }
    let rsu = situation.links[nearest].rsu - 1
    let layers = model.types[situation.type].layers
    let actions = allowed(rsu: rsu, layers: layers) { situation.link(to: $0 + 1) != nil }
    let action: Int
    if phase == .train, exploration.uniform() < epsilon {
      action = actions[exploration.index(below: actions.count)]
    } else {
      action = best(of: actions, in: observe(situation), rsu)
    }
    let cut = action % mostCuts
    return TaskDecision(
      cut: cut, rsu: cut < layers ? action / mostCuts + 1 : 0,
      vehicleFrequency: model.constants.vehicleFrequency,
      rsuFrequency: model.constants.rsuFrequency)
  }

  /// The action of the greatest value for an RSU; the first of equals.
  private func best(of actions: [Int], in state: [Float], _ rsu: Int) -> Int {
    var best = (action: actions[0], value: -Float.infinity)
    var scores: (target: Int, q: Matrix)?
    for action in actions {
      let target = action / mostCuts
      if scores?.target != target {
        let link = state[linkStart(target)..<linkStart(target + 1)]
        input.setRow(0, Array(state[..<observation.requestCount] + link))
        scores = (target, network.forward(input, stores[rsu], record: actingRecord))
      }
      if let value = scores?.q[0, action % mostCuts], value > best.value { best = (action, value) }
    }
    return best.action
  }

  // MARK: Learning

  mutating func learn(
    _ situation: TaskSituation, _ decision: TaskDecision, _ outcome: DecidedTask,
    next: TaskSituation?
  ) {
    guard let nearest = situation.nearest else { return }
    let rsu = situation.links[nearest].rsu - 1
    let request = Transition(
      state: observe(situation), type: situation.type,
      allowed: model.types[situation.type].layers + 1,
      choice: action(decision, rsu: rsu),
      reward: settings.learning.rewardBaseline.reward(outcome, model))
    guard let transition = chain.append(request, rsu: rsu) else { return }
    buffers[rsu].append(transition)
    if !scales[rsu].isFixed {
      guard buffers[rsu].count >= settings.warmupTasks else { return }
      scales[rsu].fix(by: buffers[rsu])
    }
    for _ in 0..<settings.updatesPerTask {
      losses += trainStep(rsu)
      steps += 1
    }
  }

  /// One gradient step of an RSU's network: (Q(s, a) - r - γ max Q'(s', ·))² over allowed actions.
  private mutating func trainStep(_ rsu: Int) -> Double {
    let buffer = buffers[rsu]
    let store = stores[rsu]
    let (batchSize, discount) = (settings.batchSize, settings.learning.discount)
    let rows = (0..<batchSize).map { _ in replay.index(below: buffer.count) }
    let following = discount > 0 ? nextValues(rows, rsu) : Array(repeating: 0, count: batchSize)
    for (b, row) in rows.enumerated() {
      let start = linkStart(buffer.choice(row) / mostCuts)
      for i in 0..<observation.requestCount { inputs[b, i] = buffer.state(row, i) }
      for i in 0..<TaskObservation.linkCount {
        inputs[b, observation.requestCount + i] = buffer.state(row, start + i)
      }
    }
    let q = network.forward(inputs, store, record: record)
    gradient.fill(0)
    var loss = 0.0
    for (b, row) in rows.enumerated() {
      let cut = buffer.choice(row) % mostCuts
      let target =
        Double(scales[rsu].scaled(buffer.reward(row), type: buffer.type(row))) + discount
        * following[b]
      let error = Double(q[b, cut]) - target
      loss += error * error / Double(batchSize)
      gradient[b, cut] = Float(2 * error / Double(batchSize))
    }
    network.backward(inputs, outputGradient: gradient, store, record: record)
    store.adamStep(
      Adam(learningRate: learningRate), clip: settings.gradientClip, softUpdate: settings.softUpdate
    )
    return loss
  }

  /// max Q'(s', ·) over the allowed actions of each transition's next state; 0 where there is none.
  private func nextValues(_ rows: [Int], _ rsu: Int) -> [Double] {
    let buffer = buffers[rsu]
    var values = rows.map { buffer.nextAllowed($0) == 0 ? 0 : -Double.infinity }
    for target in 0..<model.rsuCount {
      let start = linkStart(target)
      // An RSU that is in range shows a 1 as the first of its numbers.
      let isInRange = rows.map { buffer.nextState($0, start) != 0 }
      guard isInRange.contains(true) else { continue }
      for (b, row) in rows.enumerated() {
        for i in 0..<observation.requestCount { inputs[b, i] = buffer.nextState(row, i) }
        for i in 0..<TaskObservation.linkCount {
          inputs[b, observation.requestCount + i] = buffer.nextState(row, start + i)
        }
      }
      let q = network.forward(inputs, stores[rsu], .targets, record: record)
      for (b, row) in rows.enumerated() where isInRange[b] && buffer.nextAllowed(row) > 0 {
        let layers = buffer.nextAllowed(row) - 1
        for cut in 0..<(target == rsu ? layers + 1 : layers) {
          values[b] = max(values[b], Double(q[b, cut]))
        }
      }
    }
    return values
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
    name: "disdqn", version: 2,
    summary: "Distributed DQN: each RSU's own network picks an RSU in range and a cut.",
    isLearner: true, parameters: DisDQNSettings.parameters, settle: TaskLearning.settle
  ) { try DisDQN(environment: $0, settings: DisDQNSettings($1), context: $2) }
}
