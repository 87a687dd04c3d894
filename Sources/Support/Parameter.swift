/// A value of an experiment's parameter.
public enum ParameterValue: Hashable, Sendable {
  case integer(Int)
  case number(Double)
  case flag(Bool)
  case text(String)
  case list([ParameterValue])
  /// "not set": the parameter's documented rule then applies.
  case none

  /// As JSON, for `run.json` and digests.
  public var json: JSONValue {
    switch self {
    case .integer(let value): .integer(value)
    case .number(let value): .number(value)
    case .flag(let value): .flag(value)
    case .text(let value): .text(value)
    case .list(let values): .list(values.map(\.json))
    case .none: .null
    }
  }

  public init(_ json: JSONValue) {
    switch json {
    case .null: self = .none
    case .flag(let value): self = .flag(value)
    case .integer(let value): self = .integer(value)
    case .number(let value): self = .number(value)
    case .text(let value): self = .text(value)
    case .list(let values): self = .list(values.map(ParameterValue.init))
    case .object: self = .none
    }
  }

  /// As the user would write it; lists in brackets.
  public var text: String {
    switch self {
    case .integer(let value): String(value)
    case .number(let value): CSVWriter.text(of: value)
    case .flag(let value): value ? "true" : "false"
    case .text(let value): value
    case .list(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
    case .none: "none"
    }
  }
}

/// One parameter of a model or an algorithm: the only place of its name, type, default, unit and meaning.
public struct Parameter: Sendable {
  public indirect enum Kind: Sendable {
    case integer(ClosedRange<Int>)
    /// Finite numbers in a closed range.
    case number(ClosedRange<Double>)
    case flag
    case choice([String])
    /// Free text (a path, a name).
    case text
    case list(of: Kind, count: ClosedRange<Int>)
    /// The kind, or `none`.
    case optional(Kind)
    /// The first of several kinds that accepts the value.
    case either([Kind])
    /// Named parts, each of its kind: a mapping in files, a list of the parts in this order everywhere else.
    case parts([(name: String, kind: Kind)])
  }

  public let key: String
  public let kind: Kind
  public let defaultValue: ParameterValue
  /// Unit, empty for pure numbers and words.
  public let unit: String
  /// Paper and equation or section, or `ours`.
  public let source: String
  /// Whether a run's identity says nothing of the parameter while it has its default.
  ///
  /// True for a parameter that was added when runs had already been published, with a default that leaves them as
  /// they are: so they keep their identities. The default of such a parameter must never change.
  public let isImpliedAtDefault: Bool
  /// What it means, in one sentence.
  public let summary: String

  public init(
    _ key: String, _ kind: Kind, default defaultValue: ParameterValue, unit: String = "",
    source: String, isImpliedAtDefault: Bool = false, _ summary: String
  ) {
    self.key = key
    self.kind = kind
    self.defaultValue = defaultValue
    self.unit = unit
    self.source = source
    self.isImpliedAtDefault = isImpliedAtDefault
    self.summary = summary
  }

  /// The value in the parameter's own type (an integer where a number is wanted becomes one).
  ///
  /// - Throws: `InputError` with key, value, what is wrong and what is allowed; the caller adds file and line.
  public func checked(_ value: ParameterValue) throws -> ParameterValue {
    guard let result = kind.accept(value) else {
      throw InputError(
        "must be \(kind.description)\(unit.isEmpty ? "" : " (\(unit))")", key: key,
        value: value.text, advice: advice(for: value))
    }
    return result
  }

  /// What to do about a quoted text where a number or flag is wanted; nil for other texts.
  public static func adviceAboutQuotes(_ text: String) -> String? {
    Double(text) != nil || text == "true" || text == "false"
      ? "This is a text: leave the quotation marks out" : nil
  }

  private func advice(for value: ParameterValue) -> String? {
    if case .text(let word) = value,
      let nearest = nearestName(to: word, among: kind.choices)
    {
      return "Did you mean '\(nearest)'?"
    }
    if case .text(let word) = value, let advice = Parameter.adviceAboutQuotes(word) {
      return advice
    }
    return defaultValue == .none ? nil : "The default is \(defaultValue.text)"
  }
}

extension Parameter.Kind: CustomStringConvertible {
  /// The value converted to this kind, or nil when it does not fit.
  public func accept(_ value: ParameterValue) -> ParameterValue? {
    switch (self, value) {
    case (.integer(let range), .integer(let x)): range.contains(x) ? value : nil
    case (.integer(let range), .number(let x)):
      Int(exactly: x).flatMap { range.contains($0) ? .integer($0) : nil }
    case (.number(let range), .integer(let x)):
      range.contains(Double(x)) ? .number(Double(x)) : nil
    case (.number(let range), .number(let x)): x.isFinite && range.contains(x) ? value : nil
    case (.flag, .flag): value
    case (.choice(let words), .text(let word)): words.contains(word) ? value : nil
    case (.text, .text(let word)): word.isEmpty ? nil : value
    case (.list(let element, let count), .list(let values)):
      count.contains(values.count) ? acceptAll(values, as: element) : nil
    case (.optional, .none): ParameterValue.none
    case (.optional(let kind), _): kind.accept(value)
    case (.either(let kinds), _): kinds.lazy.compactMap { $0.accept(value) }.first
    case (.parts(let parts), .list(let values)): acceptParts(values, as: parts)
    default: nil
    }
  }

