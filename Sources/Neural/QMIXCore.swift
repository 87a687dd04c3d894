public import Support

/// Settings of the gradient step and of the networks that it trains (P1, Sec. 7.5).
public struct QMIXTraining: Settings, Equatable {
  @Setting(1e-8...1, source: "P1 §8.1", "Step size of Adam.")
  public var learningRate = 5e-4
  @Setting(
    0...0.9999, source: "P1 §8.1",
    "Weight of the next slot's value in the target; 0 minimises each slot's objective.")
  public var discount = 0.99
  @Setting(
    1e-6...1, source: "P1 (62), §8.1",
    "Share of the online networks that enters the target networks after each step.")
  public var softUpdate = 0.001
  @Setting(1...4096, source: "ours", "Transitions of a mini-batch.")
  public var batchSize = 64
  @Setting(1e-6...1e9, source: "ours", "Bound of the norm of all gradients together.")
  public var gradientClip: Double? = 10
  @Setting(
    source: "P1 (59)",
    "monotonic: QMIX's non-negative weights and ELU; printed: linear, unconstrained.")
  public var mixer = Mixer.Form.monotonic
  @Setting(
    each: 1...4096, count: 1...8, source: "P1 §8.1",
    "Widths of the hidden layers of an agent's network.")
  public var hidden = [256, 256, 256]
  @Setting(
    source: "ours", isImpliedAtDefault: true,
    "Operands of matrix products: single precision, or rounded to bfloat16 (AVX512-BF16 only).")
  public var precision = Precision.fp32

  public init() {}
}

/// Sizes and settings of a QMIX learner (P1, Sec. 7.5).
public struct QMIXSettings: Sendable, Equatable {
  /// Number of actions of each agent; agents may differ.
  public var actions: [Int]
  /// Length of one agent's observation.
  public var observation: Int
  public var training = QMIXTraining()
  /// Reverse diffusion of MAD2RL; nil for plain q-networks (P-QMIX).
  public var diffusion: Diffusion?
  /// Agents with the same number share one network; nil gives every agent its own.
  public var networkOfAgent: [Int]?
  public var mixerEmbedding = 32
  public var hyperHidden = [64, 64]
  /// The optimiser of all networks together.
  public var adam: Adam { Adam(learningRate: training.learningRate) }

  public init(actions: [Int], observation: Int) {
    self.actions = actions
    self.observation = observation
  }

  /// - Throws: `InputError` if a size is not positive or the networks' numbers are not one for each agent.
  func check() throws {
    func positive(_ key: String, _ values: [Int]) throws {
      guard let bad = values.first(where: { $0 < 1 }) ?? (values.isEmpty ? 0 : nil) else { return }
      throw InputError("must be at least 1", key: key, value: String(bad))
    }
    try positive("actions", actions)
    try positive("observation", [observation])
    try positive("hidden", training.hidden)
    try positive("hyperHidden", hyperHidden)
    try positive("mixerEmbedding", [mixerEmbedding])
    try positive("batch", [training.batchSize])
    if let diffusion { try positive("steps", [diffusion.steps]) }
    if let networkOfAgent, networkOfAgent.count != actions.count {
      throw InputError(
        "names the network of \(networkOfAgent.count) agents, there are \(actions.count)",
        key: "networkOfAgent")
    }
  }
}

/// A mini-batch of joint transitions; fill it and hand it to `trainStep`.
public final class JointBatch {
  public let size: Int
  /// Joint states [B, N S]: the agents' observations side by side.
  public let states: Matrix
  public let nextStates: Matrix
  /// Action of agent n in sample b at index b N + n.
  public var actions: [Int]
  public var rewards: [Float]
  /// 1 where the next state's value counts, 0 after a terminal state.
  public var bootstrap: [Float]
  /// Actions allowed in the next state, for each sample the agents' actions one after the other; nil: all.
  public var nextAllowed: [Bool]?

  public init(_ settings: QMIXSettings) {
    let agents = settings.actions.count
    size = settings.training.batchSize
    states = Matrix(rows: size, columns: agents * settings.observation)
    nextStates = Matrix(rows: size, columns: agents * settings.observation)
    actions = Array(repeating: 0, count: size * agents)
    rewards = Array(repeating: 0, count: size)
    bootstrap = Array(repeating: 1, count: size)
  }
}

