internal import CKernels
public import Support

#if canImport(Glibc)
  internal import Glibc
#endif

// The only file of this module that stores pointers; everything above works on `Matrix` and `Kernels`.

/// A block of floats, aligned to 64 bytes and zero at first, freed with its last reference.
final class FloatBuffer {
  let base: UnsafeMutablePointer<Float>
  let count: Int

  init(count: Int) {
    let raw = UnsafeMutableRawPointer.allocate(
      byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
    base = raw.bindMemory(to: Float.self, capacity: max(count, 1))
    base.initialize(repeating: 0, count: max(count, 1))
    self.count = count
  }

  deinit { UnsafeMutableRawPointer(base).deallocate() }
}

/// `count` rounded up to whole groups of 16 floats, the distance between rows of a matrix.
func padded(_ count: Int) -> Int { (count + 15) & ~15 }

/// A row-major matrix of floats, or a view of rows or columns of one.
///
/// It refers to its numbers: copies of a `Matrix` see the same ones. Rows are padded to 16 columns; the
/// padding is zero and takes part in no result.
public struct Matrix {
  let buffer: FloatBuffer
  let offset: Int
  public let rows: Int
  public let columns: Int
  let stride: Int
  /// Whether the columns up to the next multiple of 16 belong to this matrix, so that kernels may write them.
  let ownsPadding: Bool

  /// A matrix of zeros.
  public init(rows: Int, columns: Int) {
    self.init(
      buffer: FloatBuffer(count: rows * padded(columns)), offset: 0, rows: rows, columns: columns,
      stride: padded(columns))
  }

  init(
    buffer: FloatBuffer, offset: Int, rows: Int, columns: Int, stride: Int, ownsPadding: Bool = true
  ) {
    precondition(rows >= 0 && columns >= 0 && offset >= 0)
    precondition(rows == 0 || offset + (rows - 1) * stride + columns <= buffer.count)
    self.buffer = buffer
    self.offset = offset
    self.rows = rows
    self.columns = columns
    self.stride = stride
    self.ownsPadding = ownsPadding
  }

  var pointer: UnsafeMutablePointer<Float> { buffer.base + offset }

  /// The numbers of a row, for loops that stay inside its columns.
  func rowPointer(_ row: Int) -> UnsafeMutablePointer<Float> {
    precondition(row >= 0 && row < rows)
    return pointer + row * stride
  }

  /// Floats from the first to the end of the last row, padding included.
  var paddedCount: Int { rows * stride }

  public subscript(row: Int, column: Int) -> Float {
    get {
      precondition(row >= 0 && row < rows && column >= 0 && column < columns)
      return pointer[row * stride + column]
    }
    nonmutating set {
      precondition(row >= 0 && row < rows && column >= 0 && column < columns)
      pointer[row * stride + column] = newValue
    }
  }

  /// A view of some rows.
  public func slice(rows range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    return Matrix(
      buffer: buffer, offset: offset + range.lowerBound * stride, rows: range.count,
      columns: columns, stride: stride, ownsPadding: ownsPadding)
  }

  /// A view of some columns; it can be read by every operation, and written element by element only.
  public func slice(columns range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    return Matrix(
      buffer: buffer, offset: offset + range.lowerBound, rows: rows, columns: range.count,
      stride: stride, ownsPadding: false)
  }

  /// The numbers of a row.
  public func row(_ row: Int) -> [Float] {
    precondition(row >= 0 && row < rows)
    return Array(UnsafeBufferPointer(start: pointer + row * stride, count: columns))
  }

  /// Replaces a row by as many numbers as it has columns.
  public func setRow(_ row: Int, _ values: [Float]) {
    precondition(row >= 0 && row < rows && values.count == columns)
    values.withUnsafeBufferPointer {
      (pointer + row * stride).update(from: $0.baseAddress!, count: columns)
    }
  }

  /// Sets every number, leaving the padding alone.
  public func fill(_ value: Float) {
    for r in 0..<rows { (pointer + r * stride).update(repeating: value, count: columns) }
  }

