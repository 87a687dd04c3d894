import CKernels
import Support
import Testing

@testable import Neural

/// Products of bfloat16 against an imitation in single precision, bit by bit.
///
/// A processor's instruction adds the product of the odd inner indices to the sum, then that of the even ones, each
/// with one rounding; products of two bfloat16 are exact in single precision.
@Suite struct BF16Tests {
  private static let kernels = try? Kernels.available[0].with(.bf16)

  /// Nearest bfloat16, ties to even.
  private static func rounded(_ x: Float) -> Float {
    let bits = x.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ ((bits >> 16) & 1)) & 0xffff_0000)
  }

  private static func dot(_ a: [Float], _ b: [Float], from start: Float = 0) -> Float {
    var sum = start
    for k in stride(from: 0, to: a.count, by: 2) {
      if k + 1 < a.count { sum.addProduct(rounded(a[k + 1]), rounded(b[k + 1])) }
      sum.addProduct(rounded(a[k]), rounded(b[k]))
    }
    return sum
  }

  private static func matrix(_ rows: Int, _ columns: Int, _ random: inout TestGenerator) -> Matrix {
    let result = Matrix(rows: rows, columns: columns)
    for r in 0..<rows { for c in 0..<columns { result[r, c] = random.float() } }
    return result
  }

  private static func column(_ x: Matrix, _ c: Int) -> [Float] { (0..<x.rows).map { x[$0, c] } }

  @Test(.enabled(if: BF16Tests.kernels != nil, "this processor has no AVX512-BF16"))
  func productsEqualTheImitation() throws {
    let kernels = try #require(Self.kernels)
    var random = TestGenerator(state: 11)
    let sizes = [1, 2, 7, 16, 33, 132]
    for rows in sizes {
      for inner in sizes {
        for columns in sizes {
          let a = Self.matrix(rows, inner, &random)
          let b = Self.matrix(inner, columns, &random)
          let c = Matrix(rows: rows, columns: columns)
          kernels.multiply(a, b, into: c)
          let left = Self.matrix(inner, rows, &random)
          let d = Self.matrix(rows, columns, &random)
          let before = (0..<rows).map { d.row($0) }
          kernels.multiplyTransposed(left, b, into: d, accumulate: true)
          for r in 0..<rows {
            for j in 0..<columns {
              let right = Self.column(b, j)
              #expect(c[r, j] == Self.dot(a.row(r), right), "\(rows) x \(inner) x \(columns)")
              #expect(
                d[r, j] == Self.dot(Self.column(left, r), right, from: before[r][j]),
                "transposed \(rows) x \(inner) x \(columns)")
            }
          }
        }
      }
    }
  }

  @Test(.enabled(if: BF16Tests.kernels != nil, "this processor has no AVX512-BF16"))
  func weightsAreBroughtIntoPairsOnceAPassAndAnewInTheNext() throws {
    let kernels = try #require(Self.kernels)
    var random = TestGenerator(state: 12)
    let a = Self.matrix(3, 10, &random)
    let b = Self.matrix(10, 5, &random)
    let c = Matrix(rows: 3, columns: 5)
    let pass = KernelPass()
    kernels.multiply(a, b, into: c, pass: pass)
    let old = c[0, 0]
    b[0, 0] += 1
    kernels.multiply(a, b, into: c, pass: pass)
    #expect(c[0, 0] == old, "during a pass the right operand is taken to be unchanged")
    kernels.multiply(a, b, into: c, pass: KernelPass())
    #expect(c[0, 0] == Self.dot(a.row(0), Self.column(b, 0)))
    #expect(c[0, 0] != old)
    // A smaller matrix at the same place is another one.
    kernels.multiply(a.slice(columns: 0..<4), b.slice(rows: 0..<4), into: c, pass: pass)
    #expect(c[1, 2] == Self.dot(Array(a.row(1)[..<4]), Array(Self.column(b, 2)[..<4])))
  }

  @Test func whereThereIsNoneTheErrorSaysWhatIsMissing() throws {
    #expect(try Kernels.named("base").with(.fp32).name == "base")
    do {
      _ = try Kernels.named("base").with(.bf16)
      Issue.record("base has no products of bfloat16")
    } catch let error as InputError {
      #expect(error.key == "precision")
      #expect(error.description.contains("AVX512-BF16"))
    }
  }
}
