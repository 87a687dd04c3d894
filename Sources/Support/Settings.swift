/// Parameters of a model, an algorithm or a part of one, declared once as the fields of a struct.
///
/// Every field marked `@Setting` is one parameter: its name in experiment files is the field's, its type, default, range,
/// unit, source and meaning stand beside it. Schema, help, checks and `run.json` follow from `parameters`; a run's
/// values are decoded into plain stored values, so that hot code reads a field as of any other struct.
///
/// ```swift
/// struct SearchSettings: Settings {
///   enum Start: String, CaseIterable, DescribedSettingValue { case local, random }
///
///   @Setting(1...1000, source: "ours", "Starts of the search in a slot.")
///   var starts = 4
///   @Setting(0...1, source: "P1 §8", "Probability that a gene is drawn anew; none: 1 / (2 clients).")
///   var mutation: Double? = nil
///   @Setting(each: 1...4096, count: 1...8, source: "ours", "Widths of the hidden layers.")
///   var hidden = [256, 256]
///   @Setting(key: "start", source: "ours", "First decision: all local, or drawn.")
///   var firstDecision = Start.local
///   /// The settings of a part are among those of the whole.
///   var learning = LearningSettings()
/// }
///
/// SearchSettings.parameters            // the schema, in the order of the fields, those of parts in their place
/// let settings = SearchSettings(values)  // from `ParameterValues` of a schema that has all of them
/// settings.starts                      // 4
/// settings.$starts.key                 // "starts", for messages
/// values.set(settings)                 // back into the values
/// ```
///
/// All fields must be `@Setting` or structs of settings; a public struct needs `public init() {}`. Words are enums
/// with raw values; a type of its own for a value that is one of several kinds ("auto" or a place) conforms to
/// `DescribedSettingValue`.
public protocol Settings: Decodable, Sendable {
  /// The defaults.
  init()
}

extension Settings {
  /// The parameters in the order of the fields, each with its default.
  public static var parameters: [Parameter] { SettingFields(Self()).entries.map(\.parameter) }

  /// The settings that values say; further keys are those of others.
  ///
  /// - Precondition: the values are of a schema that contains `parameters`.
  public init(_ values: ParameterValues) {
    do {
      try self.init(from: SettingsDecoder(fields: SettingFields(Self()), values: values))
    } catch {
      preconditionFailure(
        "\(Self.self) has a field that is neither a @Setting nor settings: \(error)")
    }
  }
}

extension ParameterValues {
  /// Replaces the values of all parameters of the settings.
  public mutating func set(_ settings: some Settings) {
    for entry in SettingFields(settings).entries {
      self[entry.parameter.key] = entry.parameter.defaultValue
    }
  }
}

/// Something that a parameter's value can be read as.
public protocol SettingValue: Sendable {
  /// nil when the value is of another type.
  init?(_ value: ParameterValue)
  var parameterValue: ParameterValue { get }
}

/// A type whose values need no further bounds: `Bool`, words (enums with raw values), or a type with its own reading.
public protocol DescribedSettingValue: SettingValue {
  static var kind: Parameter.Kind { get }
}

/// One parameter as a field of `Settings`; a stored value with a description beside it.
@propertyWrapper
public struct Setting<Value: SettingValue>: Sendable {
  /// What the field's declaration says; shared by all copies.
  fileprivate final class Declaration: Sendable {
    let parameter: Parameter
    init(_ parameter: Parameter) { self.parameter = parameter }
  }

  public var wrappedValue: Value
  private let declaration: Declaration

  /// The parameter, its default the one of the declaration; its key is known once the settings were decoded.
  public var projectedValue: Parameter { declaration.parameter }

  /// - Parameter key: name in experiment files where it is not the field's.
  public init(
    wrappedValue: Value, _ kind: Parameter.Kind, key: String? = nil, unit: String = "",
    source: String, isImpliedAtDefault: Bool = false, _ summary: String
  ) {
    self.wrappedValue = wrappedValue
    declaration = Declaration(
      Parameter(
        key ?? "", kind, default: wrappedValue.parameterValue, unit: unit, source: source,
        isImpliedAtDefault: isImpliedAtDefault, summary))
  }

  public init(
    wrappedValue: Value, key: String? = nil, unit: String = "", source: String,
    isImpliedAtDefault: Bool = false, _ summary: String
  ) where Value: DescribedSettingValue {
    self.init(
      wrappedValue: wrappedValue, Value.kind, key: key, unit: unit, source: source,
      isImpliedAtDefault: isImpliedAtDefault, summary)
  }

  public init<Wrapped: DescribedSettingValue>(
    wrappedValue: Value, key: String? = nil, unit: String = "", source: String,
    isImpliedAtDefault: Bool = false, _ summary: String
  ) where Value == Wrapped? {
    self.init(
      wrappedValue: wrappedValue, .optional(Wrapped.kind), key: key, unit: unit, source: source,
      isImpliedAtDefault: isImpliedAtDefault, summary)
  }
}

