import Glibc

/// Table of distinct vehicle ids: bytes to index, in order of first appearance.
///
/// Memory grows with the number of distinct ids only. Vehicles come in nearly the same order step after step,
/// so the id that followed the previous one last time is tried before the hash table.
public struct VehicleNames {
  /// All ids one after another, and where each begins (one more entry than ids).
  private(set) var text: [UInt8] = []
  private(set) var starts: [UInt32] = [0]
  /// Open addressing; -1 is free. The seed differs per process, so that no input can aim at one slot, and
  /// never matters to the result.
  private var slots = [Int32](repeating: -1, count: 1024)
  private var hashes: [UInt32] = []
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
    String(decoding: bytes(index), as: UTF8.self)
  }

  /// The UTF-8 bytes of an id.
  public func bytes(_ index: Int) -> ArraySlice<UInt8> {
    text[Int(starts[index])..<Int(starts[index + 1])]
  }

  /// The ids that have a place (not -1), in the order of their places, which are 0 to `count - 1`.
  public consuming func selected(_ places: [Int32], count: Int) -> VehicleNames {
    var isSame = count == self.count
    var order = [Int32](repeating: 0, count: count)
    for (index, place) in places.enumerated() where place >= 0 {
      order[Int(place)] = Int32(index)
      if Int(place) != index { isSame = false }
    }
    if isSame { return self }
    var result = VehicleNames()
    for index in order { _ = bytes(Int(index)).withUnsafeBytes { result.index(of: $0) } }
    return result
  }

  private func isEqual(_ index: Int, _ name: UnsafeRawBufferPointer) -> Bool {
    let start = Int(starts[index])
    guard Int(starts[index + 1]) - start == name.count else { return false }
    guard let bytes = name.baseAddress else { return true }
    return text.withUnsafeBytes { memcmp($0.baseAddress! + start, bytes, name.count) == 0 }
  }

  private func hash(_ name: UnsafeRawBufferPointer) -> UInt32 {
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
    return UInt32(
      truncatingIfNeeded: mix(
        mix(state ^ tail, 0xD6E8_FEB8_6659_FD93) ^ seed, 0xA076_1D64_78BD_642F))
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
    precondition(text.count + name.count <= Int(UInt32.max), "ids of more than 2^32 bytes")
    text.append(contentsOf: name)
    starts.append(UInt32(text.count))
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
