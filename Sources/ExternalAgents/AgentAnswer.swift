public import Support

/// What is wrong with an agent's answer: the member, its value and what is allowed.
public struct AgentAnswerError: Error, Equatable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
}

/// One message of an agent, read strictly.
public struct AgentAnswer {
  public let type: String
  private let members: [String: JSONValue]

  /// Members that say the agent's own error.
  private static let failure = "error"

  /// Reads a line.
  ///
  /// - Parameters:
  ///   - expected: the type of message that is due.
  ///   - allowed: members that it may have, besides `type`.
  public init(line: [UInt8], expected: String, allowed: [String]) throws {
    let value: JSONValue
    do {
      value = try JSONValue(parsing: line)
    } catch {
      throw AgentAnswerError(
        "answered \(AgentAnswer.quoted(line)), which is no message: standard output is for messages alone, "
          + "one JSON object a line; print to standard error")
    }
    guard case .object(let members) = value, let type = members["type"]?.textValue else {
      throw AgentAnswerError(
        "answered \(AgentAnswer.quoted(line)), which is no object with a text 'type'")
    }
    if type == AgentAnswer.failure {
      throw AgentAnswerError("gave up: \(members["message"]?.textValue ?? "it does not say why")")
    }
    guard type == expected else {
      throw AgentAnswerError(
        "answered '\(type)' where '\(expected)' was due: \(AgentAnswer.quoted(line))")
    }
    for key in members.keys.sorted() where key != "type" && !allowed.contains(key) {
      let nearest = nearestName(to: key, among: allowed).map { "; did you mean '\($0)'?" } ?? ""
      throw AgentAnswerError("has a member '\(key)' in '\(type)', which is not known\(nearest)")
    }
    self.type = type
    self.members = members
  }

  /// The beginning of a line in quotation marks, with what cannot be printed made visible.
  static func quoted(_ line: some Collection<UInt8>) -> String {
    let text = String(decoding: line.prefix(200), as: UTF8.self)
    let shown = text.unicodeScalars.map {
      $0.value < 32 || $0.value == 127 ? "\u{FFFD}" : String($0)
    }
    return "'\(shown.joined())\(line.count > 200 ? "…" : "")'"
  }

  public subscript(key: String) -> JSONValue? { members[key] }

  private func wrong(_ key: String, _ value: JSONValue?, _ wanted: String) -> AgentAnswerError {
    guard let value else { return AgentAnswerError("has no '\(key)' in '\(type)': \(wanted)") }
    let text = value.canonical
    let shown = text.count > 200 ? text.prefix(200) + "…" : text[...]
    return AgentAnswerError("has \(key) \(shown) in '\(type)': \(wanted)")
  }

  /// A whole number in a range.
  func integer(_ key: String, _ range: ClosedRange<Int>) throws -> Int {
    guard let value = members[key]?.integerValue, range.contains(value) else {
      throw wrong(
        key, members[key],
        "it must be a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// A list of whole numbers, each from 0 to below its limit.
  func integers(_ key: String, below limits: [Int]) throws -> [Int] {
    guard let values = members[key]?.listValue else {
      throw wrong(key, members[key], "it must be a list of \(limits.count) whole numbers")
    }
    guard values.count == limits.count else {
      throw AgentAnswerError(
        "has \(values.count) \(key) in '\(type)': it must be \(limits.count), one for each client")
    }
    return try values.indices.map { i in
      guard let value = values[i].integerValue, (0..<limits[i]).contains(value) else {
        throw wrong(
          "\(key)[\(i)]", values[i], "it must be a whole number from 0 to \(limits[i] - 1)")
      }
      return value
    }
  }

  /// A number, or nil without one; `isAllowed` and `wanted` say which.
  func number(_ key: String, _ wanted: String, where isAllowed: (Double) -> Bool) throws -> Double?
  {
    guard let value = members[key] else { return nil }
    guard let number = value.numberValue, isAllowed(number) else { throw wrong(key, value, wanted) }
    return number
  }

  func flag(_ key: String, default standard: Bool) throws -> Bool {
    guard let value = members[key] else { return standard }
    guard let flag = value.flagValue else { throw wrong(key, value, "it must be true or false") }
    return flag
  }

  func object(_ key: String) throws -> [String: JSONValue] {
    guard let value = members[key] else { return [:] }
    guard let object = value.objectValue else { throw wrong(key, value, "it must be an object") }
    return object
  }
}
