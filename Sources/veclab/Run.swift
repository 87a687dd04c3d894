import ArgumentParser
import Foundation
import Plan
import Runs
import Support
import Sweep
import Synchronization

/// `veclab run`: executes an experiment's runs in worker processes.
struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run an experiment in worker processes; finished runs are skipped.",
    discussion: """
      Runs that were interrupted go on from their last checkpoint, whatever interrupted them. The same command may \
      be given again at any time, also while another one is at work in the same folder.

      Ctrl-C (or SIGTERM) once: every worker saves a checkpoint at the end of its episode and stops. Twice: stop now.

      Runs that fail do not stop the others; they are listed with their causes at the end, and the exit code is 1. \
      '--retry failed' tries them again. Exit code 75: stopped on request.
      """)

  enum Retry: String, ExpressibleByArgument, CaseIterable { case failed }

  @OptionGroup var options: ExperimentOptions

  @Option(
    help: ArgumentHelp("Worker processes (default: one for each core).", valueName: "count"))
  var workers: Int?

  @OptionGroup var takeover: TakeoverOptions

  @Option(help: "Try runs again that have failed: 'failed'.")
  var retry: Retry?

  @Flag(
    help: """
      Run nothing, train nothing: evaluate published runs again that are older than a column of this program, and \
      add it to their tables.
      """)
  var evaluateAgain = false

  @Flag(help: "Do not measure first what the runs will take.")
  var noEstimate = false

  @Flag(help: "Print what would be run, and run nothing.")
  var dryRun = false

  @Flag(help: "Print the outcome as one JSON object.")
  var json = false

  func validate() throws { try refuseWrongWorkers(workers) }

  func run() async throws {
    let (experiment, plan) = try options.planToRun(leavesNoTrace: dryRun)
    let ledger = RunLedger(folder: options.folder(of: experiment))
    if dryRun && !evaluateAgain {
      try printStates(plan, ledger)
      return
    }
    if dryRun {
      try await evaluateAgain(plan, ledger)
      return
    }
    let (path, entries) = try SweepIndex.register(
      plan, origin: options.selection.origin(experiment), ledger: ledger)
    let ids = entries.map(\.run)
    try ledger.restoreReplaced(ids)
    for sentence in try ledger.setAsideDamaged(ids) { complain(sentence) }
    if evaluateAgain {
      try await evaluateAgain(plan, ledger)
      return
    }
    if retry != nil {
      let forgiven = try ledger.forgiveFailures(ids)
      complain("trying \(forgiven.count) failed runs again")
    }

    var work = WorkerPool.Options()
    let wanted = workers ?? ProcessInfo.processInfo.activeProcessorCount
    work.workers = max(1, min(wanted, entries.count))
    work.executable = Provenance.executablePath
    work.arguments = [
      "worker", "--plan", path, "--results", options.results, "--pooled",
      "--lease", String(takeover.lease),
    ]
    let expected = noEstimate ? nil : await estimate(experiment, entries, path, ledger, work)
    var status = SweepStatus(ledger: ledger, entries: entries)
    status.share = expected?.share
    let pool = WorkerPool(status: status, options: work)
    let display = ProgressDisplay(workers: work.workers)
    let start = ContinuousClock.now
    let (end, last) = try await pool.run { display.show($0) }
    display.finish()
    let duration = (ContinuousClock.now - start) / .seconds(1)
    if let expected, end == .settled, !json { complain(expected.judgement(of: duration)) }
    try report(end, last, warnings: plan.warnings, seconds: duration)
  }

  /// What was said of a sweep's duration before it began.
  struct Expectation {
    let seconds: Double
    let share: Double

    /// How true it was.
    func judgement(of duration: Double) -> String {
      let error = 100 * (seconds - duration) / max(duration, 1e-3)
      return
        "it took \(SweepStatus.duration(duration)); the estimate of \(SweepStatus.duration(seconds)) was "
        + (abs(error) < 0.5
          ? "right" : "\(short(abs(error).rounded())) % too \(error > 0 ? "long" : "short")")
    }
  }

  /// Tells what a sweep of more than a minute will take, before it begins.
  ///
  /// - Returns: nil when nothing was said.
  private func estimate(
    _ experiment: Experiment, _ entries: [SweepEntry], _ plan: String, _ ledger: RunLedger,
    _ work: WorkerPool.Options
  ) async -> Expectation? {
    let open = entries.filter { !ledger.isComplete($0.run) }
    func known() -> CostEstimate {
      var cost = CostEstimate()
      cost.learn(from: ledger, (try? SweepIndex.all(folder: ledger.folder)) ?? entries)
      cost.learn(calibrationIn: ledger.folder)
      return cost
    }
    if open.isEmpty { return nil }
    var cost = known()
    if !open.allSatisfy({ cost.knows($0) }) {
      await WorkerPool.calibrate(executable: work.executable, plan: plan)
      cost = known()
    }
    let total = cost.total(open)
    let optimist = total.duration(workers: work.workers)
    guard optimist > 20 else { return nil }
    let share = Availability.share(workers: work.workers)
    let duration = total.duration(workers: work.workers, share: share)
    guard duration > 60 else { return nil }
    complain(
      "expected: "
        + total.text(workers: work.workers, share: share).trimmingCharacters(in: .newlines))
    if let advice = options.adviceAboutProfile(experiment, seconds: duration) { complain(advice) }
    return total.unknown == 0 ? Expectation(seconds: duration, share: share) : nil
  }

  private func evaluateAgain(_ plan: Plan, _ ledger: RunLedger) async throws {
    try await EvaluationsAgain(
      runs: plan.runs, ledger: ledger, experimentFolder: ledger.folder, workers: workers,
      isDryRun: dryRun
    ).carryOut()
  }

  private func printStates(_ plan: Plan, _ ledger: RunLedger) throws {
    for entry in plan.runs.map({ SweepEntry($0, store: ledger) }) {
      let state =
        switch try ledger.state(of: entry.run) {
        case .complete: "done"
        case .claimed: "running"
        case .failed(let end): "failed: \(end.message)"
        case .open(let attempt, _): attempt > 1 ? "interrupted" : "to do"
        }
      print("\(entry.run.prefix(12))  \(entry.label)  \(state)")
    }
  }

  private func report(
    _ end: WorkerPool.End, _ status: SweepStatus, warnings: [String], seconds: Double
  ) throws {
    let isWhole = end == .settled && status.failed.isEmpty
    if json {
      var members = status.json.objectValue ?? [:]
      let word =
        switch end {
        case .settled: status.failed.isEmpty ? "done" : "failed"
        case .stopped: "stopped"
        case .broken: "broken"
        }
      members["end"] = .text(word)
      members["seconds"] = .number(seconds)
      members["warnings"] = .list(warnings.map { .text($0) })
      if case .broken(let problem) = end { members["problem"] = .text(problem) }
      print(JSONValue.object(members).readable, terminator: "")
    } else {
      complain(
        "\(status.line())\(status.failureReport)".trimmingCharacters(in: .newlines)
          + (isWhole ? " in \(SweepStatus.duration(seconds)): \(status.ledger.folder)" : ""))
    }
    switch end {
    case .settled: if !status.failed.isEmpty { throw ExitCode(1) }
    case .stopped:
      if !json { complain("stopped on request; the same command goes on from the checkpoints") }
      throw ExitCode(WorkerExit.stopped.rawValue)
    case .broken(let problem):
      if !json {
        complain("gave up: \(problem). What is done is kept; the same command goes on from there")
      }
      throw ExitCode(WorkerExit.storage.rawValue)
    }
  }
}

/// Refuses a number of worker processes that cannot be meant.
func refuseWrongWorkers(_ workers: Int?) throws {
  if let workers, !(1...1024).contains(workers) {
    throw ValidationError("--workers must be between 1 and 1024, not \(workers).")
  }
}

/// The progress of a sweep on standard error: one line that changes on a terminal, else a line now and then.
final class ProgressDisplay: Sendable {
  private let workers: Int
  private let isTerminal = isatty(2) == 1
  private let last = Mutex<(text: String, time: ContinuousClock.Instant?)>(("", nil))

  init(workers: Int) { self.workers = workers }

  func show(_ status: SweepStatus) {
    let text = status.line(workers: workers)
    last.withLock { last in
      let now = ContinuousClock.now
      let isDue = last.time.map { now - $0 >= .seconds(isTerminal ? 0 : 10) } ?? true
      guard isDue, text != last.text else { return }
      last = (text, now)
      if isTerminal {
        writeToStandardError("\r\(text)\u{1B}[K")
      } else {
        complain(text)
      }
    }
  }

  /// Leaves the changing line.
  func finish() {
    if isTerminal { writeToStandardError("\r\u{1B}[K") }
  }
}