/// The networks of MAD2RL and P-QMIX and their train step: agents, mixer, targets, optimiser.
///
/// Every step draws noise from the stream that the caller passes; there is no other randomness.
public final class QMIXCore {
  /// What a train step reports.
  public struct StepResult: Sendable, Equatable {
    /// Mean squared temporal-difference error of the batch, before the update.
    public var loss: Double
    /// Norm of all gradients before clipping.
    public var gradientNorm: Double
    /// Mean of Qtot over the batch.
    public var meanQ: Double
  }

  private enum Network {
    case denoiser(Denoiser)
    case mlp(MLP)

    var outputs: Int {
      switch self {
      case .denoiser(let net): net.actions
      case .mlp(let net): net.outputs
      }
    }
  }

  /// Working memory of one agent: an online record is kept from its forward to its backward pass.
  private enum Record {
    case denoiser(Denoiser.Record, Denoiser.Workspace?)
    case mlp(MLP.Record)
  }

  /// Records and matrices of forward and backward passes.
  private struct WorkingMemory {
    var online: [Record] = []
    var frozen: [Record] = []  // per network: targets keep nothing
    var acting: [Record] = []
    var noise: [Matrix] = []  // [M B, A] per network
    var actingNoise: [Matrix] = []
    var resultGradient: [Matrix] = []  // per network [1, B], with a softmax [B, A]
    var softmaxed: [Matrix] = []  // [B, A] per agent

    init(_ settings: QMIXSettings, _ networks: [Network], _ networkOfAgent: [Int]) {
      let batch = settings.training.batchSize
      let hasSoftmax = settings.diffusion?.q == .softmax
      var workspaces: [Int: Denoiser.Workspace] = [:]
      for (agent, actions) in settings.actions.enumerated() {
        softmaxed.append(Matrix(rows: hasSoftmax ? batch : 0, columns: actions))
        switch networks[networkOfAgent[agent]] {
        case .denoiser(let net):
          let workspace = workspaces[actions] ?? Denoiser.Workspace(net, batch: batch)
          workspaces[actions] = workspace
          online.append(.denoiser(Denoiser.Record(net, batch: batch, keep: true), workspace))
        case .mlp(let net): online.append(.mlp(MLP.Record(net, rows: batch)))
        }
      }
      // Networks of equal shape use working memory in turns, which so stays in the caches.
      var first: [Int: Int] = [:]
      for (n, network) in networks.enumerated() {
        let outputs = network.outputs
        if let same = first[outputs] {
          frozen.append(frozen[same])
          acting.append(acting[same])
          noise.append(noise[same])
          actingNoise.append(actingNoise[same])
          resultGradient.append(resultGradient[same])
          continue
        }
        first[outputs] = n
        let steps = settings.diffusion?.steps ?? 0
        noise.append(Matrix(rows: steps * batch, columns: outputs))
        actingNoise.append(Matrix(rows: steps, columns: outputs))
        resultGradient.append(
          hasSoftmax
            ? Matrix(rows: batch, columns: outputs) : Matrix(rows: 1, columns: batch))
        switch network {
        case .denoiser(let net):
          frozen.append(.denoiser(Denoiser.Record(net, batch: batch, keep: false), nil))
          acting.append(.denoiser(Denoiser.Record(net, batch: 1, keep: false), nil))
        case .mlp(let net):
          frozen.append(.mlp(MLP.Record(net, rows: batch)))
          acting.append(.mlp(MLP.Record(net, rows: 1)))
        }
      }
    }
  }

  public let settings: QMIXSettings
  public let store: ParameterStore
  public var agents: Int { settings.actions.count }

  private let networks: [Network]
  private let networkOfAgent: [Int]
  private let mixer: Mixer
  private let firstAction: [Int]  // of each agent, in rows of `nextAllowed`
  private let memory: WorkingMemory
  private let mixerRecord: Mixer.Record
  private let q: Matrix  // [B, N]
  private let nextQ: Matrix
  private let qGradient: Matrix
  private let totalGradient: Matrix  // [B, 1]
  private let observationRow: Matrix