extension Setting where Value == Double {
  public init(
    wrappedValue: Double, _ range: ClosedRange<Double>, key: String? = nil, unit: String = "",
    source: String, isImpliedAtDefault: Bool = false, _ summary: String
  ) {
    self.init(
      wrappedValue: wrappedValue, .number(range), key: key, unit: unit, source: source,
      isImpliedAtDefault: isImpliedAtDefault, summary)
  }
}

extension Setting where Value == Double? {
  public init(
    wrappedValue: Double?, _ range: ClosedRange<Double>, key: String? = nil, unit: String = "",
    source: String, isImpliedAtDefault: Bool = false, _ summary: String
  ) {
    self.init(
      wrappedValue: wrappedValue, .optional(.number(range)), key: key, unit: unit, source: source,
      isImpliedAtDefault: isImpliedAtDefault, summary)
  }
}

extension Setting where Value == [Double] {
  public init(
    wrappedValue: [Double], each range: ClosedRange<Double>, count: ClosedRange<Int>,
    key: String? = nil, unit: String = "", source: String, isImpliedAtDefault: Bool = false,
    _ summary: String
  ) {
    self.init(
      wrappedValue: wrappedValue, .list(of: .number(range), count: count), key: key, unit: unit,
      source: source, isImpliedAtDefault: isImpliedAtDefault, summary)
  }
}

extension Setting where Value == Int {
  public init(
    wrappedValue: Int, _ range: ClosedRange<Int>, key: String? = nil, unit: String = "",
    source: String, isImpliedAtDefault: Bool = false, _ summary: String
  ) {
    self.init(
      wrappedValue: wrappedValue, .integer(range), key: key, unit: unit, source: source,
      isImpliedAtDefault: isImpliedAtDefault, summary)
  }
}

extension Setting where Value == Int? {
  public init(
    wrappedValue: Int?, _ range: ClosedRange<Int>, key: String? = nil, unit: String = "",
    source: String, isImpliedAtDefault: Bool = false, _ summary: String
  ) {
    self.init(
      wrappedValue: wrappedValue, .optional(.integer(range)), key: key, unit: unit, source: source,
      isImpliedAtDefault: isImpliedAtDefault, summary)
  }
}

extension Setting where Value == [Int] {
  public init(
    wrappedValue: [Int], each range: ClosedRange<Int>, count: ClosedRange<Int>,
    key: String? = nil, unit: String = "", source: String, isImpliedAtDefault: Bool = false,
    _ summary: String
  ) {
    self.init(
      wrappedValue: wrappedValue, .list(of: .integer(range), count: count), key: key, unit: unit,
      source: source, isImpliedAtDefault: isImpliedAtDefault, summary)
  }
}

extension Setting: Equatable where Value: Equatable {
  public static func == (a: Self, b: Self) -> Bool { a.wrappedValue == b.wrappedValue }
}

// MARK: Types of values

extension Double: SettingValue {
  public init?(_ value: ParameterValue) {
    switch value {
    case .number(let number): self = number
    case .integer(let number): self = Double(number)
    default: return nil
    }
  }
  public var parameterValue: ParameterValue { .number(self) }
}

extension Int: SettingValue {
  public init?(_ value: ParameterValue) {
    guard case .integer(let number) = value else { return nil }
    self = number
  }
  public var parameterValue: ParameterValue { .integer(self) }
}

extension Bool: DescribedSettingValue {
  public init?(_ value: ParameterValue) {
    guard case .flag(let flag) = value else { return nil }
    self = flag
  }
  public var parameterValue: ParameterValue { .flag(self) }
  public static var kind: Parameter.Kind { .flag }
}

extension String: DescribedSettingValue {
  public init?(_ value: ParameterValue) {
    guard case .text(let text) = value else { return nil }
    self = text
  }
  public var parameterValue: ParameterValue { .text(self) }
  public static var kind: Parameter.Kind { .text }
}

extension SettingValue where Self: RawRepresentable<String> {
  public init?(_ value: ParameterValue) {
    guard case .text(let word) = value else { return nil }
    self.init(rawValue: word)
  }
  public var parameterValue: ParameterValue { .text(rawValue) }
}

extension DescribedSettingValue where Self: RawRepresentable<String> & CaseIterable {
  public static var kind: Parameter.Kind { .choice(allCases.map(\.rawValue)) }
}

extension Optional: SettingValue where Wrapped: SettingValue {
  public init?(_ value: ParameterValue) {
    if value == .none {
      self = .none
    } else if let wrapped = Wrapped(value) {
      self = .some(wrapped)
    } else {
      return nil
    }
  }
  public var parameterValue: ParameterValue { self?.parameterValue ?? .none }
}

