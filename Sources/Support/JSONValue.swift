/// A JSON value with one canonical text: keys in byte order, shortest numbers, no white space.
///
/// Run identities are digests of that text, so it must never depend on process, locale or order of insertion.
public enum JSONValue: Sendable, Equatable {
  case null
  case flag(Bool)
  case integer(Int)
  case number(Double)
  case text(String)
  case list([JSONValue])
  case object([String: JSONValue])

  public subscript(key: String) -> JSONValue? {
    if case .object(let members) = self { return members[key] }
    return nil
  }

  public var textValue: String? {
    if case .text(let value) = self { return value }
    return nil
  }

  public var integerValue: Int? {
    switch self {
    case .integer(let value): value
    case .number(let value): Int(exactly: value)
    default: nil
    }
  }

  public var numberValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  public var flagValue: Bool? {
    if case .flag(let value) = self { return value }
    return nil
  }

  public var listValue: [JSONValue]? {
    if case .list(let value) = self { return value }
    return nil
  }

  public var objectValue: [String: JSONValue]? {
    if case .object(let value) = self { return value }
    return nil
  }

  /// Text without white space (`indent` nil) or with one member a line.
  public func serialised(indent: Int? = nil) -> String {
    var output = ""
    write(to: &output, indent: indent, depth: 0)
    return output
  }

  /// Canonical text for digests.
  public var canonical: String { serialised() }

  /// Text for people: two spaces of indentation and a final line feed.
  public var readable: String { serialised(indent: 2) + "\n" }

  private func write(to output: inout String, indent: Int?, depth: Int) {
    func newLine(_ depth: Int) {
      if let indent { output += "\n" + String(repeating: " ", count: indent * depth) }
    }
    switch self {
    case .null: output += "null"
    case .flag(let value): output += value ? "true" : "false"
    case .integer(let value): output += String(value)
    case .number(let value):
      // JSON has no NaN or infinity; whole numbers print like integers, so 10 and 10.0 are one value.
      output += value.isFinite ? CSVWriter.text(of: value) : "null"
    case .text(let value): JSONValue.write(value, to: &output)
    case .list(let values):
      if values.isEmpty {
        output += "[]"
        return
      }
      output += "["
      for (i, value) in values.enumerated() {
        if i > 0 { output += "," }
        newLine(depth + 1)
        value.write(to: &output, indent: indent, depth: depth + 1)
      }
      newLine(depth)
      output += "]"
    case .object(let members):
      if members.isEmpty {
        output += "{}"
        return
      }
      output += "{"
      let keys = members.keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
      for (i, key) in keys.enumerated() {
        if i > 0 { output += "," }
        newLine(depth + 1)
        JSONValue.write(key, to: &output)
        output += indent == nil ? ":" : ": "
        members[key]!.write(to: &output, indent: indent, depth: depth + 1)
      }
      newLine(depth)
      output += "}"
    }
  }

  private static func write(_ text: String, to output: inout String) {
    output += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": output += "\\\""
      case "\\": output += "\\\\"
      case "\n": output += "\\n"
      case "\r": output += "\\r"
      case "\t": output += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: output.unicodeScalars.append(scalar)
      }
    }
    output += "\""
  }

  /// Reads JSON text (RFC 8259); duplicate keys, trailing text and depths above 100 are errors.
  public init(parsing bytes: [UInt8], file: String? = nil) throws {
    var parser = JSONParser(bytes: bytes, file: file)
    self = try parser.parseDocument()
  }

  public init(path: String) throws {
    try self.init(parsing: Files.read(path), file: path)
  }
}

private struct JSONParser {
  let bytes: [UInt8]
  let file: String?
  var position = 0

  init(bytes: [UInt8], file: String?) {
    self.bytes = bytes
    self.file = file
  }

  func error(_ problem: String) -> InputError {
    let line = bytes.prefix(position).reduce(1) { $1 == 10 ? $0 + 1 : $0 }
    return InputError("is not valid JSON: \(problem) at byte \(position)", file: file, line: line)
  }

