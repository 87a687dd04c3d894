/// A problem with something that the user gave: a file, an option, a value.
///
/// It carries data; `description` is the one place that turns them into a sentence naming the user's own
/// token and the remedy: `FILE:LINE:COLUMN: KEY: VALUE: problem. Advice.`
public struct InputError: Error, Equatable, Sendable, CustomStringConvertible {
  /// File (or `<standard input>`) that the problem is in.
  public var file: String?
  /// Line, counted from 1.
  public var line: Int?
  /// Column, counted from 1.
  public var column: Int?
  /// Key, attribute or option that the problem is about.
  public var key: String?
  /// Value as the user wrote it.
  public var value: String?
  /// What is wrong, without a full stop.
  public var problem: String
  /// What would help, without a full stop.
  public var advice: String?
  /// The system's error number when a system call failed, e.g. `ENOSPC`.
  public var systemCode: Int32?
  /// Whether a place refused what was written to it: a full disk, a read-only folder, a closed descriptor.
  public var isFailureToWrite = false

  public init(
    _ problem: String, file: String? = nil, line: Int? = nil, column: Int? = nil,
    key: String? = nil, value: String? = nil, advice: String? = nil, systemCode: Int32? = nil
  ) {
    self.problem = problem
    self.file = file
    self.line = line
    self.column = column
    self.key = key
    self.value = value
    self.advice = advice
    self.systemCode = systemCode
  }

  public var description: String {
    var text = ""
    if let file {
      text += InputError.visible(file)
      if let line { text += ":\(line)" }
      if let line, let column, line > 0 { text += ":\(column)" }
      text += ": "
    }
    if let key { text += "\(InputError.visible(key)): " }
    text += problem
    if let value { text += " (got \(InputError.quoted(value)))" }
    text += "."
    if let advice { text += " \(advice)" + (advice.hasSuffix("?") ? "" : ".") }
    return text
  }

  /// The same error with the file name filled in where it is missing.
  public func inFile(_ name: String) -> InputError {
    var copy = self
    if copy.file == nil { copy.file = name }
    return copy
  }

  /// A value in quotation marks, shortened to 120 characters, with nothing that a terminal would obey.
  static func quoted(_ value: String) -> String {
    let shown = visible(String(String.UnicodeScalarView(value.unicodeScalars.prefix(120))))
    return "'\(shown)\(value.unicodeScalars.count > 120 ? "…" : "")'"
  }

  /// Text of an input for a message: control characters (also those above 127), line separators and marks that
  /// change the direction of writing are escaped, so that it cannot command a terminal or look like another line.
  public static func visible(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 9: result += "\\t"
      case 10: result += "\\n"
      case 13: result += "\\r"
      case 0..<32, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

/// Several problems at once, each once, in the order in which they were found.
public struct InputErrors: Error, CustomStringConvertible {
  public private(set) var errors: [InputError] = []

  public init(_ errors: [InputError] = []) { for error in errors { add(error) } }

  public mutating func add(_ error: InputError) {
    if !errors.contains(error) { errors.append(error) }
  }

  /// Runs a piece of work and keeps what it throws.
  ///
  /// - Returns: nil when it threw.
  public mutating func collect<Result>(_ work: () throws -> Result) throws -> Result? {
    do {
      return try work()
    } catch let error as InputError {
      add(error)
      return nil
    } catch let several as InputErrors {
      for error in several.errors { add(error) }
      return nil
    }
  }

  /// Throws what was collected: a single problem as itself.
  public func throwIfAny() throws {
    if errors.count == 1 { throw errors[0] }
    if !errors.isEmpty { throw self }
  }

  /// One line for each, and how many there are.
  public var description: String {
    errors.map(\.description).joined(separator: "\n") + "\n\(errors.count) mistakes."
  }
}