  /// Copies the numbers of a matrix of the same shape.
  public func copy(from other: Matrix) {
    precondition(rows == other.rows && columns == other.columns)
    for r in 0..<rows {
      (pointer + r * stride).update(from: other.pointer + r * other.stride, count: columns)
    }
  }
}

/// A stretch of one thread's work during which the right operands of its products, the weights, do not change.
struct KernelPass {
  let number: UInt64

  init() { number = vl_new_pass() }
}

/// What is applied to each number after a matrix product.
public enum Activation: Int32, Sendable {
  case linear = 0
  case mish = 1
  case relu = 2
  case tanh = 3
  case elu = 4
}

/// How the operands of matrix products are rounded.
public enum Precision: String, CaseIterable, DescribedSettingValue {
  /// Single precision throughout.
  case fp32
  /// Operands of products rounded to bfloat16, sums in single precision. Parameters, Adam and everything elementwise stay
  /// in single precision.
  case bf16
}

/// The training kernels of one instruction set.
///
/// Results depend on the numbers and on the instruction set alone, so a run's record names the set.
public struct Kernels: @unchecked Sendable {
  // Safe to send: points to a constant table of functions.
  let table: UnsafePointer<VLKernels>

  /// Instruction sets of this program, the best first; a machine may lack some.
  public static let names = ["avx512", "avx2", "base"]

  /// The environment variable that overrides the choice.
  public static let environmentKey = "VECLAB_ISA"

  /// The sets that this machine can run, the best first.
  public static var available: [Kernels] {
    names.compactMap { name in vl_kernels(name).map { Kernels(table: $0) } }
  }

  /// The named set.
  ///
  /// - Throws: `InputError` if the name is unknown or the machine lacks the set.
  public static func named(_ name: String, key: String = environmentKey) throws -> Kernels {
    if let table = vl_kernels(name) { return Kernels(table: table) }
    let usable = available.map(\.name).joined(separator: ", ")
    throw InputError(
      names.contains(name)
        ? "this processor lacks the instruction set" : "unknown instruction set",
      key: key, value: name, advice: "Use one of \(usable), or leave it out for the best")
  }

  /// The user's choice, read once: the set named by `VECLAB_ISA`, or the best that the machine has when that is unset
  /// or empty.
  ///
  /// - Throws: `InputError` if the variable names an unknown set, or one that the machine lacks.
  public static func selected() throws -> Kernels { try choice.get() }

  private static let choice = Result<Kernels, any Error> {
    guard let value = getenv(environmentKey), value.pointee != 0 else { return available[0] }
    return try named(String(cString: value))
  }

  /// These kernels, or those that multiply at another precision.
  ///
  /// - Throws: `InputError` for `bf16` where the processor or the instruction set has no products of bfloat16: they
  ///   are not imitated, since that would be slower than single precision.
  public func with(_ precision: Precision) throws -> Kernels {
    if precision == .fp32 { return self }
    guard name == Kernels.names[0], let table = vl_kernels("avx512bf16") else {
      throw InputError(
        "needs a processor with AVX512-BF16 (AMD Zen 4, Intel Cooper Lake or Sapphire Rapids, and later)"
          + " and the instruction set avx512, here it is \(name)",
        key: "precision", value: precision.rawValue, advice: "Use fp32")
    }
    return Kernels(table: table)
  }

  /// `avx512`, `avx2` or `base`; `avx512bf16` with products of bfloat16.
  public var name: String { String(cString: table.pointee.name) }

