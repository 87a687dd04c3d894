internal import Simulation
internal import Support

/// What a run has measured so far, kept as the bytes of its CSV files.
///
/// All of it goes into a checkpoint, so that a resumed run writes the same files as one that was not
/// interrupted (`timing.csv`, which holds wall-clock figures, excepted).
struct RunRecord {
  /// Wall-clock figures of an episode.
  struct Timing {
    var decisions = 0
    var decisionSeconds = 0.0
    var learningSeconds = 0.0
    var seconds = 0.0
  }

  var episodes: CSVWriter
  /// Every evaluation of a policy in training; empty unless `evaluationEvery` asks for them.
  var evaluations: CSVWriter
  var timing: CSVWriter
  var breakdown: CSVWriter
  var logs: [CSVWriter]

  static func episodeColumns(_ measures: [String]) -> [String] {
    ["episode", "phase", "window_start_s"] + measures + ["epsilon", "loss"]
  }

  static func evaluationColumns(_ measures: [String]) -> [String] {
    ["trained_episodes"] + episodeColumns(measures)
  }

  static let timingColumns = [
    "episode", "phase", "decisions", "mean_decision_s", "mean_train_step_s", "episode_s",
  ]

  static func breakdownColumns(_ columns: [String]) -> [String] { ["episode", "phase"] + columns }

  init<Model: Environment>(of model: Model.Type) {
    let measures = Model.Metrics.columns
    episodes = CSVWriter(columns: RunRecord.episodeColumns(measures))
    evaluations = CSVWriter(columns: RunRecord.evaluationColumns(measures))
    timing = CSVWriter(columns: RunRecord.timingColumns)
    breakdown = CSVWriter(
      columns: RunRecord.breakdownColumns(Model.Metrics.breakdown?.columns ?? []))
    logs = Model.logs.map { CSVWriter(columns: $0.columns) }
  }

  private static let tables: [WritableKeyPath<RunRecord, CSVWriter>] = [
    \.episodes, \.evaluations, \.timing, \.breakdown,
  ]

  func save(to writer: inout StateWriter) {
    writer.section("record")
    for table in RunRecord.tables.map({ self[keyPath: $0] }) + logs {
      writer.write(table.rows)
      writer.write(table.bytes)
    }
  }

  mutating func restore(from reader: inout StateReader) throws {
    func table(_ now: CSVWriter) throws -> CSVWriter {
      let rows = try reader.readInteger()
      return CSVWriter(columns: now.columns, continuing: try reader.readBytes(), rows: rows)
    }
    try reader.section("record")
    for path in RunRecord.tables { self[keyPath: path] = try table(self[keyPath: path]) }
    for i in logs.indices { logs[i] = try table(logs[i]) }
  }
}
