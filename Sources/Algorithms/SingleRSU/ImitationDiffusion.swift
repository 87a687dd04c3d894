internal import Neural
internal import Simulation
internal import Support

#if canImport(Glibc)
  internal import Glibc
#endif

struct ImitationDiffusionSettings: Settings {
  var learning = SlotLearningSettings()
  @Setting(1...100, source: "ours", "Steps M of the reverse diffusion.")
  var denoisingSteps = 5
  @Setting(1e-6...100, source: "P1 (35)", "Least diffusion rate.")
  var betaMin = 0.1
  @Setting(1e-6...1000, source: "P1 (35)", "Greatest diffusion rate.")
  var betaMax = 10.0
}

/// Imitation with a diffusion policy (ours; P1's future work): as `imitation`, but each client's network is a denoiser.
///
/// It is trained with the forward process on the teacher's one-hot decision, x^m = sqrt(abar_m) x^0 + sqrt(1 - abar_m) z,
/// to tell x^0 from x^m, m and the queues (cross-entropy). It acts by the mode of the reverse process: from x^M = 0, each
/// step takes the posterior's mean, P1 eq (38), (40), with the predicted x^0 and no noise.
struct ImitationDiffusion: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "imitation-diffusion", version: 1,
    summary:
      "As imitation, with a denoiser for each client that acts by the mode of the reverse diffusion.",
    isLearner: true, settings: ImitationDiffusionSettings.self
  ) { try ImitationDiffusion(environment: $0, settings: $1, context: $2) }

  // MARK: Configuration

  /// The coefficients of one step m of the diffusion.
  private struct Step {
    /// Shares of x^0 and of noise in x^m.
    var signal, noise: Float
    /// Shares of x^m and of the predicted x^0 in the mean of x^(m-1).
    var keep, gain: Float
    /// sin and cos of m at eight frequencies.
    var embedding: [Float]
  }

  private static let embedding = 16

  private static func steps(_ settings: ImitationDiffusionSettings) -> [Step] {
    var diffusion = Diffusion()
    diffusion.steps = settings.denoisingSteps
    diffusion.betaMin = settings.betaMin
    diffusion.betaMax = settings.betaMax
    var product = 1.0
    return DiffusionSchedule(diffusion).beta.enumerated().map { index, beta in
      let before = product
      product *= 1 - beta
      let phases = (0..<embedding / 2).map {
        Double(index + 1) * pow(10_000, -Double($0) / Double(embedding / 2 - 1))
      }
      return Step(
        signal: Float(product.squareRoot()), noise: Float((1 - product).squareRoot()),
        keep: Float((1 - beta).squareRoot() * (1 - before) / (1 - product)),
        gain: Float(before.squareRoot() * beta / (1 - product)),
        embedding: phases.map { Float(sin($0)) } + phases.map { Float(cos($0)) })
    }
  }

  // MARK: Networks

  private let nodes: Int
  private let clients: Int
  private let features: QueueFeatures
  private let team: MLPTeam
  private let kernels: Kernels
  private let steps: [Step]
  private let inputs: [Matrix]
  /// Noise of the forward process.
  private let noiseRow: Matrix
  private var noise: NoiseStream
  private var teacher: CanonicalTeacher
  private var learning: SlotLearning

  init(
    environment: SingleRSUEnvironment, settings: ImitationDiffusionSettings, context: AgentContext
  ) throws {
    let scenario = environment.scenario
    let features = QueueFeatures(scenario)
    nodes = scenario.nodes
    clients = scenario.clients
    kernels = context.kernels
    self.features = features
    teacher = try CanonicalTeacher(scenario)
    learning = SlotLearning(
      settings.learning, slots: scenario.slots, width: clients * (features.size + 1),
      context: context)
    steps = ImitationDiffusion.steps(settings)
    let widths = (0..<clients).map {
      scenario.actions(ofClient: $0) + ImitationDiffusion.embedding + features.size
    }
    noise = NoiseStream(seed: RandomField(seed: context.seed, .diffusionNoise).bits(0))
    noiseRow = Matrix(
      rows: settings.learning.batchSize,
      columns: 1 + ((0..<clients).map { scenario.actions(ofClient: $0) }.max() ?? 0))
    var initialisation = RandomStream(seed: context.seed, .initialisation)
    team = MLPTeam(
      inputs: widths, hidden: settings.learning.hidden,
      outputs: (0..<clients).map { scenario.actions(ofClient: $0) }, activation: .relu,
      batch: settings.learning.batchSize, kernels: context.kernels, using: &initialisation)
    inputs = widths.map { [rows = settings.learning.batchSize] in Matrix(rows: rows, columns: $0) }
  }

  var statistics: AgentStatistics { learning.statistics }
  var constants: [String: JSONValue] { ["trainedParameters": .integer(team.parameterCount)] }

  // MARK: Act

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    learning.beginEpisode(episode, phase: phase)
  }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    SlotDecision(
      actions: (0..<clients).map { client in
        guard situation.tasks[client] else { return 0 }
        let scores = mode(ofClient: client, features.values(situation, client: client))
        return situation.bestAction(ofClient: client, scores: scores)
      }, nodes: nodes)
  }

  /// x^0 at the mode of the reverse process.
  private func mode(ofClient client: Int, _ observed: [Float]) -> [Float] {
    var x = [Float](repeating: 0, count: team.outputCount(agent: client))
    for step in steps.reversed() {
      let predicted = team.probabilities(
        agent: client, inputs: x + step.embedding + observed)
      for a in x.indices { x[a] = step.keep * x[a] + step.gain * predicted[a] }
    }
    return x
  }

  // MARK: Learn

  mutating func learn(
    _ situation: SlotSituation, _ decision: SlotDecision, _ outcome: SlotOutcome,
    next: SlotSituation?
  ) throws {
    guard learning.isLearning else { return }
    var row = (0..<clients).flatMap { features.values(situation, client: $0) }
    row += teacher.actions(situation).map { Float($0 ?? -1) }
    learning.append(row)
    for _ in 0..<learning.dueSteps {
      let batch = learning.sample()
      let targets = (0..<clients).map { corrupt(batch, client: $0) }
      try learning.record(
        team.trainStep(
          inputs: inputs, targets: targets.map { .choices($0) }, adam: learning.adam))
    }
  }

  /// Fills a client's inputs with x^m of its teacher's decisions, each row at a step m of its own.
  ///
  /// - Returns: the decisions; nil where the client had no task.
  private mutating func corrupt(_ batch: [ArraySlice<Float>], client: Int) -> [Int?] {
    let size = features.size
    noise.fill(noiseRow, kernels: kernels)
    let count = team.outputCount(agent: client)
    return batch.enumerated().map { b, row in
      let action = Int(row[row.startIndex + clients * size + client])
      let z = noiseRow.row(b)
      // The first number of the row chooses m: equally likely by the normal distribution's own quantiles.
      let share = 0.5 * (1 + erf(Double(z[0]) / 2.0.squareRoot()))
      let step = steps[min(Int(share * Double(steps.count)), steps.count - 1)]
      var x = (1...count).map { step.noise * z[$0] }
      if action >= 0 { x[action] += step.signal }
      let start = row.startIndex + client * size
      inputs[client].setRow(b, x + step.embedding + row[start..<start + size])
      return action < 0 ? nil : action
    }
  }

  // MARK: State

  func saveState(to writer: inout StateWriter) {
    team.save(.training, to: &writer)
    writer.write(noise.block)
    learning.saveState(to: &writer)
  }
  mutating func restoreState(from reader: inout StateReader) throws {
    try team.restore(.training, from: &reader)
    noise.block = try reader.readWord()
    try learning.restoreState(from: &reader)
  }
  func savePolicy(to writer: inout StateWriter) { team.save(.policy, to: &writer) }
  mutating func restorePolicy(from reader: inout StateReader) throws {
    try team.restore(.policy, from: &reader)
  }
}
