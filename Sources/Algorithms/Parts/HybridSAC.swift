internal import Glibc
internal import Neural
internal import Support

/// Sizes and settings of soft actor-critic with one discrete and several continuous actions.
struct HybridSACSettings: Sendable, Equatable {
  /// Length of an observation.
  var observation: Int
  /// Number of discrete choices; 1: there is no discrete action.
  var choices: Int
  /// Number of continuous actions in (-1, 1).
  var continuous: Int
  var hidden = [256, 256]
  var discount = 0.0
  var softUpdate = 0.005
  var batch = 256
  /// Bounds of both temperatures.
  var temperatures = 0.001...1.0
  var firstTemperature = 0.1
  /// Entropy that the discrete action is held at, as a share of that of a uniform choice.
  var choiceEntropy = 0.1
  /// Entropy that the continuous actions are held at, for each of them.
  var continuousEntropy = -1.0

  init(observation: Int, choices: Int, continuous: Int) {
    self.observation = observation
    self.choices = choices
    self.continuous = continuous
  }
}

/// A mini-batch of transitions; fill it and hand it to `trainStep`.
final class HybridBatch {
  let size: Int
  /// Observations [B, S].
  let states: Matrix
  let nextStates: Matrix
  /// Choice of each sample.
  var choices: [Int]
  /// Continuous actions [B, c], row after row.
  var actions: [Float]
  var rewards: [Float]
  /// The first so many choices are allowed in the state and in the next state; 0: there is no next state, and
  /// nothing is added to the reward.
  var allowed: [Int]
  var nextAllowed: [Int]

  init(_ settings: HybridSACSettings) {
    size = settings.batch
    states = Matrix(rows: size, columns: settings.observation)
    nextStates = Matrix(rows: size, columns: settings.observation)
    choices = Array(repeating: 0, count: size)
    actions = Array(repeating: 0, count: size * settings.continuous)
    rewards = Array(repeating: 0, count: size)
    allowed = Array(repeating: settings.choices, count: size)
    nextAllowed = allowed
  }
}

/// Soft actor-critic (Haarnoja et al. 2018) for hybrid actions (Delalleau et al. 2019): networks, targets,
/// optimisers, temperatures and the train step.
///
/// Given the state, the policy draws the choice d and the continuous actions a independently:
/// π(d, a | s) = π(d | s) π(a | s), a categorical distribution over the allowed choices and tanh-squashed
/// Gaussians. Each of two critics takes s and a and returns Q(s, d, a) for every d, so that expectations over
/// d are exact sums. Each of the two parts of the policy has a temperature of its own.
///
///     V(s)    = Σ_d π(d|s) (min_i Q_i(s, d, a) - μ_d log π(d|s)) - μ_a log π(a|s),   a ~ π(·|s)
///     critics   (Q_i(s, d, a) - r - γ V'(s'))², V' with the target critics
///     actor     -V(s)
///     log μ     follows entropy minus target entropy downwards
///
/// Episodes end by truncation only, so every transition that has a successor bootstraps.
final class HybridSAC {
  /// What a train step reports.
  struct StepResult: Sendable, Equatable {
    /// Mean over the batch of the squared error, averaged over both critics.
    var criticLoss: Double
    var actorLoss: Double
    /// Mean entropies of the two parts of the policy.
    var choiceEntropy: Double
    var continuousEntropy: Double
  }

  let settings: HybridSACSettings
  let actorStore: ParameterStore
  let criticStore: ParameterStore
  let actor: MLP
  let critics: [MLP]
  /// Logarithms of the temperatures of choice and continuous actions, with Adam's moments.
  private(set) var choiceTemperature: Temperature
  private(set) var continuousTemperature: Temperature

  private let actorRecord: MLP.Record
  private let criticRecords: [MLP.Record]
  private let actingRecord: MLP.Record
  private let actingState: Matrix
  /// [B, S + c]: input of the critics.
  private let criticInput: Matrix
  private let criticInputGradient: Matrix
  /// [B, A] and [B, A + 2 c].
  private let criticGradient: Matrix
  private let actorGradient: Matrix
  private var policy: PolicyBatch
  private var noise: [Double]

  /// Deviations of the Gaussians lie between e^-5 and e^2 (as in CleanRL).
  static let logDeviations = (least: -5.0, greatest: 2.0)

