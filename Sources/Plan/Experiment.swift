internal import Support
internal import TraceImport

/// An experiment file, decoded strictly: every key is known, every value of its type and in its range.
///
/// Keys of the file (`Experiments/README.md` explains them with examples):
/// - `experiment`: name, also of the folder under Results. `title`: free text.
/// - `model`: name of the model. `trace`: FCD file or imported trace, or a list of such; one may be a mapping with
///   `file`, `coordinates`, `net`.
/// - `coordinates`: `auto`, `metres` or `geo`. `net`: SUMO network of the traces; both for all traces that do not
///   say otherwise.
/// - `agents`: own algorithms in other languages, see `AgentDefinition`.
/// - `dnn`: own DNN tables, name to path. Paths are relative to the experiment file.
/// - `parameters`: values of the model, the algorithms and the run that do not vary.
/// - `grid`: `product`, `seeds`, `zip`, `variants`, `when`, `exclude`.
/// - `profiles`: name to overrides of `trace`, `parameters`, `grid`, `record`, `limits`; the first one is the
///   default.
/// - `record`: `slots` writes the tables that log every outcome of the final evaluation.
/// - `limits`: `time` and `memory` of one run.
/// - `figures`: see `FigureSpecification`.
public struct Experiment: Sendable {
  /// A trace with the name that figures call it by.
  struct TraceSource: Sendable {
    let name: String
    let path: String
    let location: SourceLocation
    var reading = TraceReading()
  }

  /// Path of the file as given.
  public let file: String
  public let name: String
  public let title: String
  /// Profile in use; nil in a file without profiles.
  public let profile: String?
  public let profiles: [String]
  public let model: AnyModel
  public let record: [String]
  public let limits: RunLimits
  public let checkpointEvery: Int
  public let figures: [FigureSpecification]
  let traces: [TraceSource]
  let dnnFiles: [String: TraceSource]
  let parameters: [Setting]
  /// The points of the grid, in order.
  let points: [GridPoint]
  /// Conditions of `when` and `exclude` that hold nowhere.
  let idleConditions: [GridCondition]
  /// Keys that the grid varies, in order.
  public let dimensions: [String]
  let location: SourceLocation

  /// Words of `record`.
  public static let recordWords = ["slots"]

  /// Reads a file.
  ///
  /// - Parameters:
  ///   - profile: nil takes the first profile of the file, if it has any.
  ///   - settings: parameters of the command line, in place of what file and profile say.
  /// - Throws: `InputError` with file, line, column, key, value and advice.
  public init(
    path: String, profile: String? = nil, settings: [PointFilter] = [],
    models: [AnyModel] = Models.all
  ) throws {
    try self.init(
      root: YAMLNode(path: path).mapping(), profile: profile, settings: settings, models: models)
  }

  /// Reads a text as if it stood in a file.
  public init(
    text: String, file: String, profile: String? = nil, models: [AnyModel] = Models.all
  ) throws {
    try self.init(
      root: YAMLNode(text: text, file: file).mapping(), profile: profile, models: models)
  }

  /// - Parameter isStrict: whether figures may only speak of what the grid has.
  init(
    root: YAMLMapping, profile: String?, settings: [PointFilter] = [], models: [AnyModel],
    isStrict: Bool = true
  ) throws {
    let profileNodes = try root["profiles"]?.mapping().entries ?? []
    let names = profileNodes.map(\.key)
    if let profile, !names.contains(profile) {
      throw InputError(
        "is not a profile of \(root.location.file)", key: "--profile", value: profile,
        advice: names.isEmpty ? "It has none" : "Its profiles are \(names.joined(separator: ", "))")
    }
    let chosen = profile ?? names.first
    // The others are decoded too: a mistake in them must not wait for the day they are used.
    for entry in profileNodes where entry.key != chosen {
      _ = try Experiment(
        root: root, overrides: entry, profiles: names, settings: [], models: models,
        isStrict: isStrict)
    }
    do {
      self = try Experiment(
        root: root, overrides: profileNodes.first { $0.key == chosen }, profiles: names,
        settings: settings, models: models, isStrict: isStrict && settings.isEmpty)
    } catch var error as InputError {
      // A value without a place in the file is one of the command line.
      if error.line == nil, error.file == root.location.file,
        let setting = settings.first(where: {
          error.key?.prefix { $0 != "[" }.hasSuffix(".\($0.key)") ?? false
        })
      {
        error.file = nil
        error.key = "--set \(setting.key)"
      }
      throw error
    }
  }

