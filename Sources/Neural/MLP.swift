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
    activation: Activation = .linear, derivative: Matrix? = nil
  ) {
    store.kernels.multiply(
      x, store.matrix(weight, section), into: y, bias: store.matrix(bias, section),
      activation: activation, derivative: derivative)
  }

  /// dW = x^T dz, db = column sums of dz; dz [rows, outputs] is the gradient before the activation.
  func parameterGradient(_ x: Matrix, _ dz: Matrix, _ store: ParameterStore, accumulate: Bool) {
    store.kernels.multiplyTransposed(
      x, dz, into: store.gradient(weight), accumulate: accumulate)
    store.kernels.columnSums(dz, into: store.gradient(bias), accumulate: accumulate)
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

    /// - Parameter rows: The most rows of a pass.
    public init(_ mlp: MLP, rows: Int) {
      capacity = rows
      hidden = mlp.layers.dropLast().map { Matrix(rows: rows, columns: $0.outputs) }
      derivatives = mlp.layers.dropLast().map { Matrix(rows: rows, columns: $0.outputs) }
      output = Matrix(rows: rows, columns: mlp.outputs)
    }
  }

  /// The outputs [rows, outputs] for x [rows, inputs]: a view of the record, valid until its next pass.
  public func forward(
    _ x: Matrix, _ store: ParameterStore, _ section: ParameterStore.Section = .parameters,
    record: Record
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
    let output = record.output.slice(rows: rows)
    layers[layers.count - 1].forward(input, into: output, store, section)
    return output
  }

  /// Gradients of the parameters (and of the input) from the gradient of the output.
  ///
  /// Call it once after `forward` with the same x; it uses up the record's hidden outputs.
  /// - Parameters:
  ///   - gradient: [rows, outputs].
  ///   - parameters: false leaves the parameters' gradients alone (an actor's loss through a critic).
  ///   - accumulate: add to the gradients in the store instead of replacing them.
  ///   - inputGradient: [rows, inputs], written unless nil.
  public func backward(
    _ x: Matrix, outputGradient gradient: Matrix, _ store: ParameterStore, record: Record,
    parameters: Bool = true, accumulate: Bool = false, inputGradient: Matrix? = nil
  ) {
    precondition(gradient.rows == x.rows && gradient.columns == outputs)
    let rows = 0..<x.rows
    var dz = gradient
    for l in layers.indices.reversed() {
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
