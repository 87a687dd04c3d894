internal import Simulation
public import Support
internal import Trace

/// A condition of the command line on the grid: `--only clients=3,5`.
public struct PointFilter: Sendable, Equatable {
  public let key: String
  public let values: [ParameterValue]

  /// Reads `key=value` or `key=value,value`; a value may be a list in brackets, as in `rsu=[94,881.3]`.
  ///
  /// - Parameter option: the command-line option that the text was given to, for errors.
  public init(_ text: String, option: String = "--only") throws {
    func failure(_ problem: String, _ advice: String) -> InputError {
      InputError(problem, key: option, value: text, advice: advice)
    }
    guard let sign = text.firstIndex(of: "="), sign > text.startIndex else {
      throw failure("must be key=value", "For example \(option) seed=3")
    }
    key = String(text[..<sign])
    do {
      values = try PointFilter.pieces(text[text.index(after: sign)...]).map { piece in
        guard piece.hasPrefix("["), piece.hasSuffix("]") else {
          return try ParameterValue(plain: piece)
        }
        return .list(
          try PointFilter.pieces(piece.dropFirst().dropLast()).map {
            try ParameterValue(plain: $0)
          })
      }
    } catch let error as InputError {
      throw failure(error.problem, error.advice ?? "")
    }
    if values.isEmpty { throw failure("has no value", "Write \(key)=VALUE") }
  }

  /// What was given as the value of a parameter: a list of one may stand without brackets.
  package func value(for parameter: Parameter) -> ParameterValue {
    let value = values.count == 1 ? values[0] : .list(values)
    let isSingle = parameter.kind.accept(value) == nil
    return isSingle && parameter.kind.accept(.list([value])) != nil ? .list([value]) : value
  }

  /// The parts between commas that stand outside brackets, without white space around them.
  private static func pieces(_ text: Substring) -> [String] {
    var pieces = [""]
    var depth = 0
    for character in text {
      if character == "[" { depth += 1 }
      if character == "]" { depth -= 1 }
      if character == ",", depth == 0 {
        pieces.append("")
      } else if !(character == " " && pieces[pieces.count - 1].isEmpty) {
        pieces[pieces.count - 1].append(character)
      }
    }
    return pieces.map { String($0.reversed().drop { $0 == " " }.reversed()) }.filter { !$0.isEmpty }
  }
}

extension Plan {
  /// Plans an experiment: imports its traces and copies its DNN tables into the folder of results, so that
  /// workers anywhere need nothing but that folder.
  ///
  /// - Parameters:
  ///   - results: folder of all experiments' results.
  ///   - filters: conditions that all points must meet.
  ///   - record: what to record besides what the file says.
  public init(
    _ experiment: Experiment, results: String, only filters: [PointFilter] = [],
    record: [String] = []
  ) throws {
    let model = experiment.model
    let folder = results + "/" + experiment.name
    let points = try Plan.select(experiment, filters)
    let record = Experiment.recordWords.filter(Set(experiment.record + record).contains)
    var inputs = try PlanInputs(experiment: experiment, folder: folder)
    var runs: [PlannedRun] = []
    var indices: [String: Int] = [:]
    var planned: [PlanPoint] = []
    var mistakes = InputErrors()
    for point in points {
      func given(_ key: String) -> Setting? {
        point[key] ?? experiment.parameters.first { $0.key == key }
      }
      guard let algorithm = given("algorithm").flatMap({ model.algorithm($0.value.text) }) else {
        throw experiment.location.error("names no algorithm for some points")
      }
      guard
        let values = try mistakes.collect({
          try Plan.parameters(of: algorithm, model, given: given, otherwise: experiment.location)
        })
      else { continue }
      let trace = try inputs.trace(given("trace")?.value.text)
      let profiles = try inputs.profiles(model.profileNames(values)) { name in
        model.schema(of: algorithm).lazy.compactMap { given($0.key) }
          .first { $0.value.names(name) }
      }
      let specification = RunSpecification(
        model: model.name, modelVersion: model.version, algorithm: algorithm.name,
        algorithmVersion: algorithm.version,
        parameters: values.stated(schema: model.schema(of: algorithm)), trace: trace.digest,
        profiles: profiles.mapValues(\.digest), record: record,
        agent: try algorithm.agent.map { ExternalAlgorithm($0, files: try inputs.files(of: $0)) })
      let index: Int
      if let known = indices[specification.id] {
        index = known
      } else {
        index = runs.count
        indices[specification.id] = index
        runs.append(
          PlannedRun(
            specification: specification, label: Plan.label(point, algorithm, model),
            tracePath: trace.path, profilePaths: profiles.mapValues(\.path),
            checkpointEvery: experiment.checkpointEvery,
            patience: algorithm.agent.map {
              AgentPatience(startup: $0.startup, silence: $0.silence)
            }))
      }
      planned.append(
        PlanPoint(
          values: Dictionary(uniqueKeysWithValues: point.settings.map { ($0.key, $0.value) }),
          run: index))
    }
    try mistakes.throwIfAny()
    self.init(
      experiment: experiment.name, profile: experiment.profile, dimensions: experiment.dimensions,
      runs: runs, points: planned, record: record, limits: experiment.limits)
    warnings = inputs.warnings
  }

