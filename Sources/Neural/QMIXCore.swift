internal import Support

/// Sizes and settings of a QMIX learner (P1, Sec. 7.5).
public struct QMIXSettings: Sendable, Equatable {
  /// Number of actions of each agent; agents may differ.
  public var actions: [Int]
  /// Length of one agent's observation.
  public var observation: Int
  public var hidden = [256, 256, 256]
  /// Reverse diffusion of MAD2RL; nil for plain q-networks (P-QMIX).
  public var diffusion: Diffusion?
  /// Agents with the same number share one network; nil gives every agent its own.
  public var networkOfAgent: [Int]?
  public var mixer = Mixer.Form.monotonic
  public var mixerEmbedding = 32
  public var hyperHidden = [64, 64]
  public var gamma = 0.99
  public var adam = Adam(learningRate: 5e-4)
  public var softUpdate = 0.001
  /// Bound of the gradients' norm; nil for none.
  public var clipNorm: Double? = 10
  public var batch = 64

  public init(actions: [Int], observation: Int) {
    self.actions = actions
    self.observation = observation
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
    size = settings.batch
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
  }

  /// Working memory of one agent: an online record is kept from its forward to its backward pass.
  private enum Record {
    case denoiser(Denoiser.Record, Denoiser.Workspace?)
    case mlp(MLP.Record)
  }

  public let settings: QMIXSettings
  public let store: ParameterStore
  public var agents: Int { settings.actions.count }

  private let networks: [Network]
  private let networkOfAgent: [Int]
  private let mixer: Mixer
  private let firstAction: [Int]  // of each agent, in rows of `nextAllowed`
  private var online: [Record] = []
  private var frozen: [Record] = []  // per network: targets keep nothing
  private var acting: [Record] = []
  private var noise: [Matrix] = []  // [M B, A] per network
  private var actingNoise: [Matrix] = []
  private var resultGradient: [Matrix] = []  // per network [1, B], with a softmax [B, A]
  private var softmaxed: [Matrix] = []  // [B, A] per agent
  private let mixerRecord: Mixer.Record
  private let q: Matrix  // [B, N]
  private let nextQ: Matrix
  private let qGradient: Matrix
  private let totalGradient: Matrix  // [B, 1]
  private let observationRow: Matrix

