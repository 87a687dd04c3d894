/// Table of distinct vehicle ids: bytes to index, in order of first appearance.
///
/// Memory grows with the number of distinct ids only. Vehicles come in nearly the same order step after step,
/// so the id that followed the previous one last time is tried before the hash table.
public struct VehicleNames {
  /// All ids one after another, and where each begins (one more entry than ids).
  private(set) var text: [UInt8] = []
  private(set) var starts: [Int] = [0]
  /// Open addressing; -1 is free. The seed differs per process, so that no input can aim at one slot, and
  /// never matters to the result.
  private var slots = [Int32](repeating: -1, count: 1024)
  private var hashes: [UInt64] = []
  private var successors: [Int32] = []
  private var previous = -1
  private let seed = UInt64.random(in: 0 ... .max)

  public init() {}

  public var count: Int { starts.count - 1 }

  /// The index of an id, which is added if it is new.
  public mutating func index(of name: UnsafeRawBufferPointer) -> Int {
    if previous >= 0 {
      let guess = Int(successors[previous])
      if guess >= 0, isEqual(guess, name) {
        previous = guess
        return guess
      }
    }
    let index = find(name)
    if previous >= 0 { successors[previous] = Int32(truncatingIfNeeded: index) }
    previous = index
    return index
  }

  /// The index of an id, which is added if it is new.
  public mutating func index(of name: String) -> Int {
    var name = name
    return name.withUTF8 { index(of: UnsafeRawBufferPointer($0)) }
  }

  /// The id of a vehicle.
  public func name(_ index: Int) -> String {
    String(decoding: text[starts[index]..<starts[index + 1]], as: UTF8.self)
  }

  /// The UTF-8 bytes of an id.
  public func bytes(_ index: Int) -> ArraySlice<UInt8> { text[starts[index]..<starts[index + 1]] }

  private func isEqual(_ index: Int, _ name: UnsafeRawBufferPointer) -> Bool {
    let start = starts[index]
    guard starts[index + 1] - start == name.count else { return false }
    return text.withUnsafeBytes { text in
      for i in 0..<name.count where text[start + i] != name[i] { return false }
      return true
    }
  }

  private func hash(_ name: UnsafeRawBufferPointer) -> UInt64 {
    func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
      let product = a.multipliedFullWidth(by: b)
      return product.high ^ product.low
    }
    var state = seed ^ UInt64(name.count)
    var i = 0
    while i + 8 <= name.count {
      state = mix(
        state ^ name.loadUnaligned(fromByteOffset: i, as: UInt64.self), 0x9E37_79B9_7F4A_7C15)
      i += 8
    }
    var tail: UInt64 = 0
    while i < name.count {
      tail = tail << 8 | UInt64(name[i])
      i += 1
    }
    return mix(mix(state ^ tail, 0xD6E8_FEB8_6659_FD93) ^ seed, 0xA076_1D64_78BD_642F)
  }

  private mutating func find(_ name: UnsafeRawBufferPointer) -> Int {
    let hash = hash(name)
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] >= 0 {
      let candidate = Int(slots[slot])
      if hashes[candidate] == hash, isEqual(candidate, name) { return candidate }
      slot = (slot + 1) & (slots.count - 1)
    }
    let index = count
    precondition(index < Int(Int32.max), "more than 2^31 vehicles")
    text.append(contentsOf: name)
    starts.append(text.count)
    hashes.append(hash)
    successors.append(-1)
    slots[slot] = Int32(index)
    if count * 2 > slots.count { grow() }
    return index
  }

  private mutating func grow() {
    slots = [Int32](repeating: -1, count: slots.count * 2)
    for (index, hash) in hashes.enumerated() {
      var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = Int32(index)
    }
  }
}