  /// A learner with parameters drawn from the generator.
  ///
  /// - Throws: `InputError` if sizes are not positive, agents that share a network differ in actions, or the processor
  ///   lacks the products of the precision.
  public init(
    _ settings: QMIXSettings, kernels: Kernels, using generator: inout some RandomNumberGenerator
  ) throws {
    try settings.check()
    let count = settings.actions.count
    var layout = ParameterLayout()
    (networks, networkOfAgent) = try QMIXCore.makeNetworks(settings, &layout)
    mixer = Mixer(
      &layout, "mixer", agents: count, state: count * settings.observation,
      embedding: settings.mixerEmbedding, hidden: settings.hyperHidden,
      form: settings.training.mixer)
    self.settings = settings
    firstAction = settings.actions.indices.map { settings.actions[..<$0].reduce(0, +) }
    store = ParameterStore(
      layout, targets: true, kernels: try kernels.with(settings.training.precision))

    let batch = settings.training.batchSize
    memory = WorkingMemory(settings, networks, networkOfAgent)
    mixerRecord = Mixer.Record(mixer, batch: batch)
    q = Matrix(rows: batch, columns: count)
    nextQ = Matrix(rows: batch, columns: count)
    qGradient = Matrix(rows: batch, columns: count)
    totalGradient = Matrix(rows: batch, columns: 1)
    observationRow = Matrix(rows: 1, columns: settings.observation)
    store.initialise(using: &generator)
  }

  /// The agents' networks, and the number of the one that each agent uses.
  private static func makeNetworks(
    _ settings: QMIXSettings, _ layout: inout ParameterLayout
  ) throws -> (networks: [Network], numbers: [Int]) {
    let labels = settings.networkOfAgent ?? Array(settings.actions.indices)
    var networks: [Network] = []
    var numbers: [Int] = []
    var firstUser: [Int] = []
    for (agent, actions) in settings.actions.enumerated() {
      if let known = firstUser.firstIndex(where: { labels[$0] == labels[agent] }) {
        guard settings.actions[firstUser[known]] == actions else {
          throw InputError(
            "agents \(firstUser[known] + 1) and \(agent + 1) share a network but have "
              + "\(settings.actions[firstUser[known]]) and \(actions) actions",
            key: "networkOfAgent", advice: "Share networks among agents of one DNN type only")
        }
        numbers.append(known)
        continue
      }
      numbers.append(networks.count)
      firstUser.append(agent)
      let name = networkName(networks.count)
      let hidden = settings.training.hidden
      if let diffusion = settings.diffusion {
        networks.append(
          .denoiser(
            Denoiser(
              &layout, name, actions: actions, observation: settings.observation, hidden: hidden,
              settings: diffusion)))
      } else {
        networks.append(
          .mlp(
            MLP(
              &layout, name, widths: [settings.observation] + hidden + [actions],
              activation: .mish)))
      }
    }
    return (networks, numbers)
  }

  // MARK: Acting

  /// The q-values of one agent for its observation: a row of as many numbers as it has actions.
  ///
  /// - Parameter stream: Noise of the reverse diffusion; plain q-networks leave it untouched.
  public func qValues(agent: Int, observation: [Float], noise stream: inout NoiseStream) -> [Float]
  {
    let row = qRow(agent: agent, observation: observation, noise: &stream)
    if settings.diffusion?.q == .softmax { store.kernels.softmax(row, into: row) }
    return row.row(0)
  }

  /// The agent's action of greatest q-value among those allowed (the first of equals).
  ///
  /// - Parameter allowed: One flag per action; nil allows all. With none allowed the answer is 0.
  public func greedyAction(
    agent: Int, observation: [Float], allowed: [Bool]? = nil, noise stream: inout NoiseStream
  ) -> Int {
    let row = qRow(agent: agent, observation: observation, noise: &stream)
    let count = settings.actions[agent]
    precondition(allowed == nil || allowed!.count == count)
    return best(row.rowPointer(0), count: count, allowed: allowed, from: 0) ?? 0
  }