  private static func select(
    _ experiment: Experiment, _ filters: [PointFilter]
  ) throws -> [GridPoint] {
    var points = experiment.points
    for filter in filters {
      func value(_ point: GridPoint) -> ParameterValue? {
        experiment.model.value(of: filter.key, at: point, parameters: experiment.parameters)
      }
      if !experiment.dimensions.contains(filter.key) {
        let nearest = nearestName(to: filter.key, among: experiment.dimensions)
        throw InputError(
          "is not varied by \(experiment.file)", key: "--only", value: filter.key,
          advice: nearest.map { "Did you mean '\($0)'?" }
            ?? "It varies \(experiment.dimensions.joined(separator: ", "))")
      }
      for wanted in filter.values
      where !experiment.points.contains(where: { value($0)?.isSame(as: wanted) ?? false }) {
        var known: [String] = []
        for text in experiment.points.lazy.compactMap({ value($0)?.text })
        where !known.contains(text) {
          known.append(text)
        }
        throw InputError(
          "is not a value of \(filter.key) in \(experiment.file)", key: "--only",
          value: wanted.text, advice: "It takes \(known.joined(separator: ", "))")
      }
      points = points.filter { point in
        value(point).map { found in filter.values.contains { $0.isSame(as: found) } } ?? false
      }
    }
    if points.isEmpty {
      throw InputError("leaves no point of \(experiment.file)", key: "--only")
    }
    return points
  }

  /// The value of every parameter of a run; what was given elsewhere keeps its place for errors.
  private static func parameters(
    of algorithm: AlgorithmDescription, _ model: AnyModel, given: (String) -> Setting?,
    otherwise location: SourceLocation
  ) throws -> ParameterValues {
    let schema = model.schema(of: algorithm)
    var values: [String: ParameterValue] = [:]
    for parameter in schema {
      guard let setting = given(parameter.key) else { continue }
      do {
        values[parameter.key] = try parameter.checked(setting.value)
      } catch let error as InputError {
        throw setting.location.locating(error)
      }
    }
    var result = try ParameterValues(schema: schema, setting: values)
    do {
      try algorithm.settle(&result, Set(values.keys))
    } catch let error as InputError {
      throw (error.key.flatMap(given)?.location ?? location).locating(error)
    }
    try checkReplay(result, given)
    return result
  }

  /// A learner that draws its batches from a replay buffer needs one that holds a batch and the warm-up.
  private static func checkReplay(
    _ values: ParameterValues, _ given: (String) -> Setting?
  ) throws {
    let known = values.json.objectValue ?? [:]
    guard let capacity = known["replayCapacity"]?.integerValue else { return }
    for key in ["batchSize", "warmupTasks"] {
      guard let needed = known[key]?.integerValue, needed > capacity else { continue }
      let setting = given("replayCapacity") ?? given(key)
      let error = InputError(
        "would never train: the replay buffer holds \(capacity) entries, and \(key) is \(needed)",
        key: "replayCapacity", value: String(capacity),
        advice: "Set replayCapacity to at least \(needed), or lower \(key)")
      throw setting?.location.locating(error) ?? error
    }
  }

  private static func label(
    _ point: GridPoint, _ algorithm: AlgorithmDescription, _ model: AnyModel
  ) -> String {
    let schema = model.schema(of: algorithm)
    let parts = point.settings.filter { setting in
      AnyModel.selectors.contains(setting.key) || schema.contains { $0.key == setting.key }
    }
    .map { "\($0.key)=\($0.value.text)" }
    return parts.isEmpty ? "algorithm=\(algorithm.name)" : parts.joined(separator: " ")
  }
}

/// Traces and DNN tables of an experiment, each brought into its folder of results once.
struct PlanInputs {
  let experiment: Experiment
  let folder: String
  private var traces: [String: ImportedTrace] = [:]
  private(set) var warnings: [String] = []
  var tables: [String: (path: String, digest: String)] = [:]
  var agents: [String: [String: String]] = [:]

