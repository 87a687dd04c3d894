public import Support

#if canImport(Glibc)
  internal import Glibc
#endif

/// Settings of the reverse diffusion that makes a row of q-values (P1, Sec. 6).
public struct Diffusion: Settings, Equatable {
  public enum Prediction: String, CaseIterable, DescribedSettingValue {
    /// The network predicts x^0; the next mean is the posterior's (38), (40).
    case x0
    /// The network predicts the noise (printed, (41)).
    case epsilon
  }
  public enum NoiseOutput: String, CaseIterable, DescribedSettingValue { case linear, tanh }
  public enum QValues: String, CaseIterable, DescribedSettingValue {
    /// q = x^0.
    case logits
    /// q = softmax(x^0) (printed, (43)).
    case softmax
  }

  @Setting(
    1...100, key: "denoisingSteps", source: "P1 §8.3.1", "Steps M of the reverse diffusion.")
  public var steps = 7
  @Setting(1e-6...100, source: "P1 (35)", "Least diffusion rate.")
  public var betaMin = 0.1
  @Setting(1e-6...1000, source: "P1 (35)", "Greatest diffusion rate.")
  public var betaMax = 10.0
  @Setting(
    source: "P1 (38), (40)",
    "What the denoiser predicts: the clean row x0, or the noise as printed in (41).")
  public var prediction = Prediction.x0
  @Setting(
    source: "P1 (43)", "q-values: the clean row itself, or its softmax as printed.")
  public var q = QValues.logits
  @Setting(source: "P1 (41)", "Output of the denoiser.")
  public var noiseOutput = NoiseOutput.linear
  @Setting(1e-6...1e6, source: "P1 (38)", "Bound of the predicted clean row; none as printed.")
  public var clip: Double? = nil

  public init() {}
}

/// The coefficients of every reverse step, computed in double precision.
public struct DiffusionSchedule: Sendable {
  /// u = clip(fromX x + fromOutput f), x^(m-1) = keep x^m + gain u + sigma z.
  struct Step: Sendable {
    var fromX: Float
    var fromOutput: Float
    var keep: Float
    var gain: Float
    var sigma: Float
  }

  /// beta_m for m = 1 ... M (P1, below (37)).
  public let beta: [Double]
  /// Step m stands at index m - 1.
  let steps: [Step]
  let limit: Float
  /// Whether all coefficients are numbers: with extreme rates the noise of a step loses its share altogether.
  public let isFinite: Bool

  public init(_ settings: Diffusion) {
    let count = Double(settings.steps)
    var beta: [Double] = []
    var steps: [Step] = []
    var product = 1.0
    for m in 1...settings.steps {
      let exponent =
        settings.betaMin / count + (2 * Double(m) - 1) * (settings.betaMax - settings.betaMin)
        / (2 * count * count)
      let b = 1 - exp(-exponent)
      let alpha = 1 - b
      let before = product
      product *= alpha
      let posteriorKeep = alpha.squareRoot() * (1 - before) / (1 - product)
      let posteriorGain = before.squareRoot() * b / (1 - product)
      let noiseScale = (1 - product).squareRoot()
      let sigma = m == 1 ? 0 : ((1 - before) / (1 - product) * b).squareRoot()
      let step: (Double, Double, Double, Double)
      switch (settings.prediction, settings.clip) {
      case (.x0, _): step = (0, 1, posteriorKeep, posteriorGain)
      case (.epsilon, nil):
        step = (0, 1, 1 / alpha.squareRoot(), -b / noiseScale / alpha.squareRoot())
      case (.epsilon, _):
        let scale = 1 / product.squareRoot()
        step = (scale, -noiseScale * scale, posteriorKeep, posteriorGain)
      }
      beta.append(b)
      steps.append(
        Step(
          fromX: Float(step.0), fromOutput: Float(step.1), keep: Float(step.2),
          gain: Float(step.3), sigma: Float(sigma)))
    }
    self.beta = beta
    self.steps = steps
    isFinite = steps.allSatisfy {
      [$0.fromX, $0.fromOutput, $0.keep, $0.gain, $0.sigma].allSatisfy(\.isFinite)
    }
    limit = settings.clip.map { Float($0) } ?? .infinity
  }
}