  init(
    _ settings: HybridSACSettings, kernels: Kernels,
    using generator: inout some RandomNumberGenerator
  ) {
    precondition(settings.observation > 0 && settings.choices > 0 && settings.continuous > 0)
    precondition(settings.batch > 0)
    self.settings = settings
    let inputs = settings.observation + settings.continuous
    let outputs = settings.choices + 2 * settings.continuous
    var actorLayout = ParameterLayout()
    actor = MLP(
      &actorLayout, "actor", widths: [settings.observation] + settings.hidden + [outputs],
      activation: .relu)
    var criticLayout = ParameterLayout()
    critics = (1...2).map {
      MLP(
        &criticLayout, "critic\($0)", widths: [inputs] + settings.hidden + [settings.choices],
        activation: .relu)
    }
    actorStore = ParameterStore(actorLayout, targets: false, kernels: kernels)
    criticStore = ParameterStore(criticLayout, targets: true, kernels: kernels)
    actorStore.initialise(using: &generator)
    criticStore.initialise(using: &generator)
    choiceTemperature = Temperature(settings)
    continuousTemperature = Temperature(settings)

    let batch = settings.batch
    actorRecord = MLP.Record(actor, rows: batch)
    criticRecords = critics.map { MLP.Record($0, rows: batch) }
    actingRecord = MLP.Record(actor, rows: 1)
    actingState = Matrix(rows: 1, columns: settings.observation)
    criticInput = Matrix(rows: batch, columns: inputs)
    criticInputGradient = Matrix(rows: batch, columns: inputs)
    criticGradient = Matrix(rows: batch, columns: settings.choices)
    actorGradient = Matrix(rows: batch, columns: outputs)
    policy = PolicyBatch(settings)
    noise = Array(repeating: 0, count: batch * settings.continuous)
  }

  // MARK: Acting

  /// A choice among the first `allowed` and continuous actions: drawn, or the most probable choice and the
  /// Gaussians' middle where `stream` is nil.
  func act(
    _ observation: [Float], allowed: Int, stream: inout RandomStream?
  ) -> (choice: Int, actions: [Float]) {
    actingState.setRow(0, observation)
    let row = actor.forward(actingState, actorStore, record: actingRecord).row(0)
    let choices = settings.choices
    let categorical = Categorical(logits: Array(row[..<allowed]))
    var choice = 0
    if stream != nil {
      choice = categorical.sample(stream!.uniform())
    } else {
      for d in 1..<max(allowed, 1) where row[d] > row[choice] { choice = d }
    }
    let actions = (0..<settings.continuous).map { k -> Float in
      let mean = Double(row[choices + k])
      guard stream != nil else { return Float(tanh(mean)) }
      let raw = Double(row[choices + settings.continuous + k])
      return Float(
        SquashedGaussian(
          mean: mean, logDeviation: HybridSAC.logDeviation(raw).value, noise: stream!.normal()
        ).action)
    }
    return (choice, actions)
  }

  /// The log-deviation that a network output stands for, and its derivative.
  static func logDeviation(_ raw: Double) -> (value: Double, derivative: Double) {
    let half = (logDeviations.greatest - logDeviations.least) / 2
    let squashed = tanh(raw)
    return (logDeviations.least + half * (squashed + 1), half * (1 - squashed * squashed))
  }

  // MARK: Learning

  /// One step of the critics, the actor and the temperatures, and the soft update of the targets.
  func trainStep(
    _ batch: HybridBatch, learningRate: Double, using stream: inout RandomStream
  ) -> StepResult {
    let adam = Adam(learningRate: learningRate)
    var values = [Double](repeating: 0, count: batch.size)
    if settings.discount > 0 {
      for i in noise.indices { noise[i] = stream.normal() }
      values = nextValues(batch, noise: noise)
    }
    let criticLoss = criticGradients(batch, nextValues: values)
    criticStore.adamStep(adam, softUpdate: settings.softUpdate)
    for i in noise.indices { noise[i] = stream.normal() }
    let actorResult = actorGradients(batch, noise: noise)
    actorStore.adamStep(adam)
    if settings.choices > 1 {
      choiceTemperature.step(
        excessEntropy: actorResult.excessChoiceEntropy, adam: adam, steps: actorStore.steps)
    }
    continuousTemperature.step(
      excessEntropy: actorResult.continuousEntropy
        - settings.continuousEntropy * Double(settings.continuous),
      adam: adam, steps: actorStore.steps)
    return StepResult(
      criticLoss: criticLoss, actorLoss: actorResult.loss,
      choiceEntropy: actorResult.choiceEntropy, continuousEntropy: actorResult.continuousEntropy)
  }

  /// V'(s') of every sample; 0 where there is no next state.
  func nextValues(_ batch: HybridBatch, noise: [Double]) -> [Double] {
    let output = actor.forward(batch.nextStates, actorStore, record: actorRecord)
    policy.evaluate(output, allowed: batch.nextAllowed, noise: noise)
    fillCriticInput(batch.nextStates) { policy.actions[$0] }
    let q = critics.indices.map {
      critics[$0].forward(criticInput, criticStore, .targets, record: criticRecords[$0])
    }
    let choices = settings.choices
    return (0..<batch.size).map { b in
      guard batch.nextAllowed[b] > 0 else { return 0 }
      var value = -continuousTemperature.value * policy.logDensities[b]
      for d in 0..<batch.nextAllowed[b] {
        let i = b * choices + d
        value +=
          policy.probabilities[i]
          * (Double(min(q[0][b, d], q[1][b, d]))
            - choiceTemperature.value * policy.logProbabilities[i])
      }
      return value
    }
  }