  private init(
    root: YAMLMapping, overrides: YAMLMapping.Entry?, profiles: [String], settings: [PointFilter],
    models: [AnyModel], isStrict: Bool
  ) throws {
    try root.allow(Experiment.keys)
    let mapping = try root.overridden(by: overrides).setting(settings)
    file = root.location.file
    location = SourceLocation(file: file, line: 1, column: 1, key: "grid")
    self.profiles = profiles
    profile = overrides?.key
    name = try mapping.required("experiment", "Name it; results go to the folder of that name")
      .identifier()
    title = try mapping["title"]?.text() ?? name
    let folder = Files.folder(of: file)
    let offered = try Experiment.model(mapping, among: models)
    let model = try offered.adding(
      mapping["agents"]?.mapping().entries.map {
        try AgentDefinition($0, folder: folder, model: offered)
      } ?? [])
    self.model = model
    traces = try Experiment.traces(mapping, folder: folder)
    dnnFiles = try Experiment.dnnFiles(mapping["dnn"], folder: folder)
    let record = try mapping["record"].map { try Experiment.record($0) } ?? []
    self.record = record
    limits = try Experiment.limits(mapping["limits"])

    let (parameters, checkpointEvery) = try Experiment.parameters(
      mapping["parameters"], model: model)
    self.parameters = parameters
    self.checkpointEvery = checkpointEvery

    let grid = try GridDecoder(model: model, parameters: parameters, traces: traces)
      .grid(mapping["grid"])
    let gridLocation = mapping["grid"]?.location ?? location
    (points, idleConditions) = try grid.points(location: gridLocation) { key, point in
      model.value(of: key, at: point, parameters: parameters)
    }
    if points.isEmpty {
      throw gridLocation.error(
        "has no point left", advice: "Every point is excluded: check 'exclude'")
    }
    dimensions = Experiment.dimensions(of: points)
    if points.contains(where: { $0["algorithm"] == nil })
      && !parameters.contains(where: { $0.key == "algorithm" })
    {
      throw gridLocation.error(
        "names no algorithm",
        advice: "Add 'algorithm: [\(model.algorithms.first?.name ?? "greedy")]' to grid.product")
    }

    let labels = Labels(points: points, parameters: parameters, model: model)
    figures =
      try mapping["figures"].map {
        try FigureSpecification.list(
          $0, model: model, labels: labels, isRecording: !record.isEmpty,
          isStrict: isStrict && overrides?.key == profiles.first)
      } ?? []
  }

  private static let keys = [
    "experiment", "title", "model", "trace", "coordinates", "net", "dnn", "agents", "parameters",
    "grid", "profiles", "record", "limits", "figures",
  ]

  private static func dnnFiles(_ node: YAMLNode?, folder: String) throws -> [String: TraceSource] {
    var files: [String: TraceSource] = [:]
    for entry in try node?.mapping().entries ?? [] {
      files[entry.key] = TraceSource(
        name: entry.key, path: Files.path(try entry.value.text(), relativeTo: folder),
        location: entry.value.location)
    }
    return files
  }

  /// Keys that any of the points sets, in the order of the first that does.
  private static func dimensions(of points: [GridPoint]) -> [String] {
    var keys: [String] = []
    for setting in points.lazy.flatMap(\.settings) where !keys.contains(setting.key) {
      keys.append(setting.key)
    }
    return keys
  }

