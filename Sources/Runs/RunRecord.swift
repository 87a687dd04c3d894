internal import Plan
internal import Simulation
internal import Support

/// What a run has measured so far, kept as the bytes of its CSV files.
///
/// All of it goes into a checkpoint, so that a resumed run writes the same files as one that was not
/// interrupted (`timing.csv`, which holds wall-clock figures, excepted).
struct RunRecord {
  var episodes: CSVWriter
  /// Every evaluation of a policy in training; empty unless `evaluationEvery` asks for them.
  var evaluations: CSVWriter
  var timing: CSVWriter
  /// The model's further tables of measures.
  var tables: [CSVWriter]
  /// The model's tables of outcomes; without rows unless the run records.
  var logs: [CSVWriter]

  init<Model: Environment>(of model: Model.Type) {
    let measures = Model.Metrics.columns
    episodes = CSVWriter(columns: ResultTable.episodeColumns(measures))
    evaluations = CSVWriter(columns: ResultTable.evaluationColumns(measures))
    timing = CSVWriter(columns: ResultTable.timingColumns)
    tables = Model.Metrics.tables.map {
      CSVWriter(columns: ResultTable.tableColumns($0.columns))
    }
    logs = Model.logs.map { CSVWriter(columns: $0.columns) }
  }

  func save(to writer: inout StateWriter) {
    writer.section("record")
    for table in [episodes, evaluations, timing] + tables + logs {
      writer.write(table.rows)
      writer.write(table.bytes)
    }
  }

  mutating func restore(from reader: inout StateReader) throws {
    func goOn(_ table: inout CSVWriter) throws {
      let rows = try reader.readInteger()
      table = CSVWriter(
        columns: table.columns, continuing: try reader.readBytes(), rows: rows)
    }
    try reader.section("record")
    try goOn(&episodes)
    try goOn(&evaluations)
    try goOn(&timing)
    for i in tables.indices { try goOn(&tables[i]) }
    for i in logs.indices { try goOn(&logs[i]) }
  }
}