  mutating func skipSpace() {
    while position < bytes.count, [32, 9, 10, 13].contains(bytes[position]) { position += 1 }
  }

  mutating func parseDocument() throws -> JSONValue {
    let value = try parseValue(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw error("text after the end") }
    return value
  }

  mutating func parseValue(depth: Int) throws -> JSONValue {
    guard depth < 100 else { throw error("nesting deeper than 100") }
    skipSpace()
    guard position < bytes.count else { throw error("it ends too early") }
    switch bytes[position] {
    case UInt8(ascii: "{"):
      position += 1
      var members: [String: JSONValue] = [:]
      skipSpace()
      if take("}") { return .object(members) }
      repeat {
        skipSpace()
        let key = try parseText()
        skipSpace()
        guard take(":") else { throw error("':' expected") }
        guard members.updateValue(try parseValue(depth: depth + 1), forKey: key) == nil else {
          throw error("duplicate key '\(key)'")
        }
        skipSpace()
      } while take(",")
      guard take("}") else { throw error("'}' expected") }
      return .object(members)
    case UInt8(ascii: "["):
      position += 1
      var values: [JSONValue] = []
      skipSpace()
      if take("]") { return .list(values) }
      repeat {
        values.append(try parseValue(depth: depth + 1))
        skipSpace()
      } while take(",")
      guard take("]") else { throw error("']' expected") }
      return .list(values)
    case UInt8(ascii: "\""): return .text(try parseText())
    case UInt8(ascii: "t"): return try parseWord("true", .flag(true))
    case UInt8(ascii: "f"): return try parseWord("false", .flag(false))
    case UInt8(ascii: "n"): return try parseWord("null", .null)
    default: return try parseNumber()
    }
  }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  mutating func parseWord(_ word: String, _ value: JSONValue) throws -> JSONValue {
    guard bytes[position...].starts(with: word.utf8) else { throw error("unknown word") }
    position += word.utf8.count
    return value
  }

  mutating func parseNumber() throws -> JSONValue {
    let start = position
    let allowed = Set("0123456789+-.eE".utf8)
    while position < bytes.count, allowed.contains(bytes[position]) { position += 1 }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    let digits = text.utf8.drop { $0 == 45 }
    let isWellFormed =
      digits.first.map { (48...57).contains($0) } == true
      && text.utf8.last.map { (48...57).contains($0) } == true
    guard isWellFormed else {
      position = start
      throw error("a value expected")
    }
    if let value = Int(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else { throw error("number out of range") }
    return .number(value)
  }

  mutating func parseText() throws -> String {
    guard take("\"") else { throw error("'\"' expected") }
    var content: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case 34:
        guard let text = String(validating: content, as: UTF8.self) else {
          throw error("text that is not UTF-8")
        }
        return text
      case 92:
        guard position < bytes.count else { throw error("it ends too early") }
        let escape = bytes[position]
        position += 1
        switch escape {
        case 34, 47, 92: content.append(escape)
        case UInt8(ascii: "n"): content.append(10)
        case UInt8(ascii: "r"): content.append(13)
        case UInt8(ascii: "t"): content.append(9)
        case UInt8(ascii: "b"): content.append(8)
        case UInt8(ascii: "f"): content.append(12)
        case UInt8(ascii: "u"): content.append(contentsOf: try parseUnicodeEscape().utf8)
        default: throw error("unknown escape")
        }
      case 0..<32: throw error("a control character inside a text")
      default: content.append(byte)
      }
    }
    throw error("it ends inside a text")
  }

  mutating func parseUnicodeEscape() throws -> String {
    var units = [try parseFourDigits()]
    if UTF16.isLeadSurrogate(units[0]) {
      guard take("\\"), take("u") else { throw error("half a surrogate pair") }
      units.append(try parseFourDigits())
    }
    guard let text = String(validating: units, as: UTF16.self) else {
      throw error("half a surrogate pair")
    }
    return text
  }

  mutating func parseFourDigits() throws -> UInt16 {
    guard position + 4 <= bytes.count,
      let unit = UInt16(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
    else { throw error("four hexadecimal digits expected") }
    position += 4
    return unit
  }
}
