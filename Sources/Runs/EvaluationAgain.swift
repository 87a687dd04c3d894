internal import Algorithms
internal import Neural
public import Plan
internal import Simulation
internal import Support

/// Columns of this program that a table of a published run lacks: the run is older than they are.
public struct LackingTable: Sendable, Equatable {
  public let file: String
  public let columns: [String]
}

extension RunLedger {
  /// What the tables of a published run lack, wall-clock figures aside; only their headers are looked at.
  ///
  /// - Parameter run: identity under which the run is published.
  /// - Throws: `InputError` when the result is not whole, or of a model that this program does not know.
  public func lackingTables(
    of run: String, models: [AnyModel] = Models.all
  ) throws -> [LackingTable] {
    let manifest = try verifiedManifest(run)
    let specification = try RunSpecification(document: manifest.specification)
    guard let model = Models.named(specification.model, among: models) else {
      throw RunDocument.damaged("it names no model of this program")
    }
    let isRecording = !specification.record.isEmpty
    let written = Set(manifest.files.map(\.name))
    return try model.tables.compactMap { table in
      if table.file == ResultTable.timing { return nil }
      if table.isRecorded && !isRecording { return nil }
      if table.file == ResultTable.evaluations && !written.contains(table.file) { return nil }
      var known: [String] = []
      if written.contains(table.file) {
        known = try CSVTable(path: "\(resultFolder(run))/\(table.file)").columns
      }
      let columns = table.columns.filter { !known.contains($0) }
      return columns.isEmpty ? nil : LackingTable(file: table.file, columns: columns)
    }
  }
}

/// Evaluates a published run again, without training, and adds the measures that its tables lack.
///
/// A learner's policy is the saved one; the episodes are those of the run's final evaluation. What the run had
/// measured must come out again to the same bytes; then its rows of the final evaluation get the new columns, and
/// rows of training and of evaluations in its midst have no value there.
///
/// - Returns: what was added; empty when the run lacked nothing.
/// - Throws: `InputError` when the run is not published or does not evaluate to what it had measured; its result is
///   then as it was.
public func evaluateAgain(
  _ run: PlannedRun, ledger: RunLedger, sources: RunSources, models: [AnyModel] = Models.all
) throws -> [LackingTable] {
  guard let id = ledger.published(run.specification) else {
    throw InputError("is not done: there is nothing to evaluate again", key: run.label)
  }
  let lacking = try ledger.lackingTables(of: id, models: models)
  if lacking.isEmpty { return [] }
  let folder = ledger.resultFolder(id)
  let published = try RunSpecification(
    document: Manifest(folder: folder, run: id).specification)
  guard let model = Models.named(published.model, among: models) else {
    throw RunDocument.damaged("it names no model of this program")
  }
  try EvaluationAgain(
    planned: run, published: published, folder: folder, lacking: lacking, ledger: ledger,
    sources: sources
  ).run(model.offered)
  return lacking
}

/// An evaluation before the types of its model are known.
private struct EvaluationAgain {
  let planned: PlannedRun
  let published: RunSpecification
  let folder: String
  let lacking: [LackingTable]
  let ledger: RunLedger
  let sources: RunSources
  private let start = Provenance.timeOfDay()
  private let startSeconds = monotonicSeconds()

  func run<Offered: OfferedModel>(_ offered: Offered) throws {
    let algorithm = try offered.algorithm(
      of: published,
      at: AgentPlace(
        experimentFolder: sources.experimentFolder, attemptFolder: ledger.runFolder(published.id),
        patience: planned.patience ?? .standard, shouldStop: { false }))
    let document = try RunDocument(
      published, model: Offered.Model.self, algorithm: algorithm)
    let environment = try planned.environment(Offered.Model.self, document, sources)
    let facts = try JSONValue(path: "\(folder)/\(Provenance.fileName)")
    let instructionSet = document.usesKernels ? facts["instructionSet"]?.textValue : nil
    let agent = try algorithm.make(
      environment, document.parameters,
      AgentContext(
        seed: document.seed, episodes: document.trainingEpisodes,
        kernels: instructionSet.map { try Kernels.named($0) }))
    defer { agent.close(isFinished: true) }
    let tables = try evaluate(document, environment, agent)
    try publish(tables, facts)
  }

