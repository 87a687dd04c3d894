/// A stream of standard normal numbers with a state of two words.
///
/// Every `fill` takes whole blocks of 32 numbers, so the numbers depend on the sequence of shapes asked for,
/// never on what is done with them. Restoring `seed` and `block` continues the stream exactly.
public struct NoiseStream: Sendable, Equatable {
  public let seed: UInt64
  public var block: UInt64

  public init(seed: UInt64, block: UInt64 = 0) {
    self.seed = seed
    self.block = block
  }

  /// Replaces all of a matrix by the next numbers.
  public mutating func fill(_ matrix: Matrix, kernels: Kernels) {
    kernels.normals(seed: seed, block: block, into: matrix)
    block &+= UInt64((matrix.paddedCount + 31) / 32)
  }
}
