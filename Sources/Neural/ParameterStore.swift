public import Support

/// A named matrix of parameters and where it lies in the store.
public struct Tensor: Sendable, Equatable {
  public let name: String
  public let rows: Int
  public let columns: Int
  /// Number of inputs of the layer it belongs to, which sets the scale of its first values.
  public let fanIn: Int
  let offset: Int

  var stride: Int { padded(columns) }
}

/// The list of tensors of a model, in the order in which they were added.
public struct ParameterLayout: Sendable, Equatable {
  public private(set) var tensors: [Tensor] = []
  /// Floats of one section of the store, padding included.
  private(set) var size = 0

  public init() {}

  public mutating func add(_ name: String, rows: Int, columns: Int, fanIn: Int) -> Tensor {
    precondition(rows > 0 && columns > 0 && fanIn > 0)
    let tensor = Tensor(name: name, rows: rows, columns: columns, fanIn: fanIn, offset: size)
    tensors.append(tensor)
    size += rows * tensor.stride
    return tensor
  }

  /// Numbers that are trained.
  public var parameterCount: Int { tensors.reduce(0) { $0 + $1.rows * $1.columns } }
}

/// Settings of the Adam optimiser (Kingma and Ba 2015), the defaults of PyTorch but for the learning rate.
public struct Adam: Sendable, Equatable {
  public var learningRate: Double
  public var beta1 = 0.9
  public var beta2 = 0.999
  public var epsilon = 1e-8

  public init(learningRate: Double) { self.learningRate = learningRate }
}

/// All numbers of a model in one aligned block: parameters, gradients, Adam's moments and target parameters.
public final class ParameterStore {
  public enum Section: Int, Sendable, CaseIterable {
    case parameters, gradients, firstMoments, secondMoments, targets
  }

  public let kernels: Kernels
  public let layout: ParameterLayout
  public let hasTargets: Bool
  /// Adam steps made so far.
  public private(set) var steps = 0
  private let buffer: FloatBuffer
  private var scratch: [Int: Matrix] = [:]

  /// A store of zeros; call `initialise` next.
  public init(_ layout: ParameterLayout, targets: Bool, kernels: Kernels) {
    self.layout = layout
    self.kernels = kernels
    hasTargets = targets
    buffer = FloatBuffer(count: layout.size * (targets ? 5 : 4))
  }

  /// A view of a tensor's numbers in a section.
  public func matrix(_ tensor: Tensor, _ section: Section = .parameters) -> Matrix {
    precondition(section != .targets || hasTargets)
    return Matrix(
      buffer: buffer, offset: section.rawValue * layout.size + tensor.offset, rows: tensor.rows,
      columns: tensor.columns, stride: tensor.stride)
  }

  public func gradient(_ tensor: Tensor) -> Matrix { matrix(tensor, .gradients) }

  /// Draws every parameter from U(-1/sqrt(n), 1/sqrt(n)), n the inputs of its layer (PyTorch's default for
  /// linear layers), in the order of the layout, and copies them to the targets.
  public func initialise(using generator: inout some RandomNumberGenerator) {
    for tensor in layout.tensors {
      let values = matrix(tensor)
      let bound = 1 / Float(tensor.fanIn).squareRoot()
      for r in 0..<tensor.rows {
        for c in 0..<tensor.columns {
          let unit = Float(generator.next() >> 40) * 0x1p-23 - 1
          values[r, c] = unit * bound
        }
      }
    }
    copyToTargets()
  }

  /// Targets become equal to the parameters.
  public func copyToTargets() {
    guard hasTargets else { return }
    let targets = Section.targets.rawValue * layout.size
    (buffer.base + targets).update(from: buffer.base, count: layout.size)
  }

  /// targets += rate * (parameters - targets).
  public func softUpdate(rate: Double) {
    precondition(hasTargets)
    kernels.softUpdate(
      buffer, parameters: 0, targets: Section.targets.rawValue * layout.size, count: layout.size,
      soft: Float(rate))
  }

  public func zeroGradients() {
    (buffer.base + layout.size).update(repeating: 0, count: layout.size)
  }

  /// The Euclidean norm of all gradients.
  public func gradientNorm() -> Double {
    kernels.sumOfSquares(buffer, from: layout.size, count: layout.size).squareRoot()
  }

  /// One step of Adam with gradients scaled down to norm `clip`, and a soft update of the targets.
  ///
  /// - Returns: The gradients' norm before clipping.
  @discardableResult
  public func adamStep(_ adam: Adam, clip: Double? = nil, softUpdate rate: Double? = nil) -> Double
  {
    precondition(rate == nil || hasTargets)
    let norm = gradientNorm()
    var scale = 1.0
    if let clip, norm > clip { scale = clip / norm }
    steps += 1
    let size = layout.size
    kernels.adam(
      buffer, parameters: 0, gradients: Section.gradients.rawValue * size,
      moments: (Section.firstMoments.rawValue * size, Section.secondMoments.rawValue * size),
      targets: rate == nil ? nil : Section.targets.rawValue * size, count: size, settings: adam,
      step: steps, gradientScale: Float(scale), soft: Float(rate ?? 0))
    return norm
  }

