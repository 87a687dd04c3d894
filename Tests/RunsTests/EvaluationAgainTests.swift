import Foundation
import Support
import Testing

@testable import Plan
@testable import Runs
@testable import TestSupport

/// Published runs that are older than a column get it without training.
@Suite struct EvaluationAgainTests {
  let place: Workplace
  let plan: Plan
  let ledger: RunLedger

  init() throws {
    place = try Workplace()
    plan = try place.plan(
      """
      parameters: {episodes: 5, evaluationEvery: 2, evaluationEpisodes: 3}
      grid: {product: {algorithm: [zero, learner]}}
      record: slots

      """)
    try place.execute(plan)
    ledger = RunLedger(folder: "\(place.results)/test")
  }

  private func evaluateAgain(_ run: Int) throws -> [LackingTable] {
    try Runs.evaluateAgain(
      plan.runs[run], ledger: ledger, sources: RunSources(experimentFolder: ledger.folder),
      models: ToyModel.models)
  }

  private func files(_ run: Int) throws -> [String: String] {
    try ExecutionTests.files(ledger.resultFolder(plan.runs[run].specification.id))
  }

  private func reseal(_ run: Int) throws {
    let specification = plan.runs[run].specification
    let folder = ledger.resultFolder(specification.id)
    let facts = JSONValue.object(["instructionSet": .text(Provenance.instructionSet)])
    try Files.writeAtomically(facts.readable, to: "\(folder)/\(Provenance.fileName)")
    try Publication.seal(folder, as: specification.document)
  }

  /// Makes a published table one of a program that did not have a column yet.
  private func remove(_ column: String, from file: String, run: Int) throws {
    let path = ledger.resultFolder(plan.runs[run].specification.id) + "/" + file
    let table = try CSVTable(path: path)
    let index = try table.index(of: column)
    var old = CSVWriter(columns: table.columns.filter { $0 != column })
    for var row in table.rows {
      row.remove(at: index)
      old.append(row.map { .text($0) })
    }
    try Files.writeAtomically(old.bytes, to: path)
    try reseal(run)
  }

  @Test func aRunThatLacksNothingIsLeftAlone() throws {
    try reseal(0)
    let before = try files(0)
    #expect(try evaluateAgain(0) == [])
    #expect(try files(0) == before)
  }

  @Test(arguments: [0, 1]) func lackingColumnsAreAddedToTheRowsOfTheFinalEvaluation(_ run: Int)
    throws
  {
    let folder = ledger.resultFolder(plan.runs[run].specification.id)
    try reseal(run)
    let whole = try files(run)
    let table = try CSVTable(path: folder + "/episodes.csv")
    try remove("mean_delay_s", from: "episodes.csv", run: run)
    try remove("delay_s", from: "slots.csv", run: run)
    try Files.remove(folder + "/backlogs.csv")
    try reseal(run)
    #expect(try files(run) != whole)

    #expect(
      try evaluateAgain(run) == [
        LackingTable(file: "episodes.csv", columns: ["mean_delay_s"]),
        LackingTable(
          file: "backlogs.csv", columns: ["episode", "phase", "queue", "backlog_gflop"]),
        LackingTable(file: "slots.csv", columns: ["delay_s"]),
      ])
    _ = try ledger.verifiedManifest(plan.runs[run].specification.id)
    let completed = try CSVTable(path: folder + "/episodes.csv")
    #expect(completed.columns == table.columns)
    let delay = try table.index(of: "mean_delay_s")
    for (new, var old) in zip(completed.rows, table.rows) {
      if old[1] == "train" { old[delay] = "" }
      #expect(new == old)
    }
    #expect(completed.rows.count == (run == 0 ? 3 : 8))
    let again = try files(run)
    for name in ["slots.csv", "policy.bin", "run.json", "evaluations.csv"] {
      #expect(again[name] == whole[name])
    }
    if run == 0 { #expect(again["backlogs.csv"] == whole["backlogs.csv"]) }
    let facts = try JSONValue(path: "\(folder)/\(Provenance.fileName)")
    #expect(facts["evaluatedAgain"]?.listValue?.count == 1)
    #expect(try Files.list(Files.folder(of: folder)) == ["result"])
    #expect(try evaluateAgain(run) == [])
  }

  @Test func whatDoesNotComeOutAgainStaysAsItWas() throws {
    let folder = ledger.resultFolder(plan.runs[1].specification.id)
    try remove("mean_delay_s", from: "episodes.csv", run: 1)
    let path = folder + "/episodes.csv"
    let table = try CSVTable(path: path)
    let last = try #require(table.rows.last)
    let wrong = try Files.readText(path).replacingOccurrences(
      of: "\n" + last.joined(separator: ",") + "\n",
      with: "\n" + ([last[0], last[1], "77"] + last[3...]).joined(separator: ",") + "\n")
    try Files.writeAtomically(wrong, to: path)
    try reseal(1)
    let before = try files(1)
    #expect(
      sentence { _ = try evaluateAgain(1) }
        == "\(path):9: window_start_s was 77 and is \(last[2]) when evaluated again. The program, or the processor, "
        + "is not the one that made the run, which stays as it is; to have the new columns, remove the run's folder "
        + "and do the run anew.")
    #expect(try files(1) == before)
    #expect(try Files.list(Files.folder(of: folder)) == ["result"])
  }

  @Test func anInterruptedReplacementIsPutBack() throws {
    try reseal(0)
    let run = plan.runs[0].specification.id
    let before = try files(0)
    try Files.moveFolder(ledger.resultFolder(run), to: ledger.runFolder(run) + "/replaced")
    #expect(!ledger.isComplete(run))
    try ledger.restoreReplaced([run])
    #expect(try files(0) == before)
  }

  @Test func aRunThatIsNotDoneIsNoMatter() throws {
    try Files.remove(ledger.runFolder(plan.runs[0].specification.id))
    #expect(
      sentence { _ = try evaluateAgain(0) }
        == "algorithm=zero: is not done: there is nothing to evaluate again.")
  }
}