  /// Leaves the gradients of the critics' loss in their store and returns the loss.
  func criticGradients(_ batch: HybridBatch, nextValues: [Double]) -> Double {
    fillCriticInput(batch.states) { Double(batch.actions[$0]) }
    var loss = 0.0
    for (critic, record) in zip(critics, criticRecords) {
      let q = critic.forward(criticInput, criticStore, record: record)
      criticGradient.fill(0)
      for b in 0..<batch.size {
        let target = Double(batch.rewards[b]) + settings.discount * nextValues[b]
        let error = Double(q[b, batch.choices[b]]) - target
        loss += error * error
        criticGradient[b, batch.choices[b]] = Float(2 * error / Double(batch.size))
      }
      critic.backward(
        criticInput, outputGradient: criticGradient, criticStore, record: record)
    }
    return loss / Double(2 * batch.size)
  }

  struct ActorResult {
    var loss: Double
    var choiceEntropy: Double
    /// Mean of the entropy of the choice minus its target.
    var excessChoiceEntropy: Double
    var continuousEntropy: Double
  }

  /// Leaves the gradients of the actor's loss in its store.
  func actorGradients(_ batch: HybridBatch, noise: [Double]) -> ActorResult {
    let choices = settings.choices
    let continuous = settings.continuous
    let share = 1 / Double(batch.size)
    let choiceWeight = choiceTemperature.value
    let continuousWeight = continuousTemperature.value
    let output = actor.forward(batch.states, actorStore, record: actorRecord)
    policy.evaluate(output, allowed: batch.allowed, noise: noise)
    fillCriticInput(batch.states) { policy.actions[$0] }
    let q = critics.indices.map {
      critics[$0].forward(criticInput, criticStore, record: criticRecords[$0])
    }
    var result = ActorResult(
      loss: 0, choiceEntropy: 0, excessChoiceEntropy: 0, continuousEntropy: 0)

    // The choices: dL/dlogit = π (g - Σ π g) with g = μ log π - Q, the smaller of the two Q.
    for b in 0..<batch.size {
      var mean = 0.0
      var entropy = 0.0
      for d in 0..<batch.allowed[b] {
        let i = b * choices + d
        let least = Double(min(q[0][b, d], q[1][b, d]))
        let g = choiceWeight * policy.logProbabilities[i] - least
        policy.advantages[i] = g
        mean += policy.probabilities[i] * g
        entropy -= policy.probabilities[i] * policy.logProbabilities[i]
      }
      for d in 0..<choices {
        let i = b * choices + d
        actorGradient[b, d] =
          d < batch.allowed[b]
          ? Float(share * policy.probabilities[i] * (policy.advantages[i] - mean)) : 0
      }
      result.loss += share * (mean + continuousWeight * policy.logDensities[b])
      result.choiceEntropy += share * entropy
      result.excessChoiceEntropy +=
        share * (entropy - settings.choiceEntropy * log(Double(batch.allowed[b])))
      result.continuousEntropy -= share * policy.logDensities[b]
    }

    // The continuous actions: through the critic that is the smaller one for each choice.
    var actionGradient = [Double](repeating: 0, count: batch.size * continuous)
    for (index, critic) in critics.enumerated() {
      criticGradient.fill(0)
      for b in 0..<batch.size {
        for d in 0..<batch.allowed[b] {
          let isLeast = index == 0 ? q[0][b, d] <= q[1][b, d] : q[1][b, d] < q[0][b, d]
          if isLeast {
            criticGradient[b, d] = Float(-share * policy.probabilities[b * choices + d])
          }
        }
      }
      critic.backward(
        criticInput, outputGradient: criticGradient, criticStore, record: criticRecords[index],
        parameters: false, inputGradient: criticInputGradient)
      for b in 0..<batch.size {
        for k in 0..<continuous {
          actionGradient[b * continuous + k] += Double(
            criticInputGradient[b, settings.observation + k])
        }
      }
    }
    for b in 0..<batch.size {
      for k in 0..<continuous {
        let i = b * continuous + k
        let gradient = policy.gaussians[i].gradient(
          action: actionGradient[i], logProbability: share * continuousWeight)
        actorGradient[b, choices + k] = Float(gradient.mean)
        actorGradient[b, choices + continuous + k] = Float(
          gradient.logDeviation * policy.deviationDerivatives[i])
      }
    }
    actor.backward(
      batch.states, outputGradient: actorGradient, actorStore, record: actorRecord)
    return result
  }

