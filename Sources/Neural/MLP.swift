/// A fully connected layer: y = x W + b, W [inputs, outputs].
public struct Dense: Sendable {
  public let weight: Tensor
  public let bias: Tensor
  public var inputs: Int { weight.rows }
  public var outputs: Int { weight.columns }

  public init(_ layout: inout ParameterLayout, _ name: String, inputs: Int, outputs: Int) {
    weight = layout.add(name + ".weight", rows: inputs, columns: outputs, fanIn: inputs)
    bias = layout.add(name + ".bias", rows: 1, columns: outputs, fanIn: inputs)
  }

  /// y [rows, outputs] = f(x W + b), f' into `derivative`.
  func forward(
    _ x: Matrix, into y: Matrix, _ store: ParameterStore, _ section: ParameterStore.Section,
    activation: Activation = .linear, derivative: Matrix? = nil, ahead: Matrix? = nil,
    pass: KernelPass? = nil
  ) {
    store.kernels.multiply(
      x, store.matrix(weight, section), into: y, bias: store.matrix(bias, section),
      activation: activation, derivative: derivative, ahead: ahead, pass: pass)
  }

  /// dW = x^T dz, db = column sums of dz; dz [rows, outputs] is the gradient before the activation.
  func parameterGradient(_ x: Matrix, _ dz: Matrix, _ store: ParameterStore, accumulate: Bool) {
    store.kernels.multiplyTransposed(
      x, dz, into: store.gradient(weight), accumulate: accumulate)
    store.kernels.columnSums(dz, into: store.gradient(bias), accumulate: accumulate)
  }
}

/// A last layer of which each sample needs one output only, the value of the action that it took.
///
/// The other outputs take part in nothing, forward or backward, so they are left out: for a plain q-network that is
/// a sixth of the work. The numbers are those of the whole layer, to the last bit.
final class ChosenOutputs {
  let layer: Dense
  /// The output of each sample that counts.
  let choices: [Int32]
  /// The layer's weights at the time of the forward pass, transposed [outputs, inputs].
  let transposed: Matrix
  /// y [1, rows].
  let values: Matrix

  /// Computes y[r] = f(x[r] · W[:, choice[r]] + b[choice[r]]) for x [rows, inputs].
  ///
  /// - Parameter scratch: [outputs, inputs], this object's until the backward pass.
  init(
    _ layer: Dense, _ choices: [Int32], _ x: Matrix, _ store: ParameterStore,
    _ section: ParameterStore.Section, activation: Activation = .linear, scratch: Matrix
  ) {
    self.layer = layer
    self.choices = choices
    transposed = scratch
    values = Matrix(rows: 1, columns: x.rows)
    let kernels = store.kernels
    kernels.transpose(store.matrix(layer.weight, section), into: transposed)
    kernels.chosen(
      choices, x, transposed, bias: store.matrix(layer.bias, section), into: values)
    if activation != .linear { kernels.activate(activation, values, into: values) }
  }

  /// Adds to the weights' gradient, and writes the gradient before the activation that made x, whose derivative
  /// `factor` is, to `below` (which may be x), from the gradient dz [1, rows].
  ///
  /// The bias's gradient is the caller's, who may have more rows to sum.
  func backward(
    _ x: Matrix, dz: Matrix, _ store: ParameterStore, factor: Matrix, into below: Matrix,
    accumulate: Bool
  ) {
    let gradient = store.gradient(layer.weight)
    if !accumulate { gradient.fill(0) }
    store.kernels.chosenGradients(
      choices, x, transposed, dy: dz, factor: factor, into: below, addingTo: gradient)
  }

  /// Writes dz [1, rows] into the places of the whole layer's gradient [rows, outputs], zeros elsewhere.
  func spread(_ dz: Matrix, into whole: Matrix) {
    whole.fill(0)
    for (r, choice) in choices.enumerated() { whole[r, Int(choice)] = dz[0, r] }
  }

  /// The chosen numbers of a matrix [rows, outputs] as a row [1, rows].
  func gather(from whole: Matrix) -> Matrix {
    let result = Matrix(rows: 1, columns: choices.count)
    for (r, choice) in choices.enumerated() { result[0, r] = whole[r, Int(choice)] }
    return result
  }
}

/// A multilayer perceptron with a linear output.
public struct MLP: Sendable {
  public let layers: [Dense]
  public let activation: Activation

