internal import Algorithms
public import Plan
internal import Simulation
internal import Support
internal import Trace

/// Evaluates the trained policy of a published run on another trace or in another scenario of equal shape.
///
/// Writes `episodes.csv`, `timing.csv`, `run.json`, the model's further tables (and the logs when recording),
/// `provenance.json` and `manifest.json` into a new folder, all or nothing.
///
/// - Parameters:
///   - runFolder: the run's `result` folder, or the run's own folder; what is read is checked against its manifest.
///   - tracePath: FCD file or imported trace; it needs windows for evaluation only.
///   - settings: parameters to change, none of which may be the algorithm's.
///   - warn: Takes what the import of the trace warns of.
/// - Returns: what was evaluated, and the means of its measures.
/// - Throws: `InputError` with file, key and value for whatever does not go with the policy.
@discardableResult
public func evaluatePolicy(
  runFolder: String, tracePath: String, settings: [PointFilter], episodes: Int?, isRecording: Bool,
  output: String, models: [AnyModel] = Models.all, warn: @escaping (String) -> Void = { _ in }
) throws -> EvaluationSummary {
  let evaluation = try PolicyEvaluation(
    runFolder: runFolder, tracePath: tracePath, settings: settings, episodes: episodes,
    isRecording: isRecording, output: output, warn: warn)
  guard let model = Models.named(evaluation.modelName, among: models) else {
    throw RunDocument.damaged("it names no model of this program")
  }
  return try evaluation.run(model.offered)
}

/// What an evaluation apart from a run has measured.
public struct EvaluationSummary: Sendable, Equatable {
  /// A measure's mean over the episodes that have a value of it.
  public struct Mean: Sendable, Equatable {
    public let name: String
    /// Unit, `share` for a part of the whole; empty for a plain number.
    public let unit: String
    /// NaN where no episode has a value.
    public let value: Double
  }

  /// Identity of the run whose policy it is.
  public let run: String
  public let algorithm: String
  public let episodes: Int
  /// In the order of the columns of `episodes.csv`.
  public let means: [Mean]
}

/// An evaluation before the types of its model are known.
struct PolicyEvaluation {
  let policy: TrainedPolicy
  let tracePath: String
  let settings: [PointFilter]
  let episodes: Int?
  let isRecording: Bool
  let output: String
  let warn: (String) -> Void
  private let start = monotonicSeconds()
  private let startOfDay = Provenance.timeOfDay()
  private let processorStart = workSeconds()

  var modelName: String { policy.specification.model }

  init(
    runFolder: String, tracePath: String, settings: [PointFilter], episodes: Int?,
    isRecording: Bool, output: String, warn: @escaping (String) -> Void
  ) throws {
    self.warn = warn
    var output = output
    while output.count > 1, output.hasSuffix("/") { output.removeLast() }
    if Files.exists(output) {
      throw InputError("exists already", file: output, advice: "Choose a new folder")
    }
    policy = try TrainedPolicy(runFolder: runFolder)
    self.tracePath = tracePath
    self.settings = settings
    self.episodes = episodes
    self.isRecording = isRecording
    self.output = output
  }

  func run<Offered: OfferedModel>(_ offered: Offered) throws -> EvaluationSummary {
    let temporary = "\(output).partial"
    let algorithm = try offered.algorithm(
      of: policy.specification,
      at: AgentPlace(
        experimentFolder: policy.experimentFolder, attemptFolder: temporary, patience: .standard,
        shouldStop: { false }))
    try Files.remove(temporary)
    try Files.makeFolder(temporary)
    let summary: EvaluationSummary
    do {
      summary = try evaluate(Offered.Model.self, algorithm, in: temporary)
    } catch {
      try Files.remove(temporary)
      throw error
    }
    try Files.moveFolder(temporary, to: output)
    return summary
  }

  private func evaluate<Model: Environment>(
    _ model: Model.Type, _ algorithm: Algorithm<Model>, in temporary: String
  ) throws -> EvaluationSummary {
    let trained = try RunDocument(policy.specification, model: model, algorithm: algorithm)
    let changed = try parameters(of: trained, model, algorithm)
    let profiles = try policy.profiles(
      Model.profileNames(changed), areGiven: settings.contains { $0.key == "dnnTypes" })
    let source = try importedTrace(tracePath, experimentFolder: temporary)
    for warning in source.warnings { warn("\(tracePath): \(warning)") }
    let imported = Files.path(source.path, relativeTo: temporary)
    do {
      let trace = try TraceFile(path: imported)
      let specification = policy.specification.with(
        parameters: changed.stated(
          schema: Model.parameters + algorithm.parameters
            + RunParameters.schema(isLearner: algorithm.isLearner)),
        trace: source.digest, profiles: profiles.mapValues(\.digest),
        record: isRecording ? ["slots"] : [])
      let evaluated = try RunDocument(specification, model: model, algorithm: algorithm)
      let environment = try Model(
        parameters: changed,
        sources: ScenarioSources(
          trace: trace, profiles: profiles, seed: evaluated.seed, needsTraining: false))
      let agent = try algorithm.make(
        environment, changed,
        AgentContext(seed: evaluated.seed, episodes: evaluated.trainingEpisodes))
      defer { agent.close(isFinished: true) }
      return try evaluate(evaluated, trained, environment, agent, in: temporary)
    } catch var error as InputError where error.file == imported {
      // The imported copy is gone when the message is read.
      error.file = tracePath
      throw error
    }
  }

