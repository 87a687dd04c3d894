package import Support

/// Version of the protocol that external agents speak (`Experiments/AGENTS.md`); part of every external run's identity.
public let agentProtocolVersion = 1

/// What an external agent is shown of a situation.
public enum AgentSight: String, Sendable, CaseIterable {
  /// What our learners observe.
  case observation
  /// Also what our other algorithms see.
  case slot
}

/// An algorithm in another language: an entry of an experiment file's `agents`.
///
/// Keys: `command` (program and arguments), `files` (what it reads), `learner`, `sees`, `parameters` (name: default), `startup`
/// and `silence` (how long its start and any other answer may take).
struct AgentDefinition: Sendable {
  let name: String
  let command: [String]
  /// Paths relative to the experiment file.
  let files: [File]
  let isLearner: Bool
  let sight: AgentSight
  let parameters: [Parameter]
  /// In seconds; they alter no result.
  let startup: Double
  let silence: Double
  let location: SourceLocation

  struct File: Sendable {
    let path: String
    let location: SourceLocation
  }

  private static let keys = [
    "command", "files", "learner", "sees", "parameters", "startup", "silence",
  ]

  /// Reads one entry.
  ///
  /// - Parameters:
  ///   - folder: of the experiment file.
  ///   - model: whose algorithms and parameters must not be meant by the same names.
  init(_ entry: YAMLMapping.Entry, folder: String, model: AnyModel) throws {
    name = try AgentDefinition.name(entry, model: model)
    location = entry.location
    let mapping = try entry.value.mapping()
    try mapping.allow(AgentDefinition.keys)
    let commandNode = try mapping.required(
      "command", "List program and arguments: [python3, agents/mine.py]")
    let words = try commandNode.list(of: "a list: program and arguments")
    command = try words.map { try AgentDefinition.word($0) }
    files = try mapping["files"].map { try AgentDefinition.files($0, folder: folder) } ?? []
    isLearner = try mapping["learner"]?.flag() ?? false
    sight = try mapping["sees"].map { try AgentDefinition.sight($0) } ?? .observation
    parameters =
      try mapping["parameters"]?.mapping().entries.map {
        try AgentDefinition.parameter($0, model: model)
      } ?? []
    startup = try mapping["startup"]?.duration() ?? AgentPatience.standard.startup
    silence = try mapping["silence"]?.duration() ?? AgentPatience.standard.silence
    try check(words, folder: folder)
  }

  /// A word of a command line: numbers and flags are taken as they would be written.
  private static func word(_ node: YAMLNode) throws -> String {
    let word = try node.value()
    switch word {
    case .integer, .number, .flag, .text: break
    case .list, .none: throw node.wrongType("a word of the command line")
    }
    if word.text.isEmpty || word.text.contains("\0") {
      throw node.error("is empty or holds a zero byte", advice: "Leave it out")
    }
    return word.text
  }

  private static func name(_ entry: YAMLMapping.Entry, model: AnyModel) throws -> String {
    let letters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    let name = entry.key
    guard !name.isEmpty, name.allSatisfy(letters.contains), name.first != ".", name.count <= 100
    else {
      throw entry.location.error(
        "cannot be the name of an agent", advice: "Use letters, digits, '-', '_' and '.'")
    }
    if model.algorithm(name) != nil {
      throw entry.location.error(
        "is an algorithm of model '\(model.name)' already", advice: "Give the agent another name")
    }
    return name
  }

  private static func sight(_ node: YAMLNode) throws -> AgentSight {
    let word = try node.text()
    if let sight = AgentSight(rawValue: word) { return sight }
    let words = AgentSight.allCases.map(\.rawValue)
    throw node.error(
      "is nothing that an agent can see", value: word,
      advice: nearestName(to: word, among: words).map { "Did you mean '\($0)'?" }
        ?? "Known are \(words.joined(separator: ", "))")
  }

  /// A path without `./` in front.
  private static func plain(_ path: String) -> String {
    path.hasPrefix("./") ? String(path.dropFirst(2)) : path
  }

  private static func files(_ node: YAMLNode, folder: String) throws -> [File] {
    var files: [File] = []
    for element in try node.oneOrMore() {
      let path = plain(try element.text())
      let parts = path.split(separator: "/", omittingEmptySubsequences: false)
      if path.hasPrefix("/") || parts.contains(where: { ["", ".", ".."].contains($0) }) {
        throw element.error(
          "is not in the folder of the experiment file or below", value: path,
          advice:
            "Put the experiment file above the agent's files, and name them without '.' and '..'")
      }
      if files.contains(where: { $0.path == path }) {
        throw element.error("is listed twice", value: path, advice: "Keep one of them")
      }
      let full = Files.path(path, relativeTo: folder)
      if Files.isFolder(full) {
        throw element.error("is a folder", value: path, advice: "List its files")
      }
      try element.location.refuseSpecial(full, value: path)
      files.append(File(path: path, location: element.location))
    }
    return files
  }

  private static func parameter(_ entry: YAMLMapping.Entry, model: AnyModel) throws -> Parameter {
    let key = entry.key
    let taken =
      model.parameters.map(\.key) + RunParameters.schema(isLearner: true).map(\.key)
      + AnyModel.selectors + [RunParameters.checkpointEvery.key]
    if taken.contains(key) {
      throw entry.location.error(
        "is a parameter of the model or of every run", advice: "Give the agent's another name")
    }
    return parameter(key, default: try entry.value.value())
  }