  /// What all points have in common.
  private static func parameters(
    _ node: YAMLNode?, model: AnyModel
  ) throws -> (settings: [Setting], checkpointEvery: Int) {
    var checkpointEvery = 50
    var settings: [Setting] = []
    for entry in try node?.mapping().entries ?? [] {
      if entry.key == RunParameters.checkpointEvery.key {
        checkpointEvery = try entry.value.integer(1...1_000_000)
      } else {
        settings.append(try model.setting(entry.key, entry.value, at: entry.location))
      }
    }
    return (settings, checkpointEvery)
  }

  private static func model(_ mapping: YAMLMapping, among models: [AnyModel]) throws -> AnyModel {
    let names = models.map(\.name)
    let advice = "Models are \(names.joined(separator: ", "))"
    let node = try mapping.required("model", advice)
    let word = try node.text()
    guard let model = models.first(where: { $0.name == word }) else {
      throw node.error(
        "is not a model", value: word,
        advice: nearestName(to: word, among: names).map { "Did you mean '\($0)'?" } ?? advice)
    }
    return model
  }

  private static func traces(_ mapping: YAMLMapping, folder: String) throws -> [TraceSource] {
    let node = try mapping.required("trace", "Name a SUMO FCD file or an imported trace")
    var traces: [TraceSource] = []
    let common = try reading(mapping, TraceReading(), folder: folder)
    for element in try node.oneOrMore() {
      var pathNode = element
      var reading = common
      if element.isMapping {
        let keys = try element.mapping()
        try keys.allow(["file", "coordinates", "net"])
        pathNode = try keys.required("file", "Name a SUMO FCD file or an imported trace")
        reading = try Experiment.reading(keys, common, folder: folder)
      }
      let path = try pathNode.text()
      var name = Files.name(of: path)
      for ending in [".gz", ".xml", ".fcd", ".trace"] where name.hasSuffix(ending) {
        name.removeLast(ending.count)
      }
      if traces.contains(where: { $0.name == name }) {
        throw pathNode.error(
          "has the same name as another trace", value: name,
          advice: "Figures could not tell them apart: rename one of the files")
      }
      traces.append(
        TraceSource(
          name: name, path: Files.path(path, relativeTo: folder), location: pathNode.location,
          reading: reading))
    }
    return traces
  }

  /// The keys `coordinates` and `net` of a mapping; what it does not have stays.
  private static func reading(
    _ mapping: YAMLMapping, _ otherwise: TraceReading, folder: String
  ) throws -> TraceReading {
    var reading = otherwise
    if let node = mapping["coordinates"] {
      let word = try node.text()
      guard let coordinates = ImportOptions.Coordinates(rawValue: word) else {
        throw node.error(
          "is not a kind of coordinates", value: word,
          advice: "Known are "
            + ImportOptions.Coordinates.allCases.map(\.rawValue).joined(separator: ", "))
      }
      reading.coordinates = coordinates
    }
    if let node = mapping["net"] {
      reading.network = Files.path(try node.text(), relativeTo: folder)
    }
    return reading
  }

  /// Words of `record`, in a fixed order.
  static func record(_ node: YAMLNode) throws -> [String] {
    for element in try node.oneOrMore() {
      let word = try element.text()
      if !recordWords.contains(word) {
        throw element.error(
          "is not something to record", value: word,
          advice: "Known are \(recordWords.joined(separator: ", "))")
      }
    }
    return recordWords
  }

  private static func limits(_ node: YAMLNode?) throws -> RunLimits {
    guard let mapping = try node?.mapping() else { return RunLimits() }
    try mapping.allow(["time", "memory"])
    return RunLimits(
      time: try mapping["time"]?.duration(), memory: try mapping["memory"]?.memorySize())
  }
}