  /// Reads every table of the file's `dnn` map, those that no run uses too.
  init(experiment: Experiment, folder: String) throws {
    self.experiment = experiment
    self.folder = folder
    for (name, source) in experiment.dnnFiles.sorted(by: { $0.key < $1.key }) {
      try experiment.checkExists(source)
      do {
        _ = try loadProfile(name: name, path: source.path)
      } catch let error as InputError {
        throw source.location.wrapping(error, "is no table of a DNN", value: source.path)
      }
    }
  }

  mutating func trace(_ name: String?) throws -> ImportedTrace {
    // Without a dimension `trace` there is exactly one.
    let source = experiment.traces.first { $0.name == name } ?? experiment.traces[0]
    if let known = traces[source.path] { return known }
    try experiment.checkExists(source)
    do {
      let found = try importedTrace(
        source.path, experimentFolder: folder, reading: source.reading)
      traces[source.path] = found
      warnings += found.warnings.map { "\(source.path): \($0)" }
      return found
    } catch let error as InputError {
      throw source.location.wrapping(error, "cannot be imported", value: source.path)
    }
  }

  /// Copies the files of an external agent into a folder of their content, where its command runs.
  ///
  /// - Returns: SHA-256 of each.
  mutating func files(of agent: AgentDefinition) throws -> [String: String] {
    if let known = agents[agent.name] { return known }
    var contents: [(path: String, bytes: [UInt8], isExecutable: Bool)] = []
    var digests: [String: String] = [:]
    for file in agent.files {
      let source = Files.path(file.path, relativeTo: Files.folder(of: experiment.file))
      do {
        let bytes = try Files.read(source, limit: PlanInputs.largestAgentFile)
        contents.append((file.path, bytes, Files.isExecutable(source)))
        digests[file.path] = SHA256Digest.hex(of: bytes)
      } catch let error as InputError {
        throw file.location.wrapping(error, "cannot be read", value: file.path)
      }
    }
    let target = "\(folder)/\(ExternalAlgorithm.folder(of: digests))"
    try Files.makeFolder(target)
    for (path, bytes, isExecutable) in contents {
      let copy = "\(target)/\(path)"
      if Files.exists(copy), try SHA256Digest.hex(of: Files.read(copy)) == digests[path] {
        continue
      }
      try Files.makeFolder(Files.folder(of: copy))
      try Files.writeAtomically(bytes, to: copy)
      if isExecutable { try Files.makeExecutable(copy) }
    }
    agents[agent.name] = digests
    return digests
  }

  private static let largestAgentFile = 1 << 30

  /// - Parameter setting: what gave the name of a table; nil for a default.
  mutating func profiles(
    _ names: [String], setting: (String) -> Setting?
  ) throws -> [String: (path: String, digest: String)] {
    var result: [String: (path: String, digest: String)] = [:]
    for name in names { result[name] = try table(name, setting: setting) }
    return result
  }

  private mutating func table(
    _ name: String, setting: (String) -> Setting?
  ) throws -> (path: String, digest: String) {
    if let known = tables[name] { return known }
    let source: String
    let digest: String
    do {
      source = try locate(name)
      digest = try loadProfile(name: name, path: source).digest
    } catch let error as InputError {
      guard let location = setting(name)?.location else { throw error.inFile(experiment.file) }
      throw error.file == nil
        ? location.locating(error)
        : location.wrapping(error, "is no table of a DNN", value: name)
    }
    let bytes = try Files.read(source, limit: 1 << 20)
    let path = "dnn/\(SHA256Digest.hex(of: bytes).prefix(16)).csv"
    if !Files.exists("\(folder)/\(path)") {
      try Files.makeFolder(folder + "/dnn")
      try Files.writeAtomically(bytes, to: "\(folder)/\(path)")
    }
    tables[name] = (path, digest)
    return (path, digest)
  }

  /// A table by the file's `dnn` map, else as `DNNProfile.locate` finds it.
  private func locate(_ name: String) throws -> String {
    try experiment.dnnFiles[name]?.path
      ?? DNNProfile.locate(name, relativeTo: Files.folder(of: experiment.file))
  }
}

extension ParameterValue {
  /// Whether it is a word or a list with that word.
  fileprivate func names(_ word: String) -> Bool {
    if case .list(let elements) = self { return elements.contains { $0.names(word) } }
    return text == word
  }
}

extension SourceLocation {
  /// The error of another file that this place names, put in this place.
  func wrapping(_ error: InputError, _ problem: String, value: String) -> InputError {
    var inner = error
    inner.advice = nil
    var result = self.error(
      "\(problem): \(inner.description.dropLast())", value: value, advice: error.advice)
    result.systemCode = error.systemCode
    result.isFailureToWrite = error.isFailureToWrite
    return result
  }
}