  private func qRow(
    agent: Int, observation: [Float], noise stream: inout NoiseStream
  ) -> Matrix {
    observationRow.setRow(0, observation)
    let n = networkOfAgent[agent]
    return run(
      n, observationRow, .parameters, record: memory.acting[n], noise: memory.actingNoise[n],
      stream: &stream)
  }

  /// Outputs of a network before the softmax of `q: softmax`; a view of the record.
  private func run(
    _ n: Int, _ observations: Matrix, _ section: ParameterStore.Section, choices: [Int32]? = nil,
    record: Record, noise: Matrix, stream: inout NoiseStream
  ) -> Matrix {
    switch (networks[n], record) {
    case (.denoiser(let net), .denoiser(let record, _)):
      stream.fill(noise, kernels: store.kernels)
      return net.forward(
        observations, noise: noise, store, section, choices: choices, record: record)
    case (.mlp(let net), .mlp(let record)):
      return net.forward(observations, store, section, choices: choices, record: record)
    default: preconditionFailure("a record of another kind of network")
    }
  }

  /// Index of the greatest number among those allowed, the first of equals; nil if none is allowed.
  private func best(
    _ values: UnsafeMutablePointer<Float>, count: Int, allowed: [Bool]?, from first: Int
  ) -> Int? {
    var best: Int?
    for a in 0..<count where allowed?[first + a] ?? true {
      if best.map({ values[a] > values[$0] }) ?? true { best = a }
    }
    return best
  }

  // MARK: Learning

  /// One gradient step on the temporal-difference loss (P1 (60)-(63)) through mixer, agents and denoising steps.
  ///
  /// A sample whose `nextAllowed` forbids all of an agent's actions counts 0 as that agent's next value.
  public func trainStep(_ batch: JointBatch, noise stream: inout NoiseStream) -> StepResult {
    let result = gradients(batch, noise: &stream)
    let norm = store.adamStep(
      settings.adam, clip: settings.training.gradientClip, softUpdate: settings.training.softUpdate)
    return StepResult(loss: result.loss, gradientNorm: norm, meanQ: result.meanQ)
  }

  /// Loss and mean Qtot of the batch; leaves the gradients in the store and updates nothing.
  public func gradients(
    _ batch: JointBatch, noise stream: inout NoiseStream
  ) -> (loss: Double, meanQ: Double) {
    precondition(
      batch.size == settings.training.batchSize && batch.actions.count == batch.size * agents)
    for agent in 0..<agents {
      nextValues(agent, batch, &stream)
      takenValues(agent, batch, &stream)
    }
    let size = batch.size
    let next = mixer.forward(
      nextQ, state: batch.nextStates, store, .targets, record: mixerRecord)
    let goal = (0..<size).map {
      batch.rewards[$0] + Float(settings.training.discount) * batch.bootstrap[$0] * next[$0, 0]
    }
    let total = mixer.forward(q, state: batch.states, store, record: mixerRecord)
    var loss = 0.0
    var sum = 0.0
    for b in 0..<size {
      let error = total[b, 0] - goal[b]
      loss += Double(error) * Double(error)
      sum += Double(total[b, 0])
      totalGradient[b, 0] = 2 * error / Float(size)
    }
    mixer.backward(
      q, state: batch.states, totalGradient: totalGradient, store, record: mixerRecord,
      qGradient: qGradient)
    var touched = Array(repeating: false, count: networks.count)
    for agent in 0..<agents {
      let n = networkOfAgent[agent]
      agentGradient(agent, batch, accumulate: touched[n])
      touched[n] = true
    }
    return (loss / Double(size), sum / Double(size))
  }

  private func observations(_ states: Matrix, of agent: Int) -> Matrix {
    states.slice(columns: agent * settings.observation..<(agent + 1) * settings.observation)
  }

  /// Column `agent` of `nextQ`: the greatest target q-value of the next state.
  private func nextValues(_ agent: Int, _ batch: JointBatch, _ stream: inout NoiseStream) {
    let n = networkOfAgent[agent]
    let values = run(
      n, observations(batch.nextStates, of: agent), .targets, record: memory.frozen[n],
      noise: memory.noise[n],
      stream: &stream)
    if settings.diffusion?.q == .softmax { store.kernels.softmax(values, into: values) }
    let count = settings.actions[agent]
    let width = firstAction[agents - 1] + settings.actions[agents - 1]
    precondition(batch.nextAllowed.map { $0.count == batch.size * width } ?? true)
    for b in 0..<batch.size {
      let row = values.rowPointer(b)
      let choice = best(
        row, count: count, allowed: batch.nextAllowed, from: b * width + firstAction[agent])
      nextQ[b, agent] = choice.map { row[$0] } ?? 0
    }
  }

