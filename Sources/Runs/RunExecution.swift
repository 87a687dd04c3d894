internal import Algorithms
internal import ExternalAgents
internal import Neural
public import Plan
internal import Simulation
internal import Support
internal import Trace

/// Carries out one run of a plan: trains and evaluates its algorithm, and writes the result files.
///
/// Files: `run.json`, `episodes.csv`, `timing.csv`; `evaluations.csv` with `evaluationEvery`; the model's
/// further tables (`backlogs.csv`); its logs with `record: slots`, for the final evaluation; `policy.bin` of
/// a learner. They are written when everything is done, so an interrupted run leaves none.
///
/// - Parameter instructionSet: the set that a new run trains with; nil for the user's choice. A run that goes on from a
///   checkpoint keeps the set that it was begun with.
/// - Throws: `InputError` for what another attempt would meet again (bad input, numbers that are not finite).
public func executeRun(
  _ run: PlannedRun, sources: RunSources, context: any RunContext,
  models: [AnyModel] = Models.all, instructionSet: String? = nil
) throws -> RunEnd {
  guard let model = Models.named(run.specification.model, among: models) else {
    throw InputError(
      "is not a model of this program", key: "model", value: run.specification.model,
      advice: "Plan the experiment with the program that runs it")
  }
  return try RunExecution(run: run, sources: sources, context: context).run(
    model.offered, instructionSet: instructionSet)
}

/// A run before the types of its model are known.
struct RunExecution {
  let run: PlannedRun
  let sources: RunSources
  let context: any RunContext

  func run<Offered: OfferedModel>(
    _ offered: Offered, instructionSet chosen: String? = nil
  ) throws -> RunEnd {
    typealias Model = Offered.Model
    let context = context
    let algorithm = try offered.algorithm(
      of: run.specification,
      at: AgentPlace(
        experimentFolder: sources.experimentFolder, attemptFolder: Files.folder(of: context.folder),
        patience: run.patience ?? .standard, shouldStop: { context.shouldStop }))
    let document = try RunDocument(
      run.specification, model: Model.self, algorithm: algorithm)
    let environment = try run.environment(Model.self, document, sources)
    var checkpoint = try context.latestCheckpoint { bytes in
      let head = try CheckpointHead(bytes, id: run.specification.id)
      if let name = head.instructionSet { _ = try Kernels.named(ofCheckpoint: name) }
    }
    // A run keeps the set that it was begun with: results are equal bit by bit only within one.
    var kernels = try chosen.map { try Kernels.named($0) }
    if document.usesKernels, let bytes = checkpoint,
      let name = try CheckpointHead(bytes, id: run.specification.id).instructionSet
    {
      kernels = try Kernels.named(ofCheckpoint: name)
    }
    let making = try AgentContext(
      seed: document.seed, episodes: document.trainingEpisodes, kernels: kernels)
    let agent = try algorithm.make(environment, document.parameters, making)
    let instructionSet = document.usesKernels ? making.kernels.name : nil
    if let instructionSet { context.note(instructionSet: instructionSet) }
    var end: RunEnd?
    defer { agent.close(isFinished: end == .finished) }
    do {
      end = try carryOut(
        document, environment, agent, from: &checkpoint, instructionSet: instructionSet)
    } catch is AgentInterrupted {
      // The run goes on from the checkpoint before, if there is one.
      end = .stopped
    }
    return end ?? .stopped
  }

  /// - Parameter checkpoint: nil afterwards: it may be large, and is not needed once it has been read.
  private func carryOut<Model: Environment, Learner: Agent<Model>>(
    _ document: RunDocument, _ environment: Model, _ agent: Learner,
    from checkpoint: inout [UInt8]?, instructionSet: String?
  ) throws -> RunEnd {
    var session = RunSession(document: document, environment: environment, agent: agent)
    let head = CheckpointHead(id: run.specification.id, instructionSet: instructionSet)
    if let bytes = checkpoint.take() { try session.restore(bytes, id: head.id) }
    var sinceCheckpoint = 0
    // Episodes of a large scenario take seconds each: a minute is what a kill may cost at most.
    var lastCheckpoint = ContinuousClock.now
    var curve = LearningCurve(
      of: Model.Metrics.self, episodes: RunRecord(of: Model.self).episodes)
    while let step = session.nextStep {
      try session.carryOut(step)
      if document.isLearner, let lines = curve.lines(from: session.record.episodes) {
        context.show(curve: lines)
      }
      sinceCheckpoint += 1
      try context.report(session.progress)
      if session.nextStep == nil { break }
      let stops = context.shouldStop
      let isDue =
        sinceCheckpoint >= run.checkpointEvery || lastCheckpoint.duration(to: .now) > .seconds(60)
      if (stops || isDue) && session.agent.savesState {
        try context.saveCheckpoint(try session.checkpoint(head))
        sinceCheckpoint = 0
        lastCheckpoint = .now
      }
      if stops { return .stopped }
    }
    try session.writeResult(id: run.specification.id, folder: context.folder)
    return .finished
  }
}

