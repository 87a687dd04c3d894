import Glibc

/// The named sources of randomness of a run; nothing random comes from anywhere else.
///
/// The raw value enters the stream's key: renaming a case changes every number drawn from it.
public enum StreamName: String, Sendable, CaseIterable {
  case mobilityWindow = "mobility-window"
  case roles
  case capacities
  case fading
  case taskRelease = "task-release"
  case taskType = "task-type"
  case taskGeneration = "task-generation"
  case initialBacklog = "initial-backlog"
  case backgroundLoad = "background-load"
  case battery
  case vehicleSample = "vehicle-sample"
  case diversion
  case policy
  case search
  case initialisation
  case exploration
  case replay
  case diffusionNoise = "diffusion-noise"
  case evaluationNoise = "evaluation-noise"
  case bootstrap
  case test

  /// FNV-1a hash of the name: stable across processes and versions, unlike `hashValue`.
  public var key: UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in rawValue.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    return hash
  }
}

/// The finaliser of SplitMix64: a bijection of 64 bits in which every input bit affects every output bit.
@inline(__always)
public func mixBits(_ value: UInt64) -> UInt64 {
  var z = value &+ 0x9e37_79b9_7f4a_7c15
  z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
  z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
  return z ^ (z >> 31)
}

/// A random value for every index tuple: the value does not depend on what was asked before.
///
/// Fading and task releases are drawn this way, so that they are the same for every algorithm, whatever it decides.
public struct RandomField: Sendable {
  let base: UInt64

  public init(seed: UInt64, _ name: StreamName) {
    base = mixBits(mixBits(seed) ^ name.key)
  }

  /// 64 uniform random bits at index (a, b, c).
  @inline(__always)
  public func bits(_ a: Int, _ b: Int = 0, _ c: Int = 0) -> UInt64 {
    var hash = mixBits(base ^ UInt64(bitPattern: Int64(a)))
    hash = mixBits(hash ^ UInt64(bitPattern: Int64(b)))
    return mixBits(hash ^ UInt64(bitPattern: Int64(c)))
  }

  /// A uniform number in [0, 1) at index (a, b, c), a multiple of 2^-53.
  @inline(__always)
  public func uniform(_ a: Int, _ b: Int = 0, _ c: Int = 0) -> Double {
    Double(bits(a, b, c) >> 11) * 0x1p-53
  }

  /// A number from the exponential distribution of mean 1 at index (a, b, c); always positive.
  @inline(__always)
  public func exponential(_ a: Int, _ b: Int = 0, _ c: Int = 0) -> Double {
    -log((Double(bits(a, b, c) >> 11) + 0.5) * 0x1p-53)
  }

  /// A stream of its own for index (a, b, c).
  public func stream(_ a: Int, _ b: Int = 0, _ c: Int = 0) -> RandomStream {
    RandomStream(key: bits(a, b, c))
  }
}

/// A sequential stream of random numbers (xoshiro256**) with a state that can be saved.
public struct RandomStream: RandomNumberGenerator, Sendable, Equatable {
  /// The whole state: restoring it continues the stream exactly.
  public var state: (UInt64, UInt64, UInt64, UInt64)

  init(key: UInt64) {
    var x = key
    func draw() -> UInt64 {
      x = x &+ 0x9e37_79b9_7f4a_7c15
      return mixBits(x)
    }
    state = (draw(), draw(), draw(), draw() | 1)
  }

  /// The stream of this name that belongs to a seed.
  public init(seed: UInt64, _ name: StreamName) {
    self.init(key: mixBits(mixBits(seed) ^ name.key))
  }

  public init(state: (UInt64, UInt64, UInt64, UInt64)) { self.state = state }

  public static func == (a: RandomStream, b: RandomStream) -> Bool { a.state == b.state }

  public mutating func next() -> UInt64 {
    let rotated = state.1 &* 5
    let result = ((rotated << 7) | (rotated >> 57)) &* 9
    let t = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= t
    state.3 = (state.3 << 45) | (state.3 >> 19)
    return result
  }

  /// A uniform number in [0, 1), a multiple of 2^-53.
  @inline(__always)
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A uniform number in [low, high).
  @inline(__always)
  public mutating func uniform(_ low: Double, _ high: Double) -> Double {
    low + (high - low) * uniform()
  }

  /// A uniform integer in 0..<count, free of modulo bias (Lemire's method).
  @inline(__always)
  public mutating func index(below count: Int) -> Int {
    precondition(count > 0)
    let range = UInt64(count)
    var product = next().multipliedFullWidth(by: range)
    if product.low < range {
      let threshold = (0 &- range) % range
      while product.low < threshold { product = next().multipliedFullWidth(by: range) }
    }
    return Int(product.high)
  }

  /// A number from the standard normal distribution (Box-Muller, one of the pair).
  public mutating func normal() -> Double {
    let u = (Double(next() >> 11) + 0.5) * 0x1p-53
    let v = uniform()
    return (-2 * log(u)).squareRoot() * cos(2 * .pi * v)
  }

  /// `count` different integers of 0..<population in random order (partial Fisher-Yates).
  public mutating func sample(_ count: Int, of population: Int) -> [Int] {
    precondition(count <= population)
    var items = Array(0..<population)
    for i in 0..<count { items.swapAt(i, i + index(below: population - i)) }
    return Array(items.prefix(count))
  }
}
