public import Support

/// Writes one message of the protocol: a JSON object on a line, byte by byte, without a tree in between.
///
/// Numbers are the shortest texts that read back to the same bits; those that are not finite become `null`.
public struct MessageWriter {
  public private(set) var bytes: [UInt8] = []
  /// Whether a comma is due before the next member or element.
  private var needsComma = false

  public init() {}

  /// A message that is an object with `type` as its first member; `finish` closes it.
  public init(type: StaticString) {
    open("{")
    member("type", type)
  }

  /// The whole line, line feed included.
  public consuming func finish() -> [UInt8] {
    bytes.append(UInt8(ascii: "}"))
    bytes.append(UInt8(ascii: "\n"))
    return bytes
  }

  // MARK: Structure

  private mutating func open(_ bracket: Unicode.Scalar) {
    bytes.append(UInt8(ascii: bracket))
    needsComma = false
  }

  private mutating func close(_ bracket: Unicode.Scalar) {
    bytes.append(UInt8(ascii: bracket))
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = true
  }

  private mutating func append(_ text: StaticString) {
    text.withUTF8Buffer { bytes.append(contentsOf: $0) }
  }

  private mutating func key(_ key: StaticString) {
    separate()
    bytes.append(UInt8(ascii: "\""))
    append(key)
    bytes.append(UInt8(ascii: "\""))
    bytes.append(UInt8(ascii: ":"))
  }

  /// A member that is an object.
  public mutating func object(_ key: StaticString, _ body: (inout MessageWriter) -> Void) {
    self.key(key)
    open("{")
    body(&self)
    close("}")
  }

  /// A member that is a list.
  public mutating func list(_ key: StaticString, _ body: (inout MessageWriter) -> Void) {
    self.key(key)
    open("[")
    body(&self)
    close("]")
  }

  /// An element of a list that is an object.
  public mutating func element(_ body: (inout MessageWriter) -> Void) {
    separate()
    open("{")
    body(&self)
    close("}")
  }

  /// An element of a list that is a list.
  public mutating func row(_ body: (inout MessageWriter) -> Void) {
    separate()
    open("[")
    body(&self)
    close("]")
  }

  /// Members that another writer has written.
  public mutating func members(_ written: [UInt8]) {
    if written.isEmpty { return }
    separate()
    bytes.append(contentsOf: written)
  }

  // MARK: Values

  public mutating func member(_ key: StaticString, _ value: Int) {
    self.key(key)
    append(value)
  }

  public mutating func member(_ key: StaticString, _ value: Double) {
    self.key(key)
    append(value)
  }

  public mutating func member(_ key: StaticString, _ value: Bool) {
    self.key(key)
    append(value ? "true" : "false")
  }

  /// A word that needs no escapes.
  public mutating func member(_ key: StaticString, _ word: StaticString) {
    self.key(key)
    bytes.append(UInt8(ascii: "\""))
    append(word)
    bytes.append(UInt8(ascii: "\""))
  }

  public mutating func member(_ key: StaticString, _ value: JSONValue) {
    self.key(key)
    bytes.append(contentsOf: value.canonical.utf8)
  }

  public mutating func null(_ key: StaticString) {
    self.key(key)
    append("null")
  }

  public mutating func member(_ key: StaticString, _ values: some Sequence<Double>) {
    list(key) { writer in for value in values { writer.element(value) } }
  }

  public mutating func member(_ key: StaticString, _ values: some Sequence<Int>) {
    list(key) { writer in for value in values { writer.element(value) } }
  }

  public mutating func element(_ value: Int) {
    separate()
    append(value)
  }

  public mutating func element(_ value: Double) {
    separate()
    append(value)
  }

  public mutating func element(_ value: Float) {
    separate()
    if value == value.rounded(.towardZero), abs(value) < 1e7 {
      append(Int(value))
    } else if value.isFinite {
      bytes.append(contentsOf: value.description.utf8)
    } else {
      append("null")
    }
  }

  private mutating func append(_ value: Double) {
    if value == value.rounded(.towardZero), abs(value) < 1e15 {
      append(Int(value))
    } else if value.isFinite {
      bytes.append(contentsOf: value.description.utf8)
    } else {
      append("null")
    }
  }

  private mutating func append(_ value: Int) {
    if (0..<10).contains(value) {
      bytes.append(UInt8(ascii: "0") + UInt8(value))
    } else {
      bytes.append(contentsOf: String(value).utf8)
    }
  }
}