  /// A learner with parameters drawn from the generator.
  ///
  /// - Throws: `InputError` if sizes are not positive or agents that share a network differ in actions.
  public init(
    _ settings: QMIXSettings, kernels: Kernels, using generator: inout some RandomNumberGenerator
  ) throws {
    let count = settings.actions.count
    func positive(_ key: String, _ values: [Int]) throws {
      guard let bad = values.first(where: { $0 < 1 }) ?? (values.isEmpty ? 0 : nil) else { return }
      throw InputError("must be at least 1", key: key, value: String(bad))
    }
    try positive("actions", settings.actions)
    try positive("observation", [settings.observation])
    try positive("hidden", settings.hidden)
    try positive("hyperHidden", settings.hyperHidden)
    try positive("mixerEmbedding", [settings.mixerEmbedding])
    try positive("batch", [settings.batch])
    if let diffusion = settings.diffusion { try positive("steps", [diffusion.steps]) }
    let labels = settings.networkOfAgent ?? Array(0..<count)
    guard labels.count == count else {
      throw InputError(
        "names the network of \(labels.count) agents, there are \(count)", key: "networkOfAgent")
    }

    var layout = ParameterLayout()
    var networks: [Network] = []
    var numbers: [Int] = []
    var firstUser: [Int] = []
    for agent in 0..<count {
      if let known = firstUser.firstIndex(where: { labels[$0] == labels[agent] }) {
        guard settings.actions[firstUser[known]] == settings.actions[agent] else {
          throw InputError(
            "agents \(firstUser[known] + 1) and \(agent + 1) share a network but have "
              + "\(settings.actions[firstUser[known]]) and \(settings.actions[agent]) actions",
            key: "networkOfAgent", advice: "Share networks among agents of one DNN type only")
        }
        numbers.append(known)
        continue
      }
      numbers.append(networks.count)
      firstUser.append(agent)
      let name = QMIXCore.networkName(networks.count)
      let actions = settings.actions[agent]
      if let diffusion = settings.diffusion {
        networks.append(
          .denoiser(
            Denoiser(
              &layout, name, actions: actions, observation: settings.observation,
              hidden: settings.hidden, settings: diffusion)))
      } else {
        networks.append(
          .mlp(
            MLP(
              &layout, name, widths: [settings.observation] + settings.hidden + [actions],
              activation: .mish)))
      }
    }
    mixer = Mixer(
      &layout, "mixer", agents: count, state: count * settings.observation,
      embedding: settings.mixerEmbedding, hidden: settings.hyperHidden, form: settings.mixer)
    self.settings = settings
    self.networks = networks
    networkOfAgent = numbers
    firstAction = settings.actions.indices.map { settings.actions[..<$0].reduce(0, +) }
    store = ParameterStore(layout, targets: true, kernels: kernels)

    let batch = settings.batch
    mixerRecord = Mixer.Record(mixer, batch: batch)
    q = Matrix(rows: batch, columns: count)
    nextQ = Matrix(rows: batch, columns: count)
    qGradient = Matrix(rows: batch, columns: count)
    totalGradient = Matrix(rows: batch, columns: 1)
    observationRow = Matrix(rows: 1, columns: settings.observation)
    var workspaces: [Int: Denoiser.Workspace] = [:]
    for agent in 0..<count {
      let actions = settings.actions[agent]
      softmaxed.append(
        Matrix(rows: settings.diffusion?.q == .softmax ? batch : 0, columns: actions))
      switch networks[numbers[agent]] {
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
      let outputs =
        switch network {
        case .denoiser(let net): net.actions
        case .mlp(let net): net.outputs
        }
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
        settings.diffusion?.q == .softmax
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
    store.initialise(using: &generator)
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
      n, observationRow, .parameters, record: acting[n], noise: actingNoise[n], stream: &stream)
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
      settings.adam, clip: settings.clipNorm, softUpdate: settings.softUpdate)
    return StepResult(loss: result.loss, gradientNorm: norm, meanQ: result.meanQ)
  }

  /// Loss and mean Qtot of the batch; leaves the gradients in the store and updates nothing.
  public func gradients(
    _ batch: JointBatch, noise stream: inout NoiseStream
  ) -> (loss: Double, meanQ: Double) {
    precondition(batch.size == settings.batch && batch.actions.count == batch.size * agents)
    for agent in 0..<agents {
      nextValues(agent, batch, &stream)
      takenValues(agent, batch, &stream)
    }
    let size = batch.size
    let next = mixer.forward(
      nextQ, state: batch.nextStates, store, .targets, record: mixerRecord)
    let goal = (0..<size).map {
      batch.rewards[$0] + Float(settings.gamma) * batch.bootstrap[$0] * next[$0, 0]
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
      n, observations(batch.nextStates, of: agent), .targets, record: frozen[n], noise: noise[n],
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
      record: online[agent], noise: noise[n], stream: &stream)
    if whole { store.kernels.softmax(values, into: softmaxed[agent]) }
    for b in 0..<batch.size {
      q[b, agent] = whole ? softmaxed[agent][b, Int(taken[b])] : values[0, b]
    }
  }

  /// Gradients of an agent's network from column `agent` of `qGradient`.
  private func agentGradient(_ agent: Int, _ batch: JointBatch, accumulate: Bool) {
    let n = networkOfAgent[agent]
    let gradient = resultGradient[n]
    for b in 0..<batch.size {
      let d = qGradient[b, agent]
      if settings.diffusion?.q == .softmax {
        let action = batch.actions[b * agents + agent]
        let p = softmaxed[agent].rowPointer(b)
        let row = gradient.rowPointer(b)
        for a in 0..<settings.actions[agent] {
          row[a] = d * p[action] * ((a == action ? 1 : 0) - p[a])
        }
      } else {
        gradient[0, b] = d
      }
    }
    let input = observations(batch.states, of: agent)
    switch (networks[n], online[agent]) {
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
