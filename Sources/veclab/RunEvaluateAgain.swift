import ArgumentParser
import Foundation
import Plan
import Runs
import Support
import Synchronization

/// `veclab run --evaluate-again`: adds columns to the tables of published runs that are older than they are.
struct EvaluationsAgain: Sendable {
  let runs: [PlannedRun]
  let ledger: RunLedger
  let experimentFolder: String
  let workers: Int?
  let isDryRun: Bool

  /// What the threads share.
  private final class Work: Sendable {
    struct State {
      /// Index of the run that is taken next.
      var next = 0
      var completed = 0
      var failed = 0
    }
    let state = Mutex(State())
  }

  /// Goes through the runs with several threads; an interruption loses the runs under way, nothing else.
  func carryOut() async throws {
    let published = runs.compactMap { run in
      ledger.published(run.specification).map { (run: run, id: $0) }
    }
    let lacking = try published.filter { try !ledger.lackingTables(of: $0.id).isEmpty }.map(\.run)
    if isDryRun {
      for (run, id) in published {
        let tables = try ledger.lackingTables(of: id)
        if !tables.isEmpty { print("\(id.prefix(12))  \(run.label)  lacks \(text(of: tables))") }
      }
      return
    }
    let work = Work()
    await withTaskGroup(of: Void.self) { group in
      let threads = workers ?? ProcessInfo.processInfo.activeProcessorCount
      for _ in 0..<max(1, min(threads, lacking.count)) {
        group.addTask {
          let sources = RunSources(experimentFolder: experimentFolder)
          while true {
            let index = work.state.withLock { state in
              defer { state.next += 1 }
              return state.next
            }
            guard index < lacking.count else { return }
            let isDone = evaluate(lacking[index], sources)
            work.state.withLock { if isDone { $0.completed += 1 } else { $0.failed += 1 } }
          }
        }
      }
    }
    let (completed, failed) = work.state.withLock { ($0.completed, $0.failed) }
    complain(
      "\(completed) runs evaluated again, \(published.count - lacking.count) lack nothing"
        + (failed > 0 ? ", \(failed) stay as they were" : "")
        + (runs.count > published.count ? ", \(runs.count - published.count) are not done" : ""))
    if failed > 0 { throw ExitCode.failure }
  }

  private func evaluate(_ run: PlannedRun, _ sources: RunSources) -> Bool {
    do {
      let tables = try Runs.evaluateAgain(run, ledger: ledger, sources: sources)
      print("\(run.label): \(text(of: tables))")
      return true
    } catch {
      complain("\(run.label): \(error)")
      return false
    }
  }

  private func text(of tables: [LackingTable]) -> String {
    tables.map { "\($0.columns.joined(separator: ", ")) in \($0.file)" }.joined(separator: "; ")
  }
}