extension PlannedRun {
  /// The environment of the run, from its trace and DNN tables.
  ///
  /// - Throws: `InputError` when a file is missing, or the trace is another one than the run was planned with.
  func environment<Model: Environment>(
    _ model: Model.Type, _ document: RunDocument, _ sources: RunSources
  ) throws -> Model {
    let trace = try sources.trace(tracePath)
    if trace.digest != document.specification.trace {
      throw InputError(
        "is not the trace that the run was planned with", file: trace.path,
        advice: "Plan the experiment anew: its runs get other identities")
    }
    var profiles: [String: DNNProfile] = [:]
    for name in Model.profileNames(document.parameters) {
      guard let path = profilePaths[name] else {
        throw RunDocument.damaged("it has no DNN table '\(name)'")
      }
      profiles[name] = try sources.profile(name, path)
    }
    return try Model(
      parameters: document.parameters,
      sources: ScenarioSources(trace: trace, profiles: profiles, seed: document.seed))
  }
}

/// A run in progress: environment, agent, measurements and the place in the run's schedule.
///
/// The schedule is a fixed sequence of episodes, numbered from 1: training episodes, after every
/// `evaluationEvery` of them an evaluation, and the final evaluation. All evaluations of all algorithms use the
/// same episodes, so they are paired.
struct RunSession<Model: Environment, Learner: Agent<Model>> {
  enum Step: Equatable {
    case train(Int)
    /// An evaluation episode in the midst of training.
    case check(Int)
    case evaluate(Int)
  }

  let document: RunDocument
  var environment: Model
  var agent: Learner
  var record: RunRecord
  /// Training episodes done.
  var trained = 0
  /// Episodes done of the evaluation that follows the training done so far.
  var evaluated = 0
  /// Gradient steps taken so far.
  var gradientSteps = 0
  private var lastEpisode: RunProgress.EpisodeKind?

  init(document: RunDocument, environment: Model, agent: Learner) {
    self.document = document
    self.environment = environment
    self.agent = agent
    record = RunRecord(of: Model.self)
  }

  /// What comes next; nil when everything is done.
  var nextStep: Step? {
    let isAllTrained = trained == document.trainingEpisodes
    if isAllTrained {
      return evaluated < document.evaluationEpisodes ? .evaluate(evaluated + 1) : nil
    }
    let isCheckDue =
      document.evaluationEvery > 0 && trained > 0 && trained % document.evaluationEvery == 0
    if isCheckDue && evaluated < document.evaluationEpisodes { return .check(evaluated + 1) }
    return .train(trained + 1)
  }

  var progress: RunProgress {
    let schedule = RunSchedule(
      training: document.trainingEpisodes, evaluation: document.evaluationEpisodes,
      every: document.evaluationEvery)
    let checksDone =
      document.evaluationEvery > 0 && trained > 0
      ? (trained - 1) / document.evaluationEvery : 0
    return RunProgress(
      episode: trained + checksDone * document.evaluationEpisodes + evaluated,
      episodes: schedule.episodes,
      stage: trained < document.trainingEpisodes ? "training" : "evaluation",
      lastEpisode: lastEpisode)
  }

  mutating func carryOut(_ step: Step) throws {
    let (episode, phase): (Int, Phase) =
      switch step {
      case .train(let episode): (episode, .train)
      case .check(let episode), .evaluate(let episode): (episode, .eval)
      }
    let result: EpisodeResult<Model.Metrics>
    if case .evaluate = step, document.isRecording {
      var logs = record.logs
      record.logs = []
      result = try environment.runEpisode(episode, phase: phase, agent: &agent, learns: false) {
        for (i, log) in Model.logs.enumerated() { log.append($0, episode, &logs[i]) }
      }
      record.logs = logs
    } else {
      result = try environment.runEpisode(
        episode, phase: phase, agent: &agent, learns: phase == .train)
    }
    try note(result, step, episode, phase)
    switch step {
    case .train:
      trained += 1
      evaluated = 0
      lastEpisode = agent.statistics.steps == 0 ? .warmUp : .training
    case .check, .evaluate:
      evaluated += 1
      lastEpisode = .evaluation
    }
  }