extension Array: SettingValue where Element: SettingValue {
  public init?(_ value: ParameterValue) {
    guard case .list(let values) = value else { return nil }
    let elements = values.compactMap { Element($0) }
    guard elements.count == values.count else { return nil }
    self = elements
  }
  public var parameterValue: ParameterValue { .list(map(\.parameterValue)) }
}

// MARK: From values to fields and back

/// A field with its description, whatever its type.
private protocol AnySetting {
  /// The parameter of the declaration, with the present value as its default.
  func parameter(named name: String) -> Parameter
}

extension Setting: AnySetting {
  fileprivate func parameter(named name: String) -> Parameter {
    let declared = declaration.parameter
    return Parameter(
      declared.key.isEmpty ? name : declared.key, declared.kind,
      default: wrappedValue.parameterValue, unit: declared.unit, source: declared.source,
      isImpliedAtDefault: declared.isImpliedAtDefault, declared.summary)
  }
}

/// The fields of a struct of settings, found by reflection.
private struct SettingFields: Sendable {
  /// A field: one parameter, or the settings of a part.
  enum Field {
    case one(Parameter)
    case part(SettingFields)
  }
  private(set) var fields: [(name: String, field: Field)] = []

  init(_ settings: any Settings) {
    for child in Mirror(reflecting: settings).children {
      guard let label = child.label else { continue }
      // A wrapped property is stored under its name with an underscore.
      let name = label.hasPrefix("_") ? String(label.dropFirst()) : label
      if let setting = child.value as? any AnySetting {
        fields.append((name, .one(setting.parameter(named: name))))
      } else if let part = child.value as? any Settings {
        fields.append((name, .part(SettingFields(part))))
      }
    }
  }

  var entries: [(name: String, parameter: Parameter)] {
    fields.flatMap { name, field in
      switch field {
      case .one(let parameter): [(name, parameter)]
      case .part(let fields): fields.entries
      }
    }
  }

  subscript(name: String) -> Field? { fields.first { $0.name == name }?.field }
}

extension Setting: Decodable {
  /// Only settings decode: a run's values hold what experiment files and documents say.
  public init(from decoder: any Decoder) throws {
    guard let decoder = decoder as? SettingDecoder else {
      throw SettingsDecoder.refusal(decoder.codingPath)
    }
    let value = decoder.values[decoder.parameter.key]
    guard let value = Value(value) else {
      preconditionFailure("\(decoder.parameter.key) is \(value.text), not a \(Value.self)")
    }
    wrappedValue = value
    declaration = Declaration(decoder.parameter)
  }
}

/// Hands one field its value.
private struct SettingDecoder: Decoder {
  let parameter: Parameter
  let values: ParameterValues
  var codingPath: [any CodingKey] { [] }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    throw SettingsDecoder.refusal(codingPath)
  }
  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    throw SettingsDecoder.refusal(codingPath)
  }
  func singleValueContainer() throws -> any SingleValueDecodingContainer {
    throw SettingsDecoder.refusal(codingPath)
  }
}

/// Hands a struct of settings its fields, which the compiler's `Decodable` asks for by name.
private struct SettingsDecoder: Decoder {
  let fields: SettingFields
  let values: ParameterValues
  var codingPath: [any CodingKey] { [] }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  static func refusal(_ path: [any CodingKey]) -> DecodingError {
    .dataCorrupted(
      DecodingError.Context(codingPath: path, debugDescription: "only settings are decoded here"))
  }

  func container<Key>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    KeyedDecodingContainer(Container(fields: fields, values: values))
  }
  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    throw SettingsDecoder.refusal(codingPath)
  }
  func singleValueContainer() throws -> any SingleValueDecodingContainer {
    throw SettingsDecoder.refusal(codingPath)
  }

  struct Container<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let fields: SettingFields
    let values: ParameterValues
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { fields.fields.compactMap { Key(stringValue: $0.name) } }
    func contains(_ key: Key) -> Bool { fields[key.stringValue] != nil }
    func decodeNil(forKey key: Key) throws -> Bool { false }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
      switch fields[key.stringValue] {
      case .one(let parameter): try T(from: SettingDecoder(parameter: parameter, values: values))
      case .part(let part): try T(from: SettingsDecoder(fields: part, values: values))
      case nil: throw SettingsDecoder.refusal([key])
      }
    }
    func nestedContainer<Nested>(
      keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { throw SettingsDecoder.refusal([key]) }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
      throw SettingsDecoder.refusal([key])
    }
    func superDecoder() throws -> any Decoder { throw SettingsDecoder.refusal([]) }
    func superDecoder(forKey key: Key) throws -> any Decoder {
      throw SettingsDecoder.refusal([key])
    }
  }
}
