internal import Glibc
public import Support

/// Where a plan comes from: what people ask of results, and what decides nothing about them.
public struct PlanOrigin: Sendable, Equatable {
  /// Absolute path of the experiment file.
  public var file: String
  public var profile: String?
  /// Conditions of `--only`, as given.
  public var only: [String]
  /// Parameters of `--set`, as given.
  public var settings: [String]
  /// Words of `--record`, as given.
  public var record: [String]

  public init(
    file: String, profile: String? = nil, only: [String] = [], settings: [String] = [],
    record: [String] = []
  ) {
    self.file = Files.absolute(file)
    self.profile = profile
    self.only = only
    self.settings = settings
    self.record = record
  }

  public init?(json: JSONValue) {
    guard let file = json["file"]?.textValue else { return nil }
    func texts(_ key: String) -> [String] {
      (json[key]?.listValue ?? []).compactMap(\.textValue)
    }
    self.init(
      file: file, profile: json["profile"]?.textValue, only: texts("only"), settings: texts("set"),
      record: texts("record"))
  }

  public var json: JSONValue {
    func list(_ texts: [String]) -> JSONValue { .list(texts.map { .text($0) }) }
    return .object([
      "file": .text(file), "profile": profile.map { .text($0) } ?? .null, "only": list(only),
      "set": list(settings), "record": list(record),
    ])
  }

  /// `profile quick, only clients=3, V=50`; empty for a whole file without profiles.
  public var selection: String {
    let parts =
      (profile.map { ["profile \($0)"] } ?? [])
      + (only.isEmpty ? [] : ["only \(only.joined(separator: " "))"]) + settings
    return parts.joined(separator: ", ")
  }

  /// Whether the origin is another file than this one, still there and with the same experiment's name.
  ///
  /// Copies and links of one file under another path are other files; a file that has been moved is not.
  public func isRival(of other: PlanOrigin, experiment: String) -> Bool {
    guard file != other.file else { return false }
    var mine = stat()
    var others = stat()
    guard stat(file, &mine) == 0, stat(other.file, &others) == 0,
      mine.st_dev != others.st_dev || mine.st_ino != others.st_ino
    else { return false }
    let name = try? YAMLNode(path: file).mapping()["experiment"]?.text()
    return name == experiment
  }
}

/// A folder of results for plans that must leave no trace: what they import goes to a temporary folder, what is
/// imported already is taken from where it is.
public final class ScratchResults {
  /// To be used as the folder of all results.
  public let path: String

  /// - Parameter experimentFolder: where the experiment's results are, if it has any.
  public init(experiment: String, experimentFolder: String) throws {
    let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(temporary)/veclab-plan-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Files.failure("make a folder in", temporary) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let traces = Files.absolute(experimentFolder) + "/traces"
    guard Files.isFolder(traces) else { return }
    try Files.makeFolder("\(path)/\(experiment)/traces")
    for name in try Files.list(traces) where name.hasSuffix(".trace") {
      guard symlink("\(traces)/\(name)", "\(path)/\(experiment)/traces/\(name)") == 0 else {
        throw Files.failure("link to", "\(traces)/\(name)")
      }
    }
  }

  deinit { try? Files.remove(path) }
}