  private mutating func note(
    _ result: EpisodeResult<Model.Metrics>, _ step: Step, _ episode: Int, _ phase: Phase
  ) throws {
    let statistics = phase == .train ? agent.statistics : AgentStatistics()
    gradientSteps += statistics.steps
    if step == .train(document.trainingEpisodes), gradientSteps == 0 {
      throw InputError(
        "training ended before a gradient step was due: the policy has learnt nothing",
        advice: "Train for more episodes, or shorten the warm-up")
    }
    let measures = result.metrics.fields
    func number(_ value: Double?) -> CSVField { value.map { .number($0) } ?? .missing }
    let figures = measures + [number(statistics.epsilon), number(statistics.loss)]
    for (name, field) in zip(Model.Metrics.columns + ["epsilon", "loss"], figures) {
      if case .number(let value) = field, !value.isFinite {
        throw InputError(
          "is \(value) in \(phase == .train ? "training" : "evaluation") episode \(episode)",
          key: name,
          advice: document.isLearner
            ? "The training diverged: lower the learning rate or clip the gradients"
            : "Check the parameters for extreme values")
      }
    }
    let head: [CSVField] = [
      .integer(episode), .text(phase.rawValue), .number(environment.windowStart),
    ]
    if step != .check(episode) {
      record.episodes.append(head + figures)
      for (i, table) in Model.Metrics.tables.enumerated() {
        for row in table.rows(result.metrics) { record.tables[i].append(head.prefix(2) + row) }
      }
    }
    if phase == .eval && document.evaluationEvery > 0 {
      record.evaluations.append([.integer(trained)] + head + figures)
    }
    let timing = result.timing
    let decisions = Double(max(timing.decisions, 1))
    record.timing.append([
      .integer(episode), .text(phase.rawValue), .integer(timing.decisions),
      .number(timing.decisionSeconds / decisions),
      statistics.steps > 0
        ? .number(timing.learningSeconds / Double(statistics.steps)) : .missing,
      .number(timing.seconds),
    ])
  }

  // MARK: Checkpoints

  func checkpoint(_ head: CheckpointHead) throws -> [UInt8] {
    var writer = StateWriter()
    head.write(to: &writer)
    writer.write(trained)
    writer.write(evaluated)
    writer.write(gradientSteps)
    record.save(to: &writer)
    writer.section("agent")
    try agent.saveState(to: &writer)
    writer.section("end")
    return writer.bytes
  }

  mutating func restore(_ bytes: [UInt8], id: String) throws {
    var reader = StateReader(bytes)
    _ = try CheckpointHead(from: &reader, id: id)
    trained = try reader.readInteger()
    evaluated = try reader.readInteger()
    gradientSteps = try reader.readInteger()
    try record.restore(from: &reader)
    try reader.section("agent")
    try agent.restoreState(from: &reader)
    try reader.section("end")
  }

  // MARK: Result

  /// The tables that the run has to write, wall-clock figures aside.
  var tables: [(file: String, rows: CSVWriter)] {
    var tables = [(ResultTable.episodes, record.episodes)]
    if document.evaluationEvery > 0 {
      tables.append((ResultTable.evaluations, record.evaluations))
    }
    tables += zip(Model.Metrics.tables, record.tables).map { ($0.file, $1) }
    if document.isRecording { tables += zip(Model.logs, record.logs).map { ($0.file, $1) } }
    return tables
  }

  /// Writes the result files; who publishes the folder flushes them.
  func writeResult(id: String, folder: String) throws {
    func write(_ bytes: [UInt8], _ name: String) throws {
      try Files.write(bytes, to: "\(folder)/\(name)")
    }
    for (file, rows) in tables { try write(rows.bytes, file) }
    try write(record.timing.bytes, ResultTable.timing)
    if document.isLearner { try write(policy(), "policy.bin") }
    var description: [String: JSONValue] = [
      "id": .text(id), "run": document.complete, "constants": environment.constants,
    ]
    if !agent.constants.isEmpty { description["learner"] = .object(agent.constants) }
    try write(Array(JSONValue.object(description).readable.utf8), "run.json")
  }

  /// The trained policy with the algorithm that can use it.
  func policy() throws -> [UInt8] {
    var writer = StateWriter()
    writer.section("veclab-policy")
    writer.write(document.specification.algorithm)
    writer.write(document.specification.algorithmVersion)
    try agent.savePolicy(to: &writer)
    writer.section("end")
    return writer.bytes
  }
}