  /// The tables with what they lacked, by their names.
  private func evaluate<Model: Environment, Learner: Agent<Model>>(
    _ document: RunDocument, _ environment: Model, _ agent: Learner
  ) throws -> [String: [UInt8]] {
    var session = RunSession(document: document, environment: environment, agent: agent)
    if document.isLearner {
      try TrainedPolicy(runFolder: folder).restore(&session.agent, trained: document.parameters)
    }
    session.trained = document.trainingEpisodes
    while let step = session.nextStep { try session.carryOut(step) }
    var tables: [String: [UInt8]] = [:]
    for (file, fresh) in session.tables {
      guard let lack = lacking.first(where: { $0.file == file }) else { continue }
      tables[file] = try completed(lack, with: fresh)
    }
    return tables
  }

  /// A table of the run with the columns that it lacks, from the rows of its final evaluation, which stand last.
  private func completed(_ lack: LackingTable, with fresh: CSVWriter) throws -> [UInt8] {
    let path = "\(folder)/\(lack.file)"
    if !Files.exists(path) { return fresh.bytes }
    let old = try CSVTable(path: path)
    let new = try CSVTable(text: String(decoding: fresh.bytes, as: UTF8.self), file: lack.file)
    let first = old.rows.count - new.rows.count
    guard first >= 0 else { throw differs(old, nil, "has fewer rows than its evaluation again") }
    let places = old.columns.map { column in new.columns.firstIndex(of: column) }
    for (row, fields) in old.rows[first...].enumerated() {
      for (column, place) in places.enumerated() {
        guard let place, fields[column] != new.rows[row][place] else { continue }
        throw differs(
          old, old.lines[first + row],
          "\(old.columns[column]) was \(fields[column]) and is \(new.rows[row][place]) when evaluated again"
        )
      }
    }
    // What this program does not write any more stays, behind the rest.
    let kept = old.columns.filter { !new.columns.contains($0) }
    var table = CSVWriter(columns: new.columns + kept)
    let oldPlaces = table.columns.map { old.columns.firstIndex(of: $0) }
    for (row, fields) in old.rows.enumerated() {
      table.append(
        oldPlaces.enumerated().map { column, place in
          if let place { return .text(fields[place]) }
          return row >= first ? .text(new.rows[row - first][column]) : .missing
        })
    }
    return table.bytes
  }

  private func differs(_ table: CSVTable, _ line: Int?, _ problem: String) -> InputError {
    InputError(
      problem, file: table.file, line: line,
      advice:
        "The program, or the processor, is not the one that made the run, which stays as it is; to have the "
        + "new columns, remove the run's folder and do the run anew")
  }

  /// Puts a folder with the completed tables and the run's other files in the place of its result.
  private func publish(_ tables: [String: [UInt8]], _ facts: JSONValue) throws {
    let run = published.id
    let new =
      "\(ledger.runFolder(run))/evaluated-again-\(UInt64.random(in: 0...UInt64.max))"
    defer { try? Files.remove(new) }
    try Files.makeFolder(new)
    for name in try Files.list(folder)
    where name != Manifest.fileName && name != Provenance.fileName && tables[name] == nil {
      try Files.write(Files.read("\(folder)/\(name)"), to: "\(new)/\(name)")
    }
    for (name, bytes) in tables { try Files.write(bytes, to: "\(new)/\(name)") }
    var members = facts.objectValue ?? [:]
    let now = Provenance.ofProcess
    members["evaluatedAgain"] = .list(
      (facts["evaluatedAgain"]?.listValue ?? []) + [
        .object([
          "program": now["program"] ?? .null, "host": now["host"] ?? .null,
          "start": .text(start), "seconds": .number(monotonicSeconds() - startSeconds),
          "columns": .object(
            Dictionary(
              lacking.map { ($0.file, .list($0.columns.map { .text($0) })) },
              uniquingKeysWith: { $1 })),
        ])
      ])
    try Files.write(
      Array(JSONValue.object(members).readable.utf8), to: "\(new)/\(Provenance.fileName)")
    try Publication.seal(new, as: published.document)
    try ledger.replaceResult(run, by: new)
  }
}