/// The network that turns noise into a row of q-values given an observation: M passes of one MLP.
///
/// Input of layer 1: x^m [A], step embedding [16], observation [S]. Its three parts are computed where they change:
/// the observation's once per sample, the embedding's once per step, x's in every step.
public struct Denoiser: Sendable {
  static let embedding = 16
  static let embeddingHidden = 32

  public let settings: Diffusion
  public let schedule: DiffusionSchedule
  public let actions: Int
  public let observation: Int
  let embed1: Dense
  let embed2: Dense
  /// Layer 1 [A + 16 + S, H], hidden layers [H, H] ..., output [H, A].
  let layers: [Dense]
  /// sin and cos of m at eight frequencies, one row per m.
  private let angles: [[Float]]

  public init(
    _ layout: inout ParameterLayout, _ name: String, actions: Int, observation: Int,
    hidden: [Int], settings: Diffusion
  ) {
    precondition(!hidden.isEmpty && settings.steps >= 1)
    self.settings = settings
    schedule = DiffusionSchedule(settings)
    self.actions = actions
    self.observation = observation
    embed1 = Dense(
      &layout, name + ".embedding.1", inputs: Self.embedding, outputs: Self.embeddingHidden)
    embed2 = Dense(
      &layout, name + ".embedding.2", inputs: Self.embeddingHidden, outputs: Self.embedding)
    let widths = [actions + Self.embedding + observation] + hidden + [actions]
    layers = (1..<widths.count).map {
      Dense(&layout, "\(name).\($0)", inputs: widths[$0 - 1], outputs: widths[$0])
    }
    let half = Self.embedding / 2
    angles = (1...settings.steps).map { m in
      let phases = (0..<half).map { Double(m) * exp(-Double($0) * log(10000) / Double(half - 1)) }
      return phases.map { Float(sin($0)) } + phases.map { Float(cos($0)) }
    }
  }

  /// What a pass leaves behind. With `keep` false only the result: nothing can be differentiated.
  public final class Record {
    let batch: Int
    let keep: Bool
    let steps: Int
    let angles: Matrix  // [M, 16]
    let embeddingHidden: Matrix  // [M, 32]
    let embeddingDerivative: Matrix
    let embedding: Matrix  // [M, 16]
    let stepPart: Matrix  // [M, H]
    let statePart: Matrix  // [B, H]
    let inputs: Matrix  // x^m [M B, A], m = 1 first; without `keep` two blocks used in turns
    let hidden: [Matrix]  // [M B, H]
    let derivatives: [Matrix]
    let outputs: Matrix  // [M B, A]
    let result: Matrix  // x^0 [B, A]
    var chosen: ChosenOutputs?
    lazy var transposed = Matrix(rows: result.columns, columns: hidden[hidden.count - 1].columns)

    public init(_ net: Denoiser, batch: Int, keep: Bool) {
      self.batch = batch
      self.keep = keep
      steps = net.settings.steps
      let widths = net.layers.dropLast().map(\.outputs)
      let rows = keep ? steps * batch : batch
      angles = Matrix(rows: steps, columns: Denoiser.embedding)
      for m in 0..<steps { angles.setRow(m, net.angles[m]) }
      embeddingHidden = Matrix(rows: steps, columns: Denoiser.embeddingHidden)
      embeddingDerivative = Matrix(rows: steps, columns: Denoiser.embeddingHidden)
      embedding = Matrix(rows: steps, columns: Denoiser.embedding)
      stepPart = Matrix(rows: steps, columns: widths[0])
      statePart = Matrix(rows: batch, columns: widths[0])
      inputs = Matrix(rows: keep ? rows : 2 * batch, columns: net.actions)
      hidden = widths.map { Matrix(rows: rows, columns: $0) }
      derivatives = keep ? widths.map { Matrix(rows: rows, columns: $0) } : []
      outputs = Matrix(rows: rows, columns: net.actions)
      result = Matrix(rows: batch, columns: net.actions)
    }