  /// A parameter of the kind that its default has.
  static func parameter(_ key: String, default value: ParameterValue) -> Parameter {
    let greatest = Double.greatestFiniteMagnitude
    let number = Parameter.Kind.either([.integer(Int.min...Int.max), .number(-greatest...greatest)])
    let any = Parameter.Kind.either([.flag, number, .text])
    let kind: Parameter.Kind =
      switch value {
      case .integer, .number: number
      case .flag: .flag
      case .text: .text
      case .list: .list(of: any, count: 0...Int.max)
      case .none: .optional(any)
      }
    return Parameter(key, kind, default: value, source: "the agent's own", "")
  }

  /// What is sure to fail: a program that is not there, a file that the copy will lack.
  private func check(_ words: [YAMLNode], folder: String) throws {
    for (word, node) in zip(command, words) {
      let isOwn = files.contains { $0.path == AgentDefinition.plain(word) }
      if !isOwn, !word.hasPrefix("/"), word.contains(".") || word.contains("/"),
        Files.exists(Files.path(word, relativeTo: folder)),
        !Files.isFolder(Files.path(word, relativeTo: folder))
      {
        throw node.error(
          "is a file of the experiment's folder that 'files' does not list", value: word,
          advice:
            "Add it to 'files': the command runs in a copy of these, and their content is part of a run's "
            + "identity")
      }
    }
    let program = command[0]
    let isFound: Bool
    if program.hasPrefix("/") {
      isFound = Files.isExecutable(program)
    } else if program.contains("/") {
      isFound =
        files.contains { $0.path == AgentDefinition.plain(program) }
        && Files.isExecutable(Files.path(program, relativeTo: folder))
    } else {
      isFound = Files.isInSearchPath(program)
    }
    if !isFound {
      throw words[0].error(
        "is not a program that can be run", value: program,
        advice: program.contains("/")
          ? "Give an absolute path, or a file of 'files' that is executable"
          : "It is looked up in PATH")
    }
  }

  /// As the planner and figures know it, beside the model's own algorithms.
  var description: AlgorithmDescription {
    AlgorithmDescription(
      name: name, version: agentProtocolVersion, summary: "External agent.", isLearner: isLearner,
      parameters: parameters, settle: { _, _ in }, agent: self)
  }
}

/// The external agent of a run: what belongs to the run's identity.
package struct ExternalAlgorithm: Sendable, Equatable {
  package let name: String
  package let command: [String]
  package let isLearner: Bool
  package let sight: AgentSight
  /// SHA-256 of each of its files.
  package let files: [String: String]

  /// - Parameter files: SHA-256 of each of the agent's files.
  init(_ agent: AgentDefinition, files: [String: String]) {
    name = agent.name
    command = agent.command
    isLearner = agent.isLearner
    sight = agent.sight
    self.files = files
  }

  var json: JSONValue {
    .object([
      "command": .list(command.map { .text($0) }),
      "files": .object(files.mapValues { .text($0) }),
      "learner": .flag(isLearner),
      "sees": .text(sight.rawValue),
    ])
  }

  /// - Throws: `InputError` if the document describes an agent that this program cannot run.
  init(json agent: JSONValue, name: String) throws {
    let command = agent["command"]?.listValue?.compactMap(\.textValue) ?? []
    guard !command.isEmpty,
      let isLearner = agent["learner"]?.flagValue,
      let sight = agent["sees"]?.textValue.flatMap(AgentSight.init(rawValue:)),
      let files = agent["files"]?.objectValue
    else { throw RunDocument.damaged("its agent is incomplete") }
    self.name = name
    self.command = command
    self.isLearner = isLearner
    self.sight = sight
    self.files = files.compactMapValues(\.textValue)
  }

  /// Folder of the copies of its files, relative to the experiment's folder of results.
  package var folder: String { ExternalAlgorithm.folder(of: files) }

  /// The folder of files with these digests.
  static func folder(of digests: [String: String]) -> String {
    let text = JSONValue.object(digests.mapValues { .text($0) }).canonical
    return "agents/" + SHA256Digest.hex(of: text).prefix(16)
  }

  /// The parameters of a run that are the agent's own, with their values as defaults.
  ///
  /// - Parameter others: parameters of the model and of every run.
  package func parameters(in run: RunSpecification, besides others: [Parameter]) -> [Parameter] {
    let keys = Set(others.map(\.key))
    return run.parameters.sorted { $0.key < $1.key }
      .filter { !keys.contains($0.key) }
      .map { AgentDefinition.parameter($0.key, default: $0.value) }
  }
}

/// How long an external agent may take, for the runs of a plan.
public struct AgentPatience: Sendable, Equatable {
  /// Seconds that its start, and any other answer, may take.
  public var startup: Double
  public var silence: Double

  public static let standard = AgentPatience(startup: 120, silence: 60)

  public init(startup: Double, silence: Double) {
    self.startup = startup
    self.silence = silence
  }

  var json: JSONValue {
    .object(["startupSeconds": .number(startup), "silenceSeconds": .number(silence)])
  }

  init?(json: JSONValue?) {
    guard let startup = json?["startupSeconds"]?.numberValue,
      let silence = json?["silenceSeconds"]?.numberValue
    else { return nil }
    self.init(startup: startup, silence: silence)
  }
}

extension SourceLocation {
  fileprivate func refuseSpecial(_ path: String, value: String) throws {
    if !Files.exists(path) {
      throw error("no such file", value: value, advice: "Paths are relative to the experiment file")
    }
    do {
      try Files.refuseSpecialFile(path)
    } catch let problem as InputError {
      throw error(problem.problem, value: value, advice: problem.advice)
    }
  }
}
