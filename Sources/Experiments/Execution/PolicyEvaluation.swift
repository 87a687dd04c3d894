internal import Algorithms
internal import Simulation
internal import Support
internal import Trace

/// Evaluates the trained policy of a published run on another trace or with other parameters of equal shape.
///
/// Writes `episodes.csv`, `timing.csv` and `run.json` (and the logs when recording) into a new folder.
///
/// - Parameters:
///   - runFolder: the run's `result` folder, or the run's own folder.
///   - tracePath: FCD file or imported trace.
///   - settings: parameters to change.
public func evaluatePolicy(
  runFolder: String, tracePath: String, settings: [PointFilter], episodes: Int?, isRecording: Bool,
  output: String, models: [AnyModel] = Models.all
) throws {
  let evaluation = try PolicyEvaluation(
    runFolder: runFolder, tracePath: tracePath, settings: settings, episodes: episodes,
    isRecording: isRecording, output: output)
  guard let model = Models.named(evaluation.modelName, among: models) else {
    throw RunDocument.damaged("it names no model of this program")
  }
  try model.evaluate(evaluation)
}

/// An evaluation on its way through the erased types of `AnyModel`.
struct PolicyEvaluation {
  let folder: String
  let tracePath: String
  let settings: [PointFilter]
  let episodes: Int?
  let isRecording: Bool
  let output: String
  let document: JSONValue
  let modelName: String
  let algorithmName: String

  init(
    runFolder: String, tracePath: String, settings: [PointFilter], episodes: Int?,
    isRecording: Bool, output: String
  ) throws {
    let result = runFolder + "/result"
    folder = Files.isFolder(result) ? result : runFolder
    let file = folder + "/run.json"
    guard Files.exists(file) else {
      throw InputError(
        "is not a run's folder: it has no run.json", file: runFolder,
        advice: "Give a folder Results/EXPERIMENT/runs/ID of a finished run")
    }
    guard let document = try JSONValue(path: file)["run"],
      let model = document["model"]?.textValue, let algorithm = document["algorithm"]?.textValue
    else { throw InputError("does not describe a run", file: file) }
    guard Files.exists(folder + "/policy.bin") else {
      throw InputError(
        "has no policy.bin: '\(algorithm)' does not learn", file: folder,
        advice: "Put the trace into an experiment file and run it")
    }
    if Files.exists(output) {
      throw InputError("exists already", file: output, advice: "Choose a new folder")
    }
    self.tracePath = tracePath
    self.settings = settings
    self.episodes = episodes
    self.isRecording = isRecording
    self.output = output
    self.document = document
    modelName = model
    algorithmName = algorithm
  }

  func run<Model: Environment>(_ model: Model.Type, _ algorithm: Algorithm<Model>) throws {
    let temporary = "\(output).partial"
    try Files.remove(temporary)
    try Files.makeFolder(temporary)
    do {
      try evaluate(model, algorithm, in: temporary)
      try Files.remove(temporary + "/traces")
    } catch {
      try Files.remove(temporary)
      throw error
    }
    try Files.moveFolder(temporary, to: output)
  }

  /// The experiment's folder: `Results/<experiment>` for `Results/<experiment>/runs/<id>/result`.
  private var experimentFolder: String { "\(folder)/../../.." }

  /// The table that the run was planned with, or one of the same name on this machine; never a different one.
  private func loadPlannedProfile(_ name: String) throws -> DNNProfile {
    let wanted = document["profiles"]?[name]?.textValue
    var paths: [String] = []
    let kept = experimentFolder + "/dnn"
    if Files.isFolder(kept) { paths += try Files.list(kept).map { "\(kept)/\($0)" } }
    for path in paths where path.hasSuffix(".csv") {
      let profile = try loadProfile(name: name, path: path)
      if wanted == nil || profile.digest == wanted { return profile }
    }
    let profile = try loadProfile(
      name: name, path: DNNProfile.locate(name, relativeTo: Files.workingFolder))
    if let wanted, profile.digest != wanted {
      throw InputError(
        "is not the table that the policy was trained with", key: "dnn", value: name,
        advice: "Evaluate the run inside its folder of results")
    }
    return profile
  }

  private func evaluate<Model: Environment>(
    _ model: Model.Type, _ algorithm: Algorithm<Model>, in temporary: String
  ) throws {
    let trained = try RunDocument(document, model: model, algorithm: algorithm)
    let (path, digest) = try importedTrace(tracePath, experimentFolder: temporary)
    let trace = try TraceFile(path: Files.path(path, relativeTo: temporary))
    var values = trained.parameters.values
    for setting in settings {
      let value = setting.values.count == 1 ? setting.values[0] : .list(setting.values)
      guard values[setting.key] != nil else {
        let nearest = nearestName(to: setting.key, among: values.keys.sorted())
        throw InputError(
          "is not a parameter of the run", key: "--parameters", value: setting.key,
          advice: nearest.map { "Did you mean '\($0)'?" })
      }
      values[setting.key] = value
    }
    if let episodes { values["evaluationEpisodes"] = .integer(episodes) }
    let changed = try ParameterValues(
      schema: Model.parameters + algorithm.parameters
        + RunParameters.schema(isLearner: algorithm.isLearner), setting: values)
    guard case .object(var members) = document else { throw RunDocument.damaged("no object") }
    members["parameters"] = changed.json
    members["trace"] = .text(digest)
    members["record"] = .list(isRecording ? [.text("slots")] : [])
    let evaluated = try RunDocument(.object(members), model: model, algorithm: algorithm)

    var profiles: [String: DNNProfile] = [:]
    for name in Model.profileNames(changed) {
      profiles[name] = try loadPlannedProfile(name)
    }
    let environment = try Model(
      parameters: changed,
      sources: ScenarioSources(trace: trace, profiles: profiles, seed: evaluated.seed))
    let agent = try algorithm.make(
      environment, changed, evaluated.seed, evaluated.trainingEpisodes)
    try evaluate(evaluated, environment, agent, in: temporary)
  }

  private func evaluate<Model: Environment, Learner: Agent<Model>>(
    _ document: RunDocument, _ environment: Model, _ agent: Learner, in temporary: String
  ) throws {
    var session = RunSession(document: document, environment: environment, agent: agent)
    let file = folder + "/policy.bin"
    var reader = StateReader(try Files.read(file))
    do {
      try reader.section("veclab-policy")
      guard try reader.readText() == algorithmName,
        try reader.readInteger() == document.json["algorithmVersion"]?.integerValue
      else { throw InputError("is of another algorithm or version", file: file) }
      try session.agent.restorePolicy(from: &reader)
      try reader.section("end")
    } catch let error as InputError {
      throw error.inFile(file)
    }
    session.trained = document.trainingEpisodes
    while let step = session.nextStep { try session.carryOut(step) }
    try session.writeEvaluation(of: self.document, folder: temporary)
  }
}

extension RunSession {
  /// Writes what an evaluation apart from its run has measured.
  func writeEvaluation(of trained: JSONValue, folder: String) throws {
    try Files.writeSynchronised(record.episodes.bytes, to: folder + "/episodes.csv")
    try Files.writeSynchronised(record.timing.bytes, to: folder + "/timing.csv")
    if document.isRecording {
      for (log, table) in zip(Model.logs, record.logs) {
        try Files.writeSynchronised(table.bytes, to: "\(folder)/\(log.file)")
      }
    }
    let description = JSONValue.object([
      "trained": .text(RunSpecification(document: trained).id), "run": document.json,
      "constants": environment.constants,
    ])
    try Files.writeSynchronised(Array(description.readable.utf8), to: folder + "/run.json")
  }
}