  /// c = f(a b + bias + add); with `derivative`, f' is written there.
  ///
  /// Shapes: a [rows, inner], b [inner, columns], bias [1, columns], add, c and derivative [rows, columns].
  /// - Parameters:
  ///   - ahead: What will be read next and has not been for long; it is brought nearer meanwhile.
  ///   - pass: The pass during which b does not change.
  func multiply(
    _ a: Matrix, _ b: Matrix, into c: Matrix, bias: Matrix? = nil, add: Matrix? = nil,
    activation: Activation = .linear, derivative: Matrix? = nil, ahead: Matrix? = nil,
    pass: KernelPass? = nil
  ) {
    var product = shape(a, b, c, ahead: ahead, pass: pass)
    precondition(a.rows == c.rows && a.columns == b.rows)
    product.rows = a.rows
    product.inner = a.columns
    if let bias {
      precondition(bias.rows == 1 && bias.columns == c.columns)
      product.bias = UnsafePointer(bias.pointer)
    }
    if let add {
      precondition(add.rows == c.rows && add.columns == c.columns)
      product.add = UnsafePointer(add.pointer)
      product.ldadd = add.stride
    }
    product.activation = activation.rawValue
    if let derivative {
      precondition(
        derivative.rows == c.rows && derivative.columns == c.columns && derivative.ownsPadding)
      product.derivative = derivative.pointer
      product.ldd = derivative.stride
    }
    table.pointee.product(&product)
  }

  /// c = (a b) * factor elementwise: the gradient before an activation, `factor` its derivative.
  func multiply(
    _ a: Matrix, _ b: Matrix, into c: Matrix, factor: Matrix, ahead: Matrix? = nil,
    pass: KernelPass? = nil
  ) {
    precondition(a.rows == c.rows && a.columns == b.rows)
    precondition(factor.rows == c.rows && factor.columns == c.columns)
    var product = shape(a, b, c, ahead: ahead, pass: pass)
    product.rows = a.rows
    product.inner = a.columns
    product.activation = Int32(VL_MULTIPLY)
    product.derivative = factor.pointer
    product.ldd = factor.stride
    table.pointee.product(&product)
  }

  /// c = a^T b, or c += a^T b: the gradient of a weight matrix. Shapes: a [inner, rows], b [inner, columns].
  func multiplyTransposed(_ a: Matrix, _ b: Matrix, into c: Matrix, accumulate: Bool) {
    precondition(a.rows == b.rows && a.columns == c.rows)
    var product = shape(a, b, c)
    product.rows = a.columns
    product.inner = a.rows
    product.accumulate = accumulate ? 1 : 0
    table.pointee.transposed_product(&product)
  }

  private func shape(
    _ a: Matrix, _ b: Matrix, _ c: Matrix, ahead: Matrix? = nil, pass: KernelPass? = nil
  ) -> VLProduct {
    precondition(b.columns == c.columns && c.ownsPadding)
    var product = VLProduct()
    product.cols = c.columns
    product.a = UnsafePointer(a.pointer)
    product.lda = a.stride
    product.b = UnsafePointer(b.pointer)
    product.ldb = b.stride
    product.c = c.pointer
    product.ldc = c.stride
    if let ahead {
      product.ahead = UnsafePointer(ahead.pointer)
      product.ahead_count = ahead.paddedCount
    }
    product.pass = pass?.number ?? 0
    return product
  }

  /// y[r] = a[r] · b[choice[r]] + bias[choice[r]]: of each row only the output that is looked at.
  ///
  /// Shapes: a [rows, inner], b [outputs, inner] (the weights transposed), bias [1, outputs], y [1, rows].
  func chosen(_ choice: [Int32], _ a: Matrix, _ b: Matrix, bias: Matrix, into y: Matrix) {
    precondition(bias.rows == 1 && bias.columns == b.rows)
    precondition(y.rows == 1 && y.columns == a.rows)
    with(choice, a, b) { arguments in
      arguments.bias = UnsafePointer(bias.pointer)
      arguments.y = y.pointer
      table.pointee.chosen(&arguments)
    }
  }