  private func acceptParts(
    _ values: [ParameterValue], as parts: [(name: String, kind: Self)]
  ) -> ParameterValue? {
    guard values.count == parts.count else { return nil }
    let accepted = zip(parts, values).compactMap { $0.kind.accept($1) }
    return accepted.count == parts.count ? .list(accepted) : nil
  }

  private func acceptAll(_ values: [ParameterValue], as kind: Self) -> ParameterValue? {
    let accepted = values.compactMap { kind.accept($0) }
    return accepted.count == values.count ? .list(accepted) : nil
  }

  /// Every word that is allowed somewhere in the value.
  var choices: [String] {
    switch self {
    case .choice(let words): words
    case .flag: ["true", "false"]
    case .list(let kind, _), .optional(let kind): kind.choices
    case .either(let kinds): kinds.flatMap(\.choices)
    case .parts(let parts): parts.flatMap(\.kind.choices)
    case .integer, .number, .text: []
    }
  }

  public var description: String {
    switch self {
    case .integer(let range):
      "a whole number "
        + bounds(String(range.lowerBound), range.upperBound == .max ? nil : "\(range.upperBound)")
    case .number(let range):
      "a number "
        + bounds(
          bound(range.lowerBound),
          range.upperBound == .greatestFiniteMagnitude ? nil : bound(range.upperBound))
    case .flag: "true or false"
    case .choice(let words): "one of \(words.joined(separator: ", "))"
    case .text: "a text that is not empty"
    case .list(let kind, let count):
      count.upperBound == .max
        ? "a list of at least \(count.lowerBound), each \(kind)"
        : "a list of \(count.lowerBound) to \(count.upperBound), each \(kind)"
    case .optional(let kind): "\(kind), or none"
    case .either(let kinds): kinds.map(\.description).joined(separator: ", or ")
    case .parts(let parts):
      "{" + parts.map { "\($0.name): \($0.kind)" }.joined(separator: ", ") + "}"
    }
  }

  /// Whole numbers without `.0`, however large.
  private func bound(_ value: Double) -> String {
    Int(exactly: value).map { "\($0)" } ?? CSVWriter.text(of: value)
  }

  private func bounds(_ low: String, _ high: String?) -> String {
    high.map { "from \(low) to \($0)" } ?? "of at least \(low)"
  }
}

/// Parameters with their values: every key of the schema has one.
public struct ParameterValues: Sendable, Equatable {
  public private(set) var values: [String: ParameterValue]

  /// The defaults of a schema, with some replaced.
  ///
  /// - Throws: `InputError` for an unknown key (with the nearest known one) or a value that does not fit.
  public init(schema: [Parameter], setting given: [String: ParameterValue] = [:]) throws {
    var values: [String: ParameterValue] = [:]
    for parameter in schema { values[parameter.key] = parameter.defaultValue }
    for key in given.keys.sorted() {
      guard let parameter = schema.first(where: { $0.key == key }) else {
        throw ParameterValues.unknownKey(key, schema: schema)
      }
      values[key] = try parameter.checked(given[key]!)
    }
    self.values = values
  }

  /// Error for a key that no schema has.
  public static func unknownKey(_ key: String, schema: [Parameter]) -> InputError {
    let nearest = nearestName(to: key, among: schema.map(\.key))
    return InputError(
      "is not a known parameter", key: key,
      advice: nearest.map { "Did you mean '\($0)'?" }
        ?? "Known are \(schema.map(\.key).sorted().joined(separator: ", "))")
  }

  /// The value of a key of the schema; what is set must fit the parameter's type.
  public subscript(key: String) -> ParameterValue {
    get {
      guard let value = values[key] else {
        preconditionFailure("no parameter '\(key)' in the schema")
      }
      return value
    }
    set {
      precondition(values[key] != nil, "no parameter '\(key)' in the schema")
      values[key] = newValue
    }
  }

  public func integer(_ key: String) -> Int {
    guard case .integer(let value) = self[key] else { return wrongType(key) }
    return value
  }

  public func number(_ key: String) -> Double {
    switch self[key] {
    case .number(let value): return value
    case .integer(let value): return Double(value)
    default: return wrongType(key)
    }
  }

  public func flag(_ key: String) -> Bool {
    guard case .flag(let value) = self[key] else { return wrongType(key) }
    return value
  }

  public func text(_ key: String) -> String {
    guard case .text(let value) = self[key] else { return wrongType(key) }
    return value
  }

  /// Number, or nil for `none`.
  public func optionalNumber(_ key: String) -> Double? {
    self[key] == .none ? nil : number(key)
  }

  public func list(_ key: String) -> [ParameterValue] {
    guard case .list(let value) = self[key] else { return wrongType(key) }
    return value
  }

  /// A list of integers.
  public func integers(_ key: String) -> [Int] {
    list(key).map { value in
      guard case .integer(let element) = value else { return wrongType(key) }
      return element
    }
  }

  private func wrongType<T>(_ key: String) -> T {
    preconditionFailure("parameter '\(key)' is read as a type that its schema does not give")
  }

  /// Every value, as a JSON object.
  public var json: JSONValue { .object(values.mapValues(\.json)) }

  /// The values that are part of a run's identity: all but those that are implied at their defaults.
  public func stated(schema: [Parameter]) -> [String: ParameterValue] {
    var stated = values
    for parameter in schema
    where parameter.isImpliedAtDefault && values[parameter.key] == parameter.defaultValue {
      stated[parameter.key] = nil
    }
    return stated
  }
}