  /// Column `agent` of `q`: the q-value of the action taken.
  private func takenValues(_ agent: Int, _ batch: JointBatch, _ stream: inout NoiseStream) {
    let n = networkOfAgent[agent]
    let taken = (0..<batch.size).map { Int32(batch.actions[$0 * agents + agent]) }
    // A softmax needs all outputs.
    let whole = settings.diffusion?.q == .softmax
    let values = run(
      n, observations(batch.states, of: agent), .parameters, choices: whole ? nil : taken,
      record: memory.online[agent], noise: memory.noise[n], stream: &stream)
    if whole { store.kernels.softmax(values, into: memory.softmaxed[agent]) }
    for b in 0..<batch.size {
      q[b, agent] = whole ? memory.softmaxed[agent][b, Int(taken[b])] : values[0, b]
    }
  }

  /// Gradients of an agent's network from column `agent` of `qGradient`.
  private func agentGradient(_ agent: Int, _ batch: JointBatch, accumulate: Bool) {
    let n = networkOfAgent[agent]
    let gradient = memory.resultGradient[n]
    for b in 0..<batch.size {
      let d = qGradient[b, agent]
      if settings.diffusion?.q == .softmax {
        let action = batch.actions[b * agents + agent]
        let p = memory.softmaxed[agent].rowPointer(b)
        let row = gradient.rowPointer(b)
        for a in 0..<settings.actions[agent] {
          row[a] = d * p[action] * ((a == action ? 1 : 0) - p[a])
        }
      } else {
        gradient[0, b] = d
      }
    }
    let input = observations(batch.states, of: agent)
    switch (networks[n], memory.online[agent]) {
    case (.denoiser(let net), .denoiser(let record, .some(let workspace))):
      net.backward(
        input, resultGradient: gradient, store, record: record, workspace: workspace,
        accumulate: accumulate)
    case (.mlp(let net), .mlp(let record)):
      net.backward(
        input, outputGradient: gradient, store, record: record, accumulate: accumulate)
    default: preconditionFailure("a record of another kind of network")
    }
  }

  // MARK: State

  /// What training changes, or only what acting needs. Noise streams are the caller's.
  public func saveState(_ extent: ParameterStore.Extent = .training) -> [UInt8] {
    var writer = StateWriter()
    store.save(extent, to: &writer)
    return writer.bytes
  }

  /// - Throws: `InputError` if the bytes are damaged or of networks of another shape; then nothing changes.
  public func restoreState(
    _ bytes: [UInt8], _ extent: ParameterStore.Extent = .training
  ) throws {
    var reader = StateReader(bytes)
    try store.restore(extent, from: &reader)
  }

  /// Reads the agents' networks out of a policy that was saved with another number of agents.
  ///
  /// What acts is the agents' networks alone: the mixer, whose shape depends on their number, stays as it is.
  ///
  /// - Parameter savedNetworks: for each network of this learner, in order of its first agent, the number that
  ///   it has there, from 0.
  /// - Throws: `InputError` if the bytes are damaged or of networks of another shape; then nothing changes.
  public func restoreNetworks(_ bytes: [UInt8], savedNetworks: [Int]) throws {
    precondition(savedNetworks.count == networks.count)
    var names: [String: String] = [:]
    for (n, saved) in savedNetworks.enumerated() {
      let prefix = QMIXCore.networkName(n) + "."
      for tensor in store.layout.tensors where tensor.name.hasPrefix(prefix) {
        names[tensor.name] =
          QMIXCore.networkName(saved) + "." + tensor.name.dropFirst(prefix.count)
      }
    }
    var reader = StateReader(bytes)
    try store.restoreParameters(from: &reader) { names[$0] }
  }

  private static func networkName(_ number: Int) -> String { "agent\(number + 1)" }
}