  /// da[r] = dy[r] b[choice[r]] * factor[r] elementwise, and dw[:, choice[r]] += a[r] dy[r]: the gradients of `chosen`.
  ///
  /// Shapes: dy [1, rows], factor and da [rows, inner], dw [inner, outputs], the others as in `chosen`.
  func chosenGradients(
    _ choice: [Int32], _ a: Matrix, _ b: Matrix, dy: Matrix, factor: Matrix, into da: Matrix,
    addingTo dw: Matrix
  ) {
    precondition(dy.rows == 1 && dy.columns == a.rows)
    precondition(factor.rows == a.rows && factor.columns == a.columns)
    precondition(da.rows == a.rows && da.columns == a.columns && da.ownsPadding)
    precondition(dw.rows == a.columns && dw.columns == b.rows)
    with(choice, a, b) { arguments in
      arguments.dy = UnsafePointer(dy.pointer)
      arguments.factor = UnsafePointer(factor.pointer)
      arguments.ldf = factor.stride
      arguments.da = da.pointer
      arguments.ldda = da.stride
      arguments.dw = dw.pointer
      arguments.lddw = dw.stride
      // The weights' gradient first: da may take the place of a.
      table.pointee.chosen_weight_gradient(&arguments)
      table.pointee.chosen_input_gradient(&arguments)
    }
  }

  private func with(
    _ choice: [Int32], _ a: Matrix, _ b: Matrix, _ work: (inout VLChosen) -> Void
  ) {
    precondition(a.columns == b.columns)
    precondition(choice.count == a.rows && choice.allSatisfy { $0 >= 0 && $0 < b.rows })
    choice.withUnsafeBufferPointer {
      var arguments = VLChosen()
      arguments.rows = a.rows
      arguments.inner = a.columns
      arguments.choice = $0.baseAddress
      arguments.a = UnsafePointer(a.pointer)
      arguments.lda = a.stride
      arguments.b = UnsafePointer(b.pointer)
      arguments.ldb = b.stride
      work(&arguments)
    }
  }

  /// y = x^T; x must own its padding, since whole blocks are read.
  func transpose(_ x: Matrix, into y: Matrix) {
    precondition(x.ownsPadding)
    precondition(x.rows == y.columns && x.columns == y.rows && y.ownsPadding)
    table.pointee.transpose(x.rows, x.columns, x.pointer, x.stride, y.pointer, y.stride)
  }

  /// y = f(x), f' into `derivative`, for whole matrices of equal shape.
  func activate(_ activation: Activation, _ x: Matrix, into y: Matrix, derivative: Matrix? = nil) {
    precondition(x.paddedCount == y.paddedCount && y.ownsPadding)
    table.pointee.activate(
      activation.rawValue, x.paddedCount, x.pointer, y.pointer, derivative?.pointer)
  }

  /// Sums over the rows of x into the single row of `sums`.
  func columnSums(_ x: Matrix, into sums: Matrix, accumulate: Bool) {
    precondition(sums.rows == 1 && sums.columns == x.columns && sums.ownsPadding)
    table.pointee.column_sums(
      x.rows, x.columns, x.pointer, x.stride, sums.pointer, accumulate ? 1 : 0)
  }

  /// y[r] = sum over g of x[g * y.rows + r].
  func groupSums(_ x: Matrix, into y: Matrix) {
    precondition(x.columns == y.columns && x.rows % y.rows == 0 && y.ownsPadding)
    table.pointee.group_sums(
      x.rows / y.rows, y.rows, x.columns, x.pointer, x.stride, y.pointer, y.stride)
  }

  /// Softmax, or its logarithm, of each row; x and y may be the same.
  func softmax(_ x: Matrix, into y: Matrix, logarithm: Bool = false) {
    precondition(x.rows == y.rows && x.columns == y.columns && x.columns > 0 && y.ownsPadding)
    table.pointee.softmax(
      x.rows, x.columns, x.pointer, x.stride, y.pointer, y.stride, logarithm ? 1 : 0)
  }