  private func fillCriticInput(_ states: Matrix, action: (Int) -> Double) {
    let continuous = settings.continuous
    criticInput.slice(columns: 0..<settings.observation).copy(from: states)
    for b in 0..<states.rows {
      for k in 0..<continuous {
        criticInput[b, settings.observation + k] = Float(action(b * continuous + k))
      }
    }
  }

  // MARK: State

  /// Networks, targets, optimisers and temperatures.
  func save(to writer: inout StateWriter) {
    writer.section("sac")
    actorStore.save(to: &writer)
    criticStore.save(to: &writer)
    choiceTemperature.save(to: &writer)
    continuousTemperature.save(to: &writer)
  }

  func restore(from reader: inout StateReader) throws {
    try reader.section("sac")
    try actorStore.restore(from: &reader)
    try criticStore.restore(from: &reader)
    try choiceTemperature.restore(from: &reader)
    try continuousTemperature.restore(from: &reader)
  }
}

/// A temperature that is learned on a logarithmic scale within bounds (Haarnoja et al. 2018, section 5).
struct Temperature: Equatable {
  private var logarithm: Double
  private var firstMoment = 0.0
  private var secondMoment = 0.0
  private let bounds: ClosedRange<Double>

  init(_ settings: HybridSACSettings) {
    bounds = settings.temperatures
    logarithm = log(min(max(settings.firstTemperature, bounds.lowerBound), bounds.upperBound))
  }

  var value: Double { exp(logarithm) }

  /// One step of Adam on log μ times the mean excess of the entropy over its target.
  mutating func step(excessEntropy gradient: Double, adam: Adam, steps: Int) {
    firstMoment += (1 - adam.beta1) * (gradient - firstMoment)
    secondMoment += (1 - adam.beta2) * (gradient * gradient - secondMoment)
    let first = firstMoment / (1 - pow(adam.beta1, Double(steps)))
    let second = secondMoment / (1 - pow(adam.beta2, Double(steps)))
    logarithm -= adam.learningRate * first / (second.squareRoot() + adam.epsilon)
    logarithm = min(max(logarithm, log(bounds.lowerBound)), log(bounds.upperBound))
  }

  func save(to writer: inout StateWriter) {
    for value in [logarithm, firstMoment, secondMoment] { writer.write(value) }
  }

  mutating func restore(from reader: inout StateReader) throws {
    logarithm = try reader.readNumber()
    firstMoment = try reader.readNumber()
    secondMoment = try reader.readNumber()
  }
}

/// The policy in every state of a batch: working memory of `HybridSAC`.
struct PolicyBatch {
  /// [B, A], row after row; nothing is defined beyond the allowed choices.
  var probabilities: [Double]
  var logProbabilities: [Double]
  var advantages: [Double]
  /// [B, c].
  var gaussians: [SquashedGaussian]
  var deviationDerivatives: [Double]
  var actions: [Double]
  /// Log-density of all continuous actions of a sample.
  var logDensities: [Double]
  private let choices: Int
  private let continuous: Int

  init(_ settings: HybridSACSettings) {
    choices = settings.choices
    continuous = settings.continuous
    let empty = SquashedGaussian(mean: 0, logDeviation: 0, noise: 0)
    probabilities = Array(repeating: 0, count: settings.batch * choices)
    logProbabilities = probabilities
    advantages = probabilities
    gaussians = Array(repeating: empty, count: settings.batch * continuous)
    deviationDerivatives = Array(repeating: 0, count: settings.batch * continuous)
    actions = deviationDerivatives
    logDensities = Array(repeating: 0, count: settings.batch)
  }

  /// Fills everything from the actor's output [B, A + 2 c].
  mutating func evaluate(_ output: Matrix, allowed: [Int], noise: [Double]) {
    for b in 0..<output.rows {
      var peak = -Double.infinity
      for d in 0..<allowed[b] { peak = max(peak, Double(output[b, d])) }
      var sum = 0.0
      for d in 0..<allowed[b] { sum += exp(Double(output[b, d]) - peak) }
      let shift = peak + log(sum)
      for d in 0..<allowed[b] {
        let logarithm = Double(output[b, d]) - shift
        logProbabilities[b * choices + d] = logarithm
        probabilities[b * choices + d] = exp(logarithm)
      }
      logDensities[b] = 0
      for k in 0..<continuous {
        let i = b * continuous + k
        let deviation = HybridSAC.logDeviation(
          Double(output[b, choices + continuous + k]))
        let gaussian = SquashedGaussian(
          mean: Double(output[b, choices + k]), logDeviation: deviation.value, noise: noise[i])
        gaussians[i] = gaussian
        deviationDerivatives[i] = deviation.derivative
        actions[i] = gaussian.action
        logDensities[b] += gaussian.logProbability
      }
    }
  }
}
