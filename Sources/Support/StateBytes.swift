/// Writes the state of an agent as little-endian bytes, each section under a name that the reader checks.
public struct StateWriter: Sendable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  /// Starts a section; the reader must ask for the same name at the same place.
  public mutating func section(_ name: String) { write(name) }

  public mutating func write(_ value: UInt64) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  public mutating func write(_ value: Int) { write(UInt64(bitPattern: Int64(value))) }
  public mutating func write(_ value: Double) { write(value.bitPattern) }
  public mutating func write(_ value: Bool) { write(value ? 1 : 0 as UInt64) }

  public mutating func write(_ value: String) {
    write(value.utf8.count)
    bytes.append(contentsOf: value.utf8)
  }

  public mutating func write(_ stream: RandomStream) {
    for word in [stream.state.0, stream.state.1, stream.state.2, stream.state.3] { write(word) }
  }

  public mutating func write(_ values: [UInt8]) {
    write(values.count)
    bytes.append(contentsOf: values)
  }

  /// Bytes of plain numbers (Float, Double, Int32 …) preceded by their count.
  public mutating func write<Number: BitwiseCopyable>(array values: [Number]) {
    values.withUnsafeBytes { write(raw: $0) }
  }

  public mutating func write(raw values: UnsafeRawBufferPointer) {
    write(values.count)
    bytes.append(contentsOf: values)
  }
}

/// Reads what `StateWriter` wrote; anything unexpected is an error, never a crash.
public struct StateReader: Sendable {
  private let bytes: [UInt8]
  private var position = 0

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  public var isAtEnd: Bool { position == bytes.count }

  private func damaged(_ what: String) -> InputError {
    InputError(
      "saved state is damaged or of another version: \(what) at byte \(position)",
      advice: "Run again from the checkpoint before, or from the start")
  }

  public mutating func section(_ name: String) throws {
    let found = try readText()
    guard found == name else { throw damaged("section '\(name)' expected, '\(found)' found") }
  }

  private mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
    guard count >= 0, count <= bytes.count - position else { throw damaged("it ends too early") }
    defer { position += count }
    return bytes[position..<position + count]
  }

  public mutating func readWord() throws -> UInt64 {
    let slice = try take(8)
    return slice.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
  }

  public mutating func readInteger() throws -> Int { Int(Int64(bitPattern: try readWord())) }
  public mutating func readNumber() throws -> Double { Double(bitPattern: try readWord()) }
  public mutating func readFlag() throws -> Bool { try readWord() != 0 }

  public mutating func readText() throws -> String {
    let count = try readInteger()
    guard let text = String(validating: try take(count), as: UTF8.self) else {
      throw damaged("text that is not UTF-8")
    }
    return text
  }

  public mutating func readStream() throws -> RandomStream {
    RandomStream(
      state: (try readWord(), try readWord(), try readWord(), try readWord()))
  }

  public mutating func readBytes() throws -> [UInt8] {
    let count = try readInteger()
    return Array(try take(count))
  }

  /// Plain numbers written by `write(array:)`; `count` is what the reader expects (nil: any).
  public mutating func readArray<Number: BitwiseCopyable>(
    of type: Number.Type = Number.self, count: Int? = nil
  ) throws -> [Number] {
    let size = try readInteger()
    let stride = MemoryLayout<Number>.stride
    guard size >= 0, size % stride == 0, count.map({ $0 * stride == size }) ?? true else {
      throw damaged("array of \(size) bytes does not fit")
    }
    let slice = try take(size)
    return [Number](unsafeUninitializedCapacity: size / stride) { buffer, initialised in
      UnsafeMutableRawBufferPointer(buffer).copyBytes(from: slice)
      initialised = size / stride
    }
  }
}
