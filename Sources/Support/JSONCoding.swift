extension JSONValue {
  /// A value as JSON: members by the names of its coding keys, an optional that is nil left out.
  ///
  /// Unlike Foundation's coder it keeps the canonical text, numbers included.
  ///
  /// - Throws: What the value's `encode(to:)` throws.
  public init(encoding value: some Encodable) throws {
    let tree = JSONTree()
    try tree.encode(value)
    self = tree.value
  }

  /// A value from its JSON; members that it does not name are passed over.
  ///
  /// - Throws: `DecodingError` whose path leads to what is missing or of another type.
  public func decoded<T: Decodable>(as type: T.Type = T.self) throws -> T {
    try JSONSource(json: self, codingPath: []).decode(type)
  }
}

extension JSONValue: Codable {
  /// A part kept as it is: only within a value that is itself read from a `JSONValue`.
  public init(from decoder: any Decoder) throws {
    guard let source = decoder as? JSONSource else {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(
          codingPath: decoder.codingPath, debugDescription: "not read from a JSONValue"))
    }
    self = source.json
  }

  /// A part kept as it is: only within a value that is itself written to a `JSONValue`.
  public func encode(to encoder: any Encoder) throws {
    guard let tree = encoder as? JSONTree else {
      throw EncodingError.invalidValue(
        self,
        EncodingError.Context(
          codingPath: encoder.codingPath, debugDescription: "not written to a JSONValue"))
    }
    tree.content = .value(self)
  }
}

/// A value being written, and the containers that write it.
private final class JSONTree: Encoder, SingleValueEncodingContainer {
  enum Content {
    case value(JSONValue)
    case members([String: JSONTree])
    case elements([JSONTree])
  }
  var content = Content.value(.null)
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  init(codingPath: [any CodingKey] = []) { self.codingPath = codingPath }

  var value: JSONValue {
    switch content {
    case .value(let value): value
    case .members(let members): .object(members.mapValues(\.value))
    case .elements(let elements): .list(elements.map(\.value))
    }
  }

  func member(_ key: any CodingKey) -> JSONTree {
    let child = JSONTree(codingPath: codingPath + [key])
    if case .members(var members) = content {
      content = .value(.null)
      members[key.stringValue] = child
      content = .members(members)
    } else {
      content = .members([key.stringValue: child])
    }
    return child
  }

  var count: Int {
    if case .elements(let elements) = content { return elements.count }
    return 0
  }

  func element() -> JSONTree {
    let child = JSONTree(codingPath: codingPath + [JSONIndex(count)])
    if case .elements(var elements) = content {
      content = .value(.null)
      elements.append(child)
      content = .elements(elements)
    } else {
      content = .elements([child])
    }
    return child
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    if case .value = content { content = .members([:]) }
    return KeyedEncodingContainer(Members(tree: self))
  }
  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    if case .value = content { content = .elements([]) }
    return Elements(tree: self)
  }
  func singleValueContainer() -> any SingleValueEncodingContainer { self }

  func encodeNil() { content = .value(.null) }

  func encode<T: Encodable>(_ value: T) throws {
    switch value {
    case let value as Bool: content = .value(.flag(value))
    case let value as Double: content = .value(.number(value))
    case let value as String: content = .value(.text(value))
    case let value as Int: content = .value(.integer(value))
    case let value as any BinaryInteger & Encodable:
      guard let number = Int(exactly: value) else {
        throw EncodingError.invalidValue(
          value,
          EncodingError.Context(codingPath: codingPath, debugDescription: "too large a number"))
      }
      content = .value(.integer(number))
    case let value as Float: content = .value(.number(Double(value)))
    default: try value.encode(to: self)
    }
  }

  struct Members<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let tree: JSONTree
    var codingPath: [any CodingKey] { tree.codingPath }

    func encodeNil(forKey key: Key) { tree.member(key).encodeNil() }
    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
      try tree.member(key).encode(value)
    }
    func nestedContainer<Nested>(
      keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { tree.member(key).container(keyedBy: type) }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
      tree.member(key).unkeyedContainer()
    }
    func superEncoder() -> any Encoder { tree.member(JSONIndex("super")) }
    func superEncoder(forKey key: Key) -> any Encoder { tree.member(key) }
  }

  struct Elements: UnkeyedEncodingContainer {
    let tree: JSONTree
    var codingPath: [any CodingKey] { tree.codingPath }
    var count: Int { tree.count }

    func encodeNil() { tree.element().encodeNil() }
    func encode<T: Encodable>(_ value: T) throws { try tree.element().encode(value) }
    func nestedContainer<Nested>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
      tree.element().container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
      tree.element().unkeyedContainer()
    }
    func superEncoder() -> any Encoder { tree.element() }
  }
}