    /// Rows of step m (from 0) for `count` samples.
    func block(_ m: Int, _ count: Int) -> Range<Int> {
      keep ? m * count..<(m + 1) * count : 0..<count
    }

    func input(_ m: Int, _ count: Int) -> Matrix {
      inputs.slice(rows: keep ? block(m, count) : (m & 1) * batch..<(m & 1) * batch + count)
    }
  }

  /// Gradients of one backward pass; one serves all networks of the same shapes in turn.
  public final class Workspace {
    let hidden: [Matrix]  // gradients before the activations [M B, H]
    let outputs: Matrix  // [M B, A]
    let input: Matrix  // [B, A], twice: dx in and out of a step
    let partial: Matrix
    let stateGradient: Matrix  // [B, H]
    let stepGradient: Matrix  // [M, H]
    let embedding: Matrix  // [M, 16]
    let embeddingHidden: Matrix  // [M, 32]

    public init(_ net: Denoiser, batch: Int) {
      let widths = net.layers.dropLast().map(\.outputs)
      let steps = net.settings.steps
      hidden = widths.map { Matrix(rows: steps * batch, columns: $0) }
      outputs = Matrix(rows: steps * batch, columns: net.actions)
      input = Matrix(rows: batch, columns: net.actions)
      partial = Matrix(rows: batch, columns: net.actions)
      stateGradient = Matrix(rows: batch, columns: widths[0])
      stepGradient = Matrix(rows: steps, columns: widths[0])
      embedding = Matrix(rows: steps, columns: Denoiser.embedding)
      embeddingHidden = Matrix(rows: steps, columns: Denoiser.embeddingHidden)
    }
  }

  /// The rows of layer 1's weight that belong to x, the step and the observation.
  private func parts(_ first: Matrix) -> (x: Matrix, step: Matrix, state: Matrix) {
    let step = actions + Self.embedding
    return (
      first.slice(rows: 0..<actions), first.slice(rows: actions..<step),
      first.slice(rows: step..<step + observation)
    )
  }

  /// What of layer 1 is the same in all steps or for all samples: the steps' part into the record, and the state's
  /// part [B, H].
  private func layerOneOnce(
    _ observations: Matrix, _ first: (x: Matrix, step: Matrix, state: Matrix),
    _ store: ParameterStore, _ section: ParameterStore.Section, _ record: Record
  ) -> Matrix {
    embed1.forward(
      record.angles, into: record.embeddingHidden, store, section, activation: .mish,
      derivative: record.embeddingDerivative)
    embed2.forward(record.embeddingHidden, into: record.embedding, store, section)
    store.kernels.multiply(
      record.embedding, first.step, into: record.stepPart,
      bias: store.matrix(layers[0].bias, section))
    let statePart = record.statePart.slice(rows: 0..<observations.rows)
    store.kernels.multiply(observations, first.state, into: statePart, ahead: first.x)
    return statePart
  }