  /// One reverse step of diffusion on whole matrices of equal shape: y from x^m, the network's output and noise.
  func diffuse(
    _ step: DiffusionSchedule.Step, limit: Float, x: Matrix, output f: Matrix, noise z: Matrix?,
    into y: Matrix
  ) {
    precondition(x.paddedCount == y.paddedCount && f.paddedCount == y.paddedCount)
    var arguments = VLDiffuse()
    step.fill(&arguments, limit: limit)
    arguments.count = y.paddedCount
    arguments.x = UnsafePointer(x.pointer)
    arguments.f = UnsafePointer(f.pointer)
    if let z {
      precondition(z.paddedCount == y.paddedCount)
      arguments.z = UnsafePointer(z.pointer)
    }
    arguments.y = y.pointer
    table.pointee.diffuse(&arguments)
  }

  /// The gradient of `diffuse`: dx (without the path through the network) and df from dy.
  func diffuseGradient(
    _ step: DiffusionSchedule.Step, limit: Float, tanh: Bool, x: Matrix, output f: Matrix,
    dy: Matrix, dx: Matrix, df: Matrix
  ) {
    precondition([x, f, dy, dx].allSatisfy { $0.paddedCount == df.paddedCount })
    var arguments = VLDiffuse()
    step.fill(&arguments, limit: limit)
    arguments.count = df.paddedCount
    arguments.x = UnsafePointer(x.pointer)
    arguments.f = UnsafePointer(f.pointer)
    arguments.dy = UnsafePointer(dy.pointer)
    arguments.dx = dx.pointer
    arguments.df = df.pointer
    arguments.tanh = tanh ? 1 : 0
    table.pointee.diffuse_gradient(&arguments)
  }

  /// Adam on `count` floats from each offset of one buffer, with an optional soft update of targets.
  func adam(
    _ buffer: FloatBuffer, parameters: Int, gradients: Int, moments: (Int, Int), targets: Int?,
    count: Int, settings: Adam, step: Int, gradientScale: Float, soft: Float
  ) {
    var arguments = VLAdam()
    arguments.count = count
    arguments.parameters = buffer.base + parameters
    arguments.gradients = UnsafePointer(buffer.base + gradients)
    arguments.moment1 = buffer.base + moments.0
    arguments.moment2 = buffer.base + moments.1
    if let targets { arguments.targets = buffer.base + targets }
    arguments.gradient_scale = gradientScale
    arguments.beta1 = Float(settings.beta1)
    arguments.beta2 = Float(settings.beta2)
    arguments.step_size = Float(settings.learningRate / (1 - pow(settings.beta1, Double(step))))
    arguments.second_correction = Float(1 / (1 - pow(settings.beta2, Double(step))).squareRoot())
    arguments.epsilon = Float(settings.epsilon)
    arguments.soft = soft
    table.pointee.adam(&arguments)
  }

  func softUpdate(_ buffer: FloatBuffer, parameters: Int, targets: Int, count: Int, soft: Float) {
    table.pointee.soft_update(count, soft, buffer.base + parameters, buffer.base + targets)
  }

  func sumOfSquares(_ buffer: FloatBuffer, from offset: Int, count: Int) -> Double {
    table.pointee.sum_of_squares(count, buffer.base + offset)
  }

  /// Standard normal numbers over a whole matrix, padding included.
  func normals(seed: UInt64, block: UInt64, into y: Matrix) {
    precondition(y.ownsPadding)
    table.pointee.normals(seed, block, y.paddedCount, y.pointer)
  }

  /// Runs multiply-adds in registers and returns how many floating-point operations they were.
  func multiplyAddLoop(iterations: Int) -> (operations: Int, result: Float) {
    let result = table.pointee.fma_loop(iterations)
    return (iterations * table.pointee.flops_per_iteration, result)
  }
}

extension DiffusionSchedule.Step {
  fileprivate func fill(_ arguments: inout VLDiffuse, limit: Float) {
    arguments.from_x = fromX
    arguments.from_f = fromOutput
    arguments.limit = limit
    arguments.keep = keep
    arguments.gain = gain
    arguments.sigma = sigma
  }
}