  /// Working memory for the transpose of one weight matrix at a time per key.
  func transposed(_ matrix: Matrix, key: Int) -> Matrix {
    let needed = matrix.columns * padded(matrix.rows)
    if scratch[key].map({ $0.buffer.count < needed }) ?? true {
      scratch[key] = Matrix(rows: 1, columns: needed)
    }
    let result = Matrix(
      buffer: scratch[key]!.buffer, offset: 0, rows: matrix.columns, columns: matrix.rows,
      stride: padded(matrix.rows))
    kernels.transpose(matrix, into: result)
    return result
  }

  // MARK: State

  /// How much of a model is saved.
  public enum Extent: Sendable {
    /// What training needs to go on: parameters, moments, targets and the number of steps.
    case training
    /// What acting needs: the parameters.
    case policy
  }

  private func sections(of extent: Extent) -> [Section] {
    switch extent {
    case .policy: [.parameters]
    case .training:
      [.parameters, .firstMoments, .secondMoments] + (hasTargets ? [.targets] : [])
    }
  }

  /// Writes the model's shape and contents.
  public func save(_ extent: Extent = .training, to writer: inout StateWriter) {
    writer.section("parameters")
    writer.write(layout.tensors.count)
    for tensor in layout.tensors {
      writer.write(tensor.name)
      writer.write(tensor.rows)
      writer.write(tensor.columns)
    }
    writer.write(steps)
    for section in sections(of: extent) {
      writer.write(
        raw: UnsafeRawBufferPointer(
          start: buffer.base + section.rawValue * layout.size, count: layout.size * 4))
    }
  }

  /// Reads what `save` wrote for a model of the same shape; after an error nothing has changed.
  public func restore(
    _ extent: Extent = .training, from reader: inout StateReader
  ) throws {
    try reader.section("parameters")
    let count = try reader.readInteger()
    guard count == layout.tensors.count else {
      throw mismatch("\(count) tensors, this model has \(layout.tensors.count)")
    }
    for tensor in layout.tensors {
      let name = try reader.readText()
      let rows = try reader.readInteger()
      let columns = try reader.readInteger()
      guard name == tensor.name, rows == tensor.rows, columns == tensor.columns else {
        throw mismatch(
          "\(name) \(rows) x \(columns), expected \(tensor.name) \(tensor.rows) x \(tensor.columns)"
        )
      }
    }
    let newSteps = try reader.readInteger()
    var sections: [[Float]] = []
    for _ in self.sections(of: extent) {
      sections.append(try reader.readArray(of: Float.self, count: layout.size))
    }
    steps = newSteps
    for (section, values) in zip(self.sections(of: extent), sections) {
      values.withUnsafeBufferPointer {
        guard let source = $0.baseAddress else { return }
        (buffer.base + section.rawValue * layout.size).update(from: source, count: layout.size)
      }
    }
  }

  /// Reads, out of what `save(.policy)` wrote for a model of another shape, the tensors that this one has too.
  ///
  /// - Parameter savedName: the name there of a tensor of this model; nil leaves the tensor as it is.
  /// - Throws: `InputError` if a tensor is missing there or has another shape; then nothing has changed.
  public func restoreParameters(
    from reader: inout StateReader, savedName: (String) -> String?
  ) throws {
    try reader.section("parameters")
    var saved = ParameterLayout()
    for _ in 0..<max(try reader.readInteger(), 0) {
      let name = try reader.readText()
      let rows = try reader.readInteger()
      let columns = try reader.readInteger()
      guard (1...1 << 20).contains(rows), (1...1 << 20).contains(columns) else {
        throw mismatch("\(name) \(rows) x \(columns)")
      }
      _ = saved.add(name, rows: rows, columns: columns, fanIn: rows)
    }
    _ = try reader.readInteger()
    let values = try reader.readArray(of: Float.self, count: saved.size)
    let pairs = try layout.tensors.compactMap { tensor -> (to: Tensor, from: Tensor)? in
      guard let name = savedName(tensor.name) else { return nil }
      let source = saved.tensors.first { $0.name == name }
      guard let source, source.rows == tensor.rows, source.columns == tensor.columns else {
        throw mismatch(
          "\(name) \(source.map { "\($0.rows) x \($0.columns)" } ?? "is missing"), expected "
            + "\(tensor.rows) x \(tensor.columns)")
      }
      return (tensor, source)
    }
    values.withUnsafeBufferPointer {
      guard let start = $0.baseAddress else { return }
      for (tensor, source) in pairs {
        (buffer.base + tensor.offset).update(
          from: start + source.offset, count: source.rows * source.stride)
      }
    }
  }

  private func mismatch(_ found: String) -> InputError {
    InputError(
      "saved state is of a network of another shape: \(found)",
      advice: "Use the settings that the state was trained with")
  }
}