  /// x^0 [B, A] for observations [B, S].
  ///
  /// - Parameters:
  ///   - noise: [M B, A]: x^M, then z of steps M, M - 1, ..., 2.
  ///   - choices: Of each sample the one number of x^0 that is wanted; the result is then [1, B].
  public func forward(
    _ observations: Matrix, noise: Matrix, _ store: ParameterStore,
    _ section: ParameterStore.Section = .parameters, choices: [Int32]? = nil, record: Record
  ) -> Matrix {
    let count = observations.rows
    let steps = settings.steps
    precondition(count <= record.batch && observations.columns == observation)
    precondition(noise.rows == steps * count && noise.columns == actions)
    let kernels = store.kernels
    let first = parts(store.matrix(layers[0].weight, section))
    let statePart = layerOneOnce(observations, first, store, section, record)

    let last = layers[layers.count - 1]
    let outputActivation: Activation = settings.noiseOutput == .tanh ? .tanh : .linear
    let result = record.result.slice(rows: 0..<count)
    record.chosen = nil
    record.input(steps - 1, count).copy(from: noise.slice(rows: 0..<count))
    let pass = KernelPass()
    for m in (0..<steps).reversed() {
      let block = record.block(m, count)
      let x = record.input(m, count)
      var h = record.hidden[0].slice(rows: block)
      /// In the first step the next layer's weights, which other agents have driven out of the caches.
      func ahead(_ l: Int) -> Matrix? {
        m == steps - 1 ? store.matrix(layers[l + 1].weight, section) : nil
      }
      kernels.multiply(
        x, first.x, into: h, bias: record.stepPart.slice(rows: m..<m + 1), add: statePart,
        activation: .mish, derivative: record.keep ? record.derivatives[0].slice(rows: block) : nil,
        ahead: ahead(0), pass: pass)
      for l in 1..<layers.count - 1 {
        let next = record.hidden[l].slice(rows: block)
        layers[l].forward(
          h, into: next, store, section, activation: .mish,
          derivative: record.keep ? record.derivatives[l].slice(rows: block) : nil, ahead: ahead(l),
          pass: pass)
        h = next
      }
      if m == 0, let choices {
        let chosen = ChosenOutputs(
          last, choices, h, store, section, activation: outputActivation,
          scratch: record.transposed)
        record.chosen = chosen
        let result = Matrix(rows: 1, columns: count)
        kernels.diffuse(
          schedule.steps[0], limit: schedule.limit, x: chosen.gather(from: x),
          output: chosen.values, noise: nil, into: result)
        return result
      }
      let output = record.outputs.slice(rows: block)
      last.forward(h, into: output, store, section, activation: outputActivation, pass: pass)
      let z = steps - m
      kernels.diffuse(
        schedule.steps[m], limit: schedule.limit, x: x, output: output,
        noise: m == 0 ? nil : noise.slice(rows: z * count..<(z + 1) * count),
        into: m == 0 ? result : record.input(m - 1, count))
    }
    return result
  }

  /// Gradients of all parameters from the gradient of x^0, through all M steps: [B, A], or [1, B] after a pass with
  /// choices.
  ///
  /// - Parameter accumulate: add to the gradients in the store instead of replacing them.
  public func backward(
    _ observations: Matrix, resultGradient: Matrix, _ store: ParameterStore, record: Record,
    workspace: Workspace, accumulate: Bool = false
  ) {
    let count = observations.rows
    let steps = settings.steps
    let chosen = record.chosen
    precondition(record.keep && resultGradient.rows == (chosen == nil ? count : 1))
    precondition(resultGradient.columns == (chosen == nil ? actions : count))
    let kernels = store.kernels
    let first = parts(store.matrix(layers[0].weight))
    let last = layers.count - 1
    func weight(_ l: Int) -> Matrix { l == 0 ? first.x : store.matrix(layers[l].weight) }
    // Each is made in the first step when it is needed, the product before having fetched the weights.
    var transposed: [Matrix] = chosen.map { [$0.transposed] } ?? []
    func transposedWeight(_ l: Int) -> Matrix {
      if transposed.count == last - l { transposed.append(store.transposed(weight(l), key: l)) }
      return transposed[last - l]
    }
    let pass = KernelPass()
    var dx = resultGradient
    let partial = workspace.partial.slice(rows: 0..<count)
    for m in 0..<steps {
      let block = record.block(m, count)
      let output = workspace.outputs.slice(rows: block)
      func undiffuse(x: Matrix, output: Matrix, dx next: Matrix, df: Matrix) {
        kernels.diffuseGradient(
          schedule.steps[m], limit: schedule.limit, tanh: settings.noiseOutput == .tanh, x: x,
          output: output, dy: dx, dx: next, df: df)
      }
      var dz = output
      var below = last
      if m == 0, let chosen {
        let row = (dx: Matrix(rows: 1, columns: count), df: Matrix(rows: 1, columns: count))
        undiffuse(
          x: chosen.gather(from: record.input(0, count)), output: chosen.values, dx: row.dx,
          df: row.df)
        chosen.spread(row.dx, into: partial)
        chosen.spread(row.df, into: output)
        below -= 1
        dz = workspace.hidden[below].slice(rows: block)
        chosen.backward(
          record.hidden[below].slice(rows: block), dz: row.df, store,
          factor: record.derivatives[below].slice(rows: block), into: dz, accumulate: accumulate)
      } else {
        undiffuse(
          x: record.input(m, count), output: record.outputs.slice(rows: block), dx: partial,
          df: output)
      }
      for l in (0..<below).reversed() {
        let below = workspace.hidden[l].slice(rows: block)
        kernels.multiply(
          dz, transposedWeight(l + 1), into: below,
          factor: record.derivatives[l].slice(rows: block), ahead: m == 0 ? weight(l) : nil,
          pass: pass)
        dz = below
      }
      if m + 1 < steps {
        // x^M is noise and needs no gradient.
        let input = workspace.input.slice(rows: 0..<count)
        kernels.multiply(dz, transposedWeight(0), into: input, add: partial, pass: pass)
        dx = input
      }
    }
    parameterGradients(
      observations, store, record: record, workspace: workspace, accumulate: accumulate)
  }