  /// - Parameter widths: inputs, hidden widths, outputs.
  public init(
    _ layout: inout ParameterLayout, _ name: String, widths: [Int], activation: Activation
  ) {
    precondition(widths.count >= 2)
    layers = (1..<widths.count).map {
      Dense(&layout, "\(name).\($0)", inputs: widths[$0 - 1], outputs: widths[$0])
    }
    self.activation = activation
  }

  public var inputs: Int { layers[0].inputs }
  public var outputs: Int { layers[layers.count - 1].outputs }

  /// What one forward pass leaves for the backward pass: outputs and derivatives of the hidden layers.
  public final class Record {
    let capacity: Int
    var hidden: [Matrix]
    var derivatives: [Matrix]
    let output: Matrix
    var chosen: ChosenOutputs?
    lazy var transposed = Matrix(rows: output.columns, columns: hidden[hidden.count - 1].columns)

    /// - Parameter rows: The most rows of a pass.
    public init(_ mlp: MLP, rows: Int) {
      capacity = rows
      hidden = mlp.layers.dropLast().map { Matrix(rows: rows, columns: $0.outputs) }
      derivatives = mlp.layers.dropLast().map { Matrix(rows: rows, columns: $0.outputs) }
      output = Matrix(rows: rows, columns: mlp.outputs)
    }
  }

  /// The outputs [rows, outputs] for x [rows, inputs]: a view of the record, valid until its next pass.
  ///
  /// - Parameter choices: Of each row the one output that is wanted; the result is then [1, rows]. Needs a hidden layer.
  public func forward(
    _ x: Matrix, _ store: ParameterStore, _ section: ParameterStore.Section = .parameters,
    choices: [Int32]? = nil, record: Record
  ) -> Matrix {
    precondition(x.rows <= record.capacity && x.columns == inputs)
    let rows = 0..<x.rows
    var input = x
    for (l, layer) in layers.dropLast().enumerated() {
      let output = record.hidden[l].slice(rows: rows)
      layer.forward(
        input, into: output, store, section, activation: activation,
        derivative: record.derivatives[l].slice(rows: rows))
      input = output
    }
    let last = layers[layers.count - 1]
    record.chosen = choices.map {
      ChosenOutputs(last, $0, input, store, section, scratch: record.transposed)
    }
    if let chosen = record.chosen { return chosen.values }
    let output = record.output.slice(rows: rows)
    last.forward(input, into: output, store, section)
    return output
  }

  /// Gradients of the parameters (and of the input) from the gradient of the output.
  ///
  /// Call it once after `forward` with the same x; it uses up the record's hidden outputs.
  /// - Parameters:
  ///   - gradient: [rows, outputs], or [1, rows] after a pass with choices.
  ///   - parameters: false leaves the parameters' gradients alone (an actor's loss through a critic).
  ///   - accumulate: add to the gradients in the store instead of replacing them.
  ///   - inputGradient: [rows, inputs], written unless nil.
  public func backward(
    _ x: Matrix, outputGradient gradient: Matrix, _ store: ParameterStore, record: Record,
    parameters: Bool = true, accumulate: Bool = false, inputGradient: Matrix? = nil
  ) {
    let rows = 0..<x.rows
    var dz = gradient
    var below = layers.count
    if let chosen = record.chosen {
      precondition(parameters && gradient.rows == 1 && gradient.columns == x.rows)
      let whole = record.output.slice(rows: rows)
      chosen.spread(gradient, into: whole)
      store.kernels.columnSums(
        whole, into: store.gradient(chosen.layer.bias), accumulate: accumulate)
      below -= 1
      let hidden = record.hidden[below - 1].slice(rows: rows)
      chosen.backward(
        hidden, dz: gradient, store, factor: record.derivatives[below - 1].slice(rows: rows),
        into: hidden, accumulate: accumulate)
      dz = hidden
    }
    precondition(dz.rows == x.rows && dz.columns == layers[below - 1].outputs)
    for l in (0..<below).reversed() {
      let layer = layers[l]
      let input = l == 0 ? x : record.hidden[l - 1].slice(rows: rows)
      if parameters { layer.parameterGradient(input, dz, store, accumulate: accumulate) }
      guard l > 0 || inputGradient != nil else { break }
      let weight = store.transposed(store.matrix(layer.weight), key: 0)
      if l > 0 {
        // The layer's input has served its purpose: its place takes the gradient.
        store.kernels.multiply(
          dz, weight, into: input, factor: record.derivatives[l - 1].slice(rows: rows))
        dz = input
      } else if let inputGradient {
        store.kernels.multiply(dz, weight, into: inputGradient)
      }
    }
  }
}