/// A value being read, and the containers that read it.
private struct JSONSource: Decoder, SingleValueDecodingContainer {
  let json: JSONValue
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func mismatch(_ type: Any.Type) -> DecodingError {
    .typeMismatch(
      type, DecodingError.Context(codingPath: codingPath, debugDescription: "is not a \(type)"))
  }

  private func found<T>(_ value: T?) throws -> T {
    guard let value else { throw mismatch(T.self) }
    return value
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    KeyedDecodingContainer(
      Members(members: try found(json.objectValue), codingPath: codingPath))
  }
  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    Elements(elements: try found(json.listValue), codingPath: codingPath)
  }
  func singleValueContainer() -> any SingleValueDecodingContainer { self }

  func decodeNil() -> Bool { json == .null }

  func decode<T: Decodable>(_ type: T.Type) throws -> T {
    switch type {
    case is Bool.Type: try found(json.flagValue as? T)
    case is Double.Type: try found(json.numberValue as? T)
    case is String.Type: try found(json.textValue as? T)
    case is Int.Type: try found(json.integerValue as? T)
    case let integer as any FixedWidthInteger.Type:
      try found(json.integerValue.flatMap { integer.init(exactly: $0) } as? T)
    case is Float.Type: try found(json.numberValue.map(Float.init) as? T)
    default: try T(from: self)
    }
  }

  struct Members<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let members: [String: JSONValue]
    let codingPath: [any CodingKey]
    var allKeys: [Key] { members.keys.sorted().compactMap { Key(stringValue: $0) } }

    func source(_ key: any CodingKey) throws -> JSONSource {
      guard let json = members[key.stringValue] else {
        throw DecodingError.keyNotFound(
          key, DecodingError.Context(codingPath: codingPath, debugDescription: "is missing"))
      }
      return JSONSource(json: json, codingPath: codingPath + [key])
    }
    func contains(_ key: Key) -> Bool { members[key.stringValue] != nil }
    func decodeNil(forKey key: Key) throws -> Bool { try source(key).decodeNil() }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
      try source(key).decode(type)
    }
    func nestedContainer<Nested>(
      keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { try source(key).container(keyedBy: type) }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
      try source(key).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder { try source(JSONIndex("super")) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try source(key) }
  }

  struct Elements: UnkeyedDecodingContainer {
    let elements: [JSONValue]
    let codingPath: [any CodingKey]
    var currentIndex = 0
    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex == elements.count }

    private mutating func next() throws -> JSONSource {
      let path = codingPath + [JSONIndex(currentIndex)]
      guard !isAtEnd else {
        throw DecodingError.valueNotFound(
          JSONValue.self,
          DecodingError.Context(codingPath: path, debugDescription: "the list ends before"))
      }
      defer { currentIndex += 1 }
      return JSONSource(json: elements[currentIndex], codingPath: path)
    }
    mutating func decodeNil() throws -> Bool {
      guard !isAtEnd, elements[currentIndex] == .null else { return false }
      currentIndex += 1
      return true
    }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try next().decode(type) }
    mutating func nestedContainer<Nested>(
      keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> { try next().container(keyedBy: type) }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
      try next().unkeyedContainer()
    }
    mutating func superDecoder() throws -> any Decoder { try next() }
  }
}

/// Place of an element in a list, or a name, within a path of keys.
private struct JSONIndex: CodingKey {
  let stringValue: String
  let intValue: Int?

  init(_ index: Int) {
    stringValue = String(index)
    intValue = index
  }
  init(_ name: String) {
    stringValue = name
    intValue = nil
  }
  init?(stringValue: String) { self.init(stringValue) }
  init?(intValue: Int) { self.init(intValue) }
}
