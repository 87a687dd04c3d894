import CKernels
import Foundation
import Testing

/// The sizes that every kernel is tried on: below, at and above a vector, and the actions of VGG16 with six nodes.
private let sizes = [1, 3, 15, 16, 17, 132]

private func padded(_ n: Int) -> Int { (n + 15) & ~15 }

/// A kernel table of this machine under its name.
struct InstructionSet: CustomTestStringConvertible, Sendable {
  let name: String
  var table: VLKernels { vl_kernels(name)!.pointee }
  var testDescription: String { name }

  static let available = ["avx512", "avx2", "base"].map { InstructionSet(name: $0) }
    .filter { vl_kernels($0.name) != nil }
}

/// A matrix in a larger block of NaN: around it, in the padding of its rows, and between rows.
private final class Poisoned {
  static let guardZone = 37
  let rows: Int
  let columns: Int
  let stride: Int
  let start: Int
  let block: UnsafeMutableBufferPointer<Float>

  init(_ rows: Int, _ columns: Int, stride: Int? = nil, shift: Int = 0) {
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? padded(columns) + 16
    start = Poisoned.guardZone + shift
    block = .allocate(capacity: start + rows * self.stride + 16 + Poisoned.guardZone)
    block.initialize(repeating: .nan)
  }

  deinit { block.deallocate() }

  convenience init(
    _ rows: Int, _ columns: Int, stride: Int? = nil, shift: Int = 0,
    random: inout TestGenerator
  ) {
    self.init(rows, columns, stride: stride, shift: shift)
    for r in 0..<rows { for c in 0..<columns { self[r, c] = random.float() } }
  }

  subscript(r: Int, c: Int) -> Float {
    get { block[start + r * stride + c] }
    set { block[start + r * stride + c] = newValue }
  }

  func pointer() -> UnsafeMutablePointer<Float> { block.baseAddress! + start }

  /// Whether NaN still stands everywhere outside the rows' first `padded(columns)` places.
  var isIntactOutside: Bool {
    block.indices.allSatisfy { i in
      let place = i - start
      let inside =
        place >= 0 && place < rows * stride && place % stride < padded(columns)
      return inside || block[i].isNaN
    }
  }

  var paddingIsZero: Bool {
    (0..<rows).allSatisfy { r in (columns..<padded(columns)).allSatisfy { self[r, $0] == 0 } }
  }

  var values: [Float] { (0..<rows).flatMap { r in (0..<columns).map { self[r, $0] } } }
}

/// Numbers for tests, from a seed.
struct TestGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return mixed(state)
  }

  /// Uniform in [-1, 1).
  mutating func float() -> Float { Float(next() >> 40) * 0x1p-23 - 1 }
}

func mixed(_ value: UInt64) -> UInt64 {
  var z = value
  z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
  z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
  return z ^ (z >> 31)
}

private let linear = Int32(VL_LINEAR)
private let multiplied = Int32(VL_MULTIPLY)
private let activations = [VL_LINEAR, VL_MISH, VL_RELU, VL_TANH, VL_ELU].map { Int32($0) }

/// f(x) and f'(x) in double precision, written as in a textbook.
func activated(_ kind: Int32, _ x: Double) -> (value: Double, slope: Double) {
  switch Int(kind) {
  case Int(VL_MISH):
    let softplus = x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))
    let t = tanh(softplus)
    return (x * t, t + x * (1 - t * t) / (1 + exp(-x)))
  case Int(VL_RELU): return (max(x, 0), x > 0 ? 1 : 0)
  case Int(VL_TANH): return (tanh(x), 1 - tanh(x) * tanh(x))
  case Int(VL_ELU): return x > 0 ? (x, 1) : (expm1(x), exp(x))
  default: return (x, 1)
  }
}