  /// Gradients of all parameters from the gradients before the activations of all steps, which `workspace` holds.
  private func parameterGradients(
    _ observations: Matrix, _ store: ParameterStore, record: Record, workspace: Workspace,
    accumulate: Bool
  ) {
    let count = observations.rows
    let steps = settings.steps
    let chosen = record.chosen
    let kernels = store.kernels
    let first = parts(store.matrix(layers[0].weight))
    let last = layers.count - 1
    let all = 0..<steps * count
    for l in 1..<last {
      layers[l].parameterGradient(
        record.hidden[l - 1].slice(rows: all), workspace.hidden[l].slice(rows: all), store,
        accumulate: accumulate)
    }
    // The block of m = 0 has been added already when outputs were chosen.
    let rest = (chosen == nil ? 0 : count)..<steps * count
    kernels.multiplyTransposed(
      record.hidden[last - 1].slice(rows: rest), workspace.outputs.slice(rows: rest),
      into: store.gradient(layers[last].weight), accumulate: accumulate || chosen != nil)
    kernels.columnSums(
      workspace.outputs.slice(rows: all), into: store.gradient(layers[last].bias),
      accumulate: accumulate)
    let dz = workspace.hidden[0].slice(rows: all)
    let gradient = parts(store.gradient(layers[0].weight))
    kernels.multiplyTransposed(
      record.inputs.slice(rows: all), dz, into: gradient.x, accumulate: accumulate)
    let stateGradient = workspace.stateGradient.slice(rows: 0..<count)
    kernels.groupSums(dz, into: stateGradient)
    kernels.multiplyTransposed(
      observations, stateGradient, into: gradient.state, accumulate: accumulate)
    for m in 0..<steps {
      kernels.columnSums(
        workspace.hidden[0].slice(rows: record.block(m, count)),
        into: workspace.stepGradient.slice(rows: m..<m + 1), accumulate: false)
    }
    kernels.multiplyTransposed(
      record.embedding, workspace.stepGradient, into: gradient.step, accumulate: accumulate)
    kernels.columnSums(
      workspace.stepGradient, into: store.gradient(layers[0].bias), accumulate: accumulate)
    kernels.multiply(
      workspace.stepGradient, store.transposed(first.step, key: 0), into: workspace.embedding)
    embed2.parameterGradient(
      record.embeddingHidden, workspace.embedding, store, accumulate: accumulate)
    kernels.multiply(
      workspace.embedding, store.transposed(store.matrix(embed2.weight), key: 0),
      into: workspace.embeddingHidden, factor: record.embeddingDerivative)
    embed1.parameterGradient(
      record.angles, workspace.embeddingHidden, store, accumulate: accumulate)
  }
}