  /// The run's parameters with the settings in them.
  private func parameters<Model: Environment>(
    of trained: RunDocument, _ model: Model.Type, _ algorithm: Algorithm<Model>
  ) throws -> ParameterValues {
    let schema =
      Model.parameters + algorithm.parameters
      + RunParameters.schema(isLearner: algorithm.isLearner)
    let ofTraining = Set((algorithm.parameters + RunParameters.learners).map(\.key))
    var values = trained.parameters.values
    var given: Set<String> = []
    for setting in settings {
      guard let parameter = schema.first(where: { $0.key == setting.key }) else {
        let nearest = nearestName(to: setting.key, among: values.keys.sorted())
        throw InputError(
          "is not a parameter of the run", key: "--parameters", value: setting.key,
          advice: nearest.map { "Did you mean '\($0)'?" })
      }
      let value = setting.value(for: parameter)
      if ofTraining.contains(setting.key) { throw ofPolicy(setting.key, value, trained) }
      guard given.insert(setting.key).inserted else {
        throw InputError(
          "is given twice", key: "--parameters", value: setting.key, advice: "Give it once")
      }
      values[setting.key] = value
    }
    if let episodes { values["evaluationEpisodes"] = .integer(episodes) }
    let wanted = try ParameterValues(schema: schema, setting: values)
    var kept = wanted
    Model.keepObservation(of: trained.parameters, in: &kept)
    for key in given.sorted() where kept[key] != wanted[key] {
      throw ofPolicy(key, wanted[key], trained)
    }
    return kept
  }

  private func ofPolicy(
    _ key: String, _ value: ParameterValue, _ trained: RunDocument
  ) -> InputError {
    InputError(
      "belongs to the policy, which was trained with \(trained.parameters[key].text)",
      key: "--parameters", value: "\(key)=\(value.text)",
      advice: "Only the scenario may change: parameters of the model '\(modelName)', seed and "
        + "evaluationEpisodes; train a run of its own for another '\(key)'")
  }

  private func evaluate<Model: Environment, Learner: Agent<Model>>(
    _ document: RunDocument, _ trained: RunDocument, _ environment: Model, _ agent: Learner,
    in temporary: String
  ) throws -> EvaluationSummary {
    var session = RunSession(document: document, environment: environment, agent: agent)
    try policy.restore(&session.agent, trained: trained.parameters)
    session.trained = document.trainingEpisodes
    while let step = session.nextStep { try session.carryOut(step) }

    let identity = JSONValue.object([
      "format": .integer(1), "policy": policy.json, "run": document.specification.document,
    ])
    try session.writeEvaluation(
      of: policy, id: SHA256Digest.hex(of: identity.canonical), folder: temporary)
    let facts = Provenance.facts(
      start: startOfDay, seconds: monotonicSeconds() - start,
      cpuSeconds: workSeconds() - processorStart)
    try Files.write(
      Array(JSONValue.object(facts).readable.utf8), to: temporary + "/" + Provenance.fileName)
    try Files.remove(temporary + "/traces")
    try Publication.seal(temporary, as: identity)
    return EvaluationSummary(
      run: policy.run, algorithm: policy.specification.algorithm,
      episodes: document.evaluationEpisodes, means: try session.means())
  }
}

extension RunSession {
  /// The means of the measures over the episodes so far.
  func means() throws -> [EvaluationSummary.Mean] {
    let table = try CSVTable(
      text: String(decoding: record.episodes.bytes, as: UTF8.self), file: ResultTable.episodes)
    return try Model.Metrics.measures.map { measure in
      let values = try table.numbers(measure.name).filter { !$0.isNaN }
      return EvaluationSummary.Mean(
        name: measure.name, unit: measure.unit, value: Statistics.mean(values))
    }
  }

  /// Writes what an evaluation apart from its run has measured; who seals the folder flushes it.
  func writeEvaluation(of policy: TrainedPolicy, id: String, folder: String) throws {
    func write(_ bytes: [UInt8], _ name: String) throws {
      try Files.write(bytes, to: "\(folder)/\(name)")
    }
    for (file, rows) in tables where file != ResultTable.evaluations { try write(rows.bytes, file) }
    try write(record.timing.bytes, ResultTable.timing)
    let description = JSONValue.object([
      "id": .text(id), "policy": policy.json, "run": document.complete,
      "constants": environment.constants,
    ])
    try write(Array(description.readable.utf8), "run.json")
  }
}