@Suite struct KernelTests {
  @Test(arguments: InstructionSet.available)
  func productsAgreeWithPlainLoops(_ set: InstructionSet) {
    let table = set.table
    var random = TestGenerator(state: 1)
    var number = 0
    for rows in sizes {
      for inner in sizes {
        for columns in sizes {
          let a = Poisoned(rows, inner, stride: inner + 5, random: &random)
          let b = Poisoned(inner, columns, random: &random)
          let bias = Poisoned(1, columns, random: &random)
          let add = Poisoned(rows, columns, random: &random)
          let factor = Poisoned(rows, columns, random: &random)
          let c = Poisoned(rows, columns, shift: number % 16)
          let slope = Poisoned(rows, columns, shift: number % 7)
          let kind = (activations + [multiplied])[number % 6]
          let withBias = number % 2 == 0 && kind != multiplied
          let withAdd = number % 3 == 0 && kind != multiplied
          let withSlope = number % 5 != 0 || kind == multiplied
          var p = VLProduct()
          (p.rows, p.inner, p.cols) = (rows, inner, columns)
          (p.a, p.lda) = (UnsafePointer(a.pointer()), a.stride)
          (p.b, p.ldb) = (UnsafePointer(b.pointer()), b.stride)
          (p.c, p.ldc) = (c.pointer(), c.stride)
          if withBias { p.bias = UnsafePointer(bias.pointer()) }
          if withAdd { (p.add, p.ldadd) = (UnsafePointer(add.pointer()), add.stride) }
          p.activation = kind
          let slopes = kind == multiplied ? factor : slope
          if withSlope { (p.derivative, p.ldd) = (slopes.pointer(), slopes.stride) }
          table.product(&p)

          var worst = 0.0
          for r in 0..<rows {
            for j in 0..<columns {
              var sum = withBias ? Double(bias[0, j]) : 0
              if withAdd { sum += Double(add[r, j]) }
              for k in 0..<inner { sum += Double(a[r, k]) * Double(b[k, j]) }
              if kind == multiplied {
                worst = max(worst, abs(Double(c[r, j]) - sum * Double(factor[r, j])))
              } else {
                let (value, derivative) = activated(kind, sum)
                worst = max(worst, abs(Double(c[r, j]) - value))
                // The step of relu's derivative is compared away from zero only.
                if withSlope && (kind != Int32(VL_RELU) || abs(sum) > 1e-3) {
                  worst = max(worst, abs(Double(slope[r, j]) - derivative))
                }
              }
            }
          }
          let shape = "\(rows) x \(inner) x \(columns), activation \(kind)"
          #expect(worst < 2e-5, "\(shape)")
          #expect(c.isIntactOutside && c.paddingIsZero, "\(shape)")
          #expect(slope.isIntactOutside && factor.isIntactOutside, "\(shape)")
          if withSlope && kind != multiplied { #expect(slope.paddingIsZero, "\(shape)") }
          number += 1
        }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func transposedProductsAgreeWithPlainLoops(_ set: InstructionSet) {
    let table = set.table
    var random = TestGenerator(state: 2)
    var number = 0
    for (rows, inner, columns) in sizes.flatMap({ r in
      sizes.flatMap { k in sizes.map { (r, k, $0) } }
    }) + [(5, 600, 20)] {
      let a = Poisoned(inner, rows, stride: rows + 3, random: &random)
      let b = Poisoned(inner, columns, random: &random)
      let accumulate = number % 2 == 1
      let c = Poisoned(rows, columns, shift: number % 16)
      if accumulate { for r in 0..<rows { for j in 0..<columns { c[r, j] = random.float() } } }
      let before = c.values
      var p = VLProduct()
      (p.rows, p.inner, p.cols) = (rows, inner, columns)
      (p.a, p.lda) = (UnsafePointer(a.pointer()), a.stride)
      (p.b, p.ldb) = (UnsafePointer(b.pointer()), b.stride)
      (p.c, p.ldc) = (c.pointer(), c.stride)
      p.accumulate = accumulate ? 1 : 0
      table.transposed_product(&p)
      var worst = 0.0
      for r in 0..<rows {
        for j in 0..<columns {
          var sum = accumulate ? Double(before[r * columns + j]) : 0
          for k in 0..<inner { sum += Double(a[k, r]) * Double(b[k, j]) }
          worst = max(worst, abs(Double(c[r, j]) - sum))
        }
      }
      #expect(worst < 4e-5, "\(rows) x \(inner) x \(columns)")
      #expect(c.isIntactOutside && c.paddingIsZero, "\(rows) x \(inner) x \(columns)")
      number += 1
    }
  }

  /// One output per row gives, to the last bit, what the whole products give for it.
  @Test(arguments: InstructionSet.available)
  func chosenOutputsEqualThoseOfProducts(_ set: InstructionSet) {
    let table = set.table
    var random = TestGenerator(state: 5)
    for (rows, inner, outputs) in sizes.flatMap({ r in
      sizes.flatMap { k in sizes.map { (r, k, $0) } }
    }) {
      let shape = "\(rows) x \(inner) x \(outputs)"
      let a = Poisoned(rows, inner, random: &random)
      let b = Poisoned(outputs, inner, random: &random)
      let weights = Poisoned(inner, outputs)
      for i in 0..<inner { for j in 0..<outputs { weights[i, j] = b[j, i] } }
      let bias = Poisoned(1, outputs, random: &random)
      let factor = Poisoned(rows, inner, random: &random)
      let dy = Poisoned(1, rows, random: &random)
      let choices = (0..<rows).map { _ in Int32(random.next() % UInt64(outputs)) }
      let whole = Poisoned(rows, outputs)
      for r in 0..<rows {
        for j in 0..<outputs { whole[r, j] = j == Int(choices[r]) ? dy[0, r] : 0 }
      }
      let (y, da, dw) = (
        Poisoned(1, rows), Poisoned(rows, inner), Poisoned(inner, outputs, random: &random)
      )
      let (yExpected, daExpected, dwExpected) = (
        Poisoned(rows, outputs), Poisoned(rows, inner), Poisoned(inner, outputs)
      )
      for i in 0..<inner { for j in 0..<outputs { dwExpected[i, j] = dw[i, j] } }

      choices.withUnsafeBufferPointer {
        var p = VLChosen()
        (p.rows, p.inner, p.choice) = (rows, inner, $0.baseAddress)
        (p.a, p.lda) = (UnsafePointer(a.pointer()), a.stride)
        (p.b, p.ldb) = (UnsafePointer(b.pointer()), b.stride)
        (p.bias, p.y) = (UnsafePointer(bias.pointer()), y.pointer())
        table.chosen(&p)
        p.dy = UnsafePointer(dy.pointer())
        (p.factor, p.ldf) = (UnsafePointer(factor.pointer()), factor.stride)
        (p.da, p.ldda) = (da.pointer(), da.stride)
        (p.dw, p.lddw) = (dw.pointer(), dw.stride)
        table.chosen_input_gradient(&p)
        table.chosen_weight_gradient(&p)
      }

      var p = VLProduct()
      (p.rows, p.inner, p.cols) = (rows, inner, outputs)
      (p.a, p.lda) = (UnsafePointer(a.pointer()), a.stride)
      (p.b, p.ldb) = (UnsafePointer(weights.pointer()), weights.stride)
      (p.c, p.ldc) = (yExpected.pointer(), yExpected.stride)
      p.bias = UnsafePointer(bias.pointer())
      table.product(&p)
      p = VLProduct()
      (p.rows, p.inner, p.cols) = (rows, outputs, inner)
      (p.a, p.lda) = (UnsafePointer(whole.pointer()), whole.stride)
      (p.b, p.ldb) = (UnsafePointer(b.pointer()), b.stride)
      (p.c, p.ldc) = (daExpected.pointer(), daExpected.stride)
      p.activation = multiplied
      (p.derivative, p.ldd) = (factor.pointer(), factor.stride)
      table.product(&p)
      p = VLProduct()
      (p.rows, p.inner, p.cols, p.accumulate) = (inner, rows, outputs, 1)
      (p.a, p.lda) = (UnsafePointer(a.pointer()), a.stride)
      (p.b, p.ldb) = (UnsafePointer(whole.pointer()), whole.stride)
      (p.c, p.ldc) = (dwExpected.pointer(), dwExpected.stride)
      table.transposed_product(&p)

      #expect(y.values == (0..<rows).map { yExpected[$0, Int(choices[$0])] }, "\(shape)")
      #expect(da.values == daExpected.values && da.paddingIsZero, "\(shape)")
      #expect(dw.values == dwExpected.values, "\(shape)")
      #expect(y.isIntactOutside && da.isIntactOutside && dw.isIntactOutside, "\(shape)")
    }
  }

  /// Neither where a buffer lies nor the distance of its rows changes a bit of a product.
  @Test(arguments: InstructionSet.available)
  func bytesDependOnNumbersOnly(_ set: InstructionSet) {
    let table = set.table
    func run(shift: Int, extra: Int, transposed: Bool) -> [Float] {
      var random = TestGenerator(state: 3)
      let a =
        transposed
        ? Poisoned(132, 17, stride: 17 + extra, shift: shift, random: &random)
        : Poisoned(17, 132, stride: 132 + extra, shift: shift, random: &random)
      let b = Poisoned(132, 35, stride: 48 + extra, shift: 3 * shift, random: &random)
      let c = Poisoned(17, 35, stride: 48 + 3 * extra, shift: 5 * shift)
      var p = VLProduct()
      (p.rows, p.inner, p.cols) = (17, 132, 35)
      (p.a, p.lda) = (UnsafePointer(a.pointer()), a.stride)
      (p.b, p.ldb) = (UnsafePointer(b.pointer()), b.stride)
      (p.c, p.ldc) = (c.pointer(), c.stride)
      p.activation = Int32(VL_MISH)
      if transposed { table.transposed_product(&p) } else { table.product(&p) }
      return c.values
    }
    for transposed in [false, true] {
      let plain = run(shift: 0, extra: 0, transposed: transposed)
      for shift in 1..<6 {
        #expect(run(shift: shift, extra: 7 * shift, transposed: transposed) == plain)
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func transposeAndSums(_ set: InstructionSet) {
    let table = set.table
    var random = TestGenerator(state: 4)
    for rows in sizes {
      for columns in sizes {
        let x = Poisoned(rows, columns, random: &random)
        let y = Poisoned(columns, rows)
        table.transpose(rows, columns, x.pointer(), x.stride, y.pointer(), y.stride)
        #expect((0..<rows).allSatisfy { r in (0..<columns).allSatisfy { y[$0, r] == x[r, $0] } })
        #expect(y.isIntactOutside && y.paddingIsZero, "\(rows) x \(columns)")

        let sums = Poisoned(1, columns, random: &random)
        let before = sums.values
        for accumulate in [0, 1] {
          let previous = accumulate == 1 ? sums.values : Array(repeating: 0, count: columns)
          table.column_sums(
            rows, columns, x.pointer(), x.stride, sums.pointer(), Int32(accumulate))
          for c in 0..<columns {
            let exact = (0..<rows).reduce(Double(previous[c])) { $0 + Double(x[$1, c]) }
            #expect(abs(Double(sums[0, c]) - exact) < 2e-5)
          }
        }
        #expect(sums.isIntactOutside && sums.paddingIsZero && before.count == columns)

        let all = Poisoned(3 * rows, columns, random: &random)
        let total = Poisoned(rows, columns)
        table.group_sums(
          3, rows, columns, all.pointer(), all.stride, total.pointer(), total.stride)
        let exact = (0..<rows).allSatisfy { r in
          (0..<columns).allSatisfy { c in
            let sum = Double(all[r, c]) + Double(all[rows + r, c]) + Double(all[2 * rows + r, c])
            return abs(Double(total[r, c]) - sum) < 1e-6
          }
        }
        #expect(exact && total.isIntactOutside && total.paddingIsZero)
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func softmaxOfRows(_ set: InstructionSet) {
    var random = TestGenerator(state: 5)
    for columns in sizes {
      let x = Poisoned(3, columns, random: &random)
      for c in 0..<columns { (x[1, c], x[2, c]) = (80 * x[1, c], 1000 + x[2, c]) }
      for logarithm in [0, 1] {
        let y = Poisoned(3, columns)
        set.table.softmax(
          3, columns, x.pointer(), x.stride, y.pointer(), y.stride, Int32(logarithm))
        for r in 0..<3 {
          let peak = (0..<columns).map { Double(x[r, $0]) }.max()!
          let total = (0..<columns).reduce(0.0) { $0 + exp(Double(x[r, $1]) - peak) }
          for c in 0..<columns {
            let exact = Double(x[r, c]) - peak - log(total)
            let error = logarithm == 1 ? Double(y[r, c]) - exact : Double(y[r, c]) - exp(exact)
            #expect(abs(error) < 1e-6 * max(1, abs(exact)), "\(columns) columns, row \(r)")
          }
        }
        #expect(y.isIntactOutside && y.paddingIsZero)
      }
    }
  }

  @Test(arguments: InstructionSet.available, activations)
  func activationsAndDerivatives(_ set: InstructionSet, _ kind: Int32) {
    // A fine grid around zero, a coarse one beyond, and the ends.
    var points = (-2000...2000).map { Float($0) / 100 } + (-200...200).map { Float($0) / 2 }
    points += (1...40).flatMap { [Float(sign: .plus, exponent: -$0, significand: 1.37)] }
    points += [0, -0.0, 1e30, -1e30, .greatestFiniteMagnitude, -.leastNormalMagnitude]
    points += [-Float.greatestFiniteMagnitude]
    while points.count % 16 != 0 { points.append(1) }
    var y = points
    var d = points
    points.withUnsafeBufferPointer {
      set.table.activate(kind, points.count, $0.baseAddress, &y, &d)
    }
    for (i, x) in points.enumerated() {
      let exact = activated(kind, Double(x))
      #expect(abs(Double(y[i]) - exact.value) <= 3e-7 * max(1, abs(exact.value)), "f(\(x))")
      if kind != Int32(VL_RELU) || x != 0 {
        #expect(abs(Double(d[i]) - exact.slope) <= 6e-7, "f'(\(x))")
      }
    }
    // Small arguments keep their relative accuracy where f(x) ~ x.
    if kind == Int32(VL_TANH) {
      for (i, x) in points.enumerated() where abs(x) < 0.5 && x != 0 {
        #expect(abs(Double(y[i]) / tanh(Double(x)) - 1) < 3e-7, "f(\(x))")
      }
    }
    var notNumbers = Array(repeating: Float.nan, count: 16)
    notNumbers.withUnsafeMutableBufferPointer {
      set.table.activate(kind, 16, $0.baseAddress, $0.baseAddress, nil)
    }
    #expect(notNumbers.allSatisfy { $0.isNaN })
  }

  @Test(arguments: InstructionSet.available)
  func diffusionStepAndItsGradient(_ set: InstructionSet) {
    var random = TestGenerator(state: 6)
    let count = 48
    for (limit, squashed) in [(Float.infinity, false), (0.3, false), (0.3, true)] {
      let x = (0..<count).map { _ in random.float() }
      var f = (0..<count).map { _ in random.float() }
      if squashed { f = f.map { Float(tanh(Double($0))) } }
      let z = (0..<count).map { _ in random.float() }
      let dy = (0..<count).map { _ in random.float() }
      var y = x
      var dx = x
      var df = x
      var p = VLDiffuse()
      p.count = count
      (p.from_x, p.from_f, p.limit) = (0.7, -0.6, limit)
      (p.keep, p.gain, p.sigma) = (0.9, 1.3, 0.4)
      p.tanh = squashed ? 1 : 0
      x.withUnsafeBufferPointer { xs in
        f.withUnsafeBufferPointer { fs in
          z.withUnsafeBufferPointer { zs in
            dy.withUnsafeBufferPointer { dys in
              y.withUnsafeMutableBufferPointer { ys in
                dx.withUnsafeMutableBufferPointer { dxs in
                  df.withUnsafeMutableBufferPointer { dfs in
                    (p.x, p.f, p.z, p.y) = (
                      xs.baseAddress, fs.baseAddress, zs.baseAddress, ys.baseAddress
                    )
                    (p.dy, p.dx, p.df) = (dys.baseAddress, dxs.baseAddress, dfs.baseAddress)
                    set.table.diffuse(&p)
                    set.table.diffuse_gradient(&p)
                  }
                }
              }
            }
          }
        }
      }
      for i in 0..<count {
        func step(_ x: Double, _ f: Double) -> Double {
          let u = min(max(0.7 * x - 0.6 * f, -Double(limit)), Double(limit))
          return 0.9 * x + 1.3 * u + 0.4 * Double(z[i])
        }
        let (a, b, g, h) = (Double(x[i]), Double(f[i]), Double(dy[i]), 1e-6)
        #expect(abs(Double(y[i]) - step(a, b)) < 1e-6)
        let slopeX = (step(a + h, b) - step(a - h, b)) / (2 * h)
        let slopeF = (step(a, b + h) - step(a, b - h)) / (2 * h) * (squashed ? 1 - b * b : 1)
        #expect(abs(Double(dx[i]) - g * slopeX) < 1e-5)
        #expect(abs(Double(df[i]) - g * slopeF) < 1e-5)
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func adamFollowsItsDefinition(_ set: InstructionSet) {
    var random = TestGenerator(state: 7)
    let count = 32
    // Sections of one block, as in the parameter store: parameters, gradients, moments, targets.
    var block = (0..<5 * count).map { _ in Float(0) }
    for i in 0..<count { block[i] = random.float() }
    for i in 0..<count { block[4 * count + i] = random.float() }
    var exact = block.map { Double($0) }
    let (rate, beta1, beta2, epsilon, soft, scale) = (0.01, 0.9, 0.999, 1e-8, 0.05, 0.5)
    for step in 1...20 {
      for i in 0..<count {
        let g = random.float() * (i < 4 ? 1e-6 : 1)
        block[count + i] = g
        let scaled = Double(g) * scale
        exact[2 * count + i] = beta1 * exact[2 * count + i] + (1 - beta1) * scaled
        exact[3 * count + i] = beta2 * exact[3 * count + i] + (1 - beta2) * scaled * scaled
        let m = exact[2 * count + i] / (1 - pow(beta1, Double(step)))
        let v = exact[3 * count + i] / (1 - pow(beta2, Double(step)))
        exact[i] -= rate * m / (v.squareRoot() + epsilon)
        exact[4 * count + i] += soft * (exact[i] - exact[4 * count + i])
      }
      block.withUnsafeMutableBufferPointer { buffer in
        let base = buffer.baseAddress!
        var p = VLAdam()
        p.count = count
        (p.parameters, p.gradients) = (base, UnsafePointer(base + count))
        (p.moment1, p.moment2, p.targets) = (base + 2 * count, base + 3 * count, base + 4 * count)
        p.gradient_scale = Float(scale)
        (p.beta1, p.beta2, p.epsilon) = (Float(beta1), Float(beta2), Float(epsilon))
        p.step_size = Float(rate / (1 - pow(beta1, Double(step))))
        p.second_correction = Float(1 / (1 - pow(beta2, Double(step))).squareRoot())
        p.soft = Float(soft)
        set.table.adam(&p)
      }
    }
    for i in 0..<count {
      #expect(abs(Double(block[i]) - exact[i]) < 2e-6)
      #expect(abs(Double(block[4 * count + i]) - exact[4 * count + i]) < 2e-6)
    }
    // The separate soft update, and the norm.
    var targets = Array(block[(4 * count)...])
    let parameters = Array(block[..<count])
    let before = targets
    set.table.soft_update(count, 0.25, parameters, &targets)
    for i in 0..<count {
      #expect(abs(targets[i] - (before[i] + 0.25 * (parameters[i] - before[i]))) < 1e-6)
    }
    let many = (0..<16 * 1000).map { _ in random.float() }
    let sum = many.reduce(0.0) { $0 + Double($1) * Double($1) }
    #expect(abs(set.table.sum_of_squares(many.count, many) / sum - 1) < 1e-6)
  }

  @Test(arguments: InstructionSet.available)
  func normalNumbers(_ set: InstructionSet) {
    let count = 32 * 1250
    var whole = Array(repeating: Float.nan, count: count + 1)
    set.table.normals(99, 5, count, &whole)
    #expect(whole[count].isNaN)
    let values = whole.dropLast().map { Double($0) }
    // The generator's definition, computed again: blocks of 16 cosines and 16 sines.
    for block in 0..<3 {
      for j in 0..<16 {
        let counter = UInt64((5 + block) * 16 + j + 1)
        let h = mixed(99 &+ counter &* 0x9e37_79b9_7f4a_7c15)
        let u = Double(UInt32(truncatingIfNeeded: h) >> 8 + 1) * 0x1p-24
        let angle = Double.pi * Double(Int32(truncatingIfNeeded: h >> 32)) * 0x1p-31
        let radius = (-2 * log(u)).squareRoot()
        #expect(abs(values[32 * block + j] - radius * cos(angle)) < 2e-6)
        #expect(abs(values[32 * block + 16 + j] - radius * sin(angle)) < 2e-6)
      }
    }
    let n = Double(count)
    let mean = values.reduce(0, +) / n
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n
    let fourth = values.reduce(0) { $0 + pow($1 - mean, 4) } / n
    let neighbours = zip(values, values.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 } / n
    // Five standard errors each.
    #expect(abs(mean) < 5 / n.squareRoot())
    #expect(abs(variance - 1) < 5 * (2 / n).squareRoot())
    #expect(abs(fourth - 3) < 5 * (96 / n).squareRoot())
    #expect(abs(neighbours) < 5 / n.squareRoot())
    // A piece that starts at a later block, of a length that is no whole block, is a piece of the whole.
    var piece = Array(repeating: Float.nan, count: 50)
    set.table.normals(99, 8, 49, &piece)
    #expect(piece[49].isNaN && Array(piece[..<49]) == Array(whole[96..<145]))
  }

  @Test func unknownSetIsNull() {
    #expect(vl_kernels("avx1024") == nil && vl_kernels("") == nil && vl_kernels("avx51") == nil)
    #expect(vl_kernels("base") != nil)
  }
}
