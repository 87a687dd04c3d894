import ArgumentParser
import Glibc
import Plan
import Runs
import Support
import Sweep

/// `veclab worker`: claims and executes the runs of a plan until nothing is left.
struct Worker: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Claim and execute the runs of a plan until nothing is left.",
    discussion: """
      'veclab run' and 'veclab submit' start workers; one can also be started by hand, on any machine that sees the \
      same results folder. SIGTERM or Ctrl-C once: save a checkpoint and stop; twice: stop now.

      Exit codes: 0 nothing is left to do here, 64 bad plan, 71 a run reached its limit, 74 the results cannot be \
      written, 75 stopped on request while runs are left.
      """)

  @Option(help: ArgumentHelp("Plan, as 'veclab plan --save' writes it.", valueName: "file"))
  var plan: String

  @Option(
    help: ArgumentHelp(
      "Folder of all results (default: the one that the plan is in).", valueName: "folder"))
  var results: String?

  @Option(help: ArgumentHelp("Execute at most so many runs.", valueName: "count"))
  var maxRuns: Int?

  @Option(
    help: ArgumentHelp(
      "Begin at the K-th of N parts of the list; every worker still goes through all of it.",
      valueName: "K/N"))
  var part: String?

  @OptionGroup var takeover: TakeoverOptions

  @Flag(help: "Stay until every run is done or has failed, to take over what others abandon.")
  var wait = false

  @Flag(
    help: ArgumentHelp(
      "Belong to a coordinator: stay, leave Ctrl-C to it, and end with it.", visibility: .hidden))
  var pooled = false

  func validate() throws {
    try refuseEmpty(["--plan": plan, "--results": results])
    if let maxRuns, maxRuns < 1 { throw ValidationError("--max-runs must be at least 1.") }
    _ = try start()
  }

  private func start() throws -> Double {
    guard let part else { return 0 }
    let numbers = part.split(separator: "/").compactMap { Int($0) }
    guard numbers.count == 2, numbers[1] >= 1, (1...numbers[1]).contains(numbers[0]) else {
      throw ValidationError("--part must be like 3/40, not '\(part)'.")
    }
    return Double(numbers[0] - 1) / Double(numbers[1])
  }

  func run() throws {
    WorkerProcess.handleSignals(ignoresInterrupts: pooled)
    if pooled { WorkerProcess.dieWithCoordinator() }
    WorkerProcess.volunteerForMemory()
    let exit = try work()
    if exit != .done { throw ExitCode(exit.rawValue) }
  }

  private func work() throws -> WorkerExit {
    let plan: Plan
    do {
      plan = try Plan(path: self.plan)
    } catch {
      complain("\(error)")
      return .usage
    }
    let folder =
      results.map { "\($0)/\(plan.experiment)" }
      ?? Files.folder(of: Files.folder(of: self.plan))
    let sources = RunSources(experimentFolder: folder)
    var planned: [String: PlannedRun] = [:]
    for run in plan.runs { planned[run.specification.id] = run }
    var options = WorkerLoop.Options()
    options.waits = wait || pooled
    options.maximumRuns = maxRuns
    options.start = try start()
    options.lease = takeover.lease
    options.limits = plan.limits
    options.capturesStandardError = true
    var loop = WorkerLoop(
      ledger: RunLedger(folder: folder), runs: plan.runs.map(\.specification), options: options,
      shouldStop: { WorkerProcess.shouldStop },
      execute: { specification, context in
        guard let run = planned[specification.id] else { return .stopped }
        return try executeRun(run, sources: sources, context: context)
      })
    do {
      return try loop.run()
    } catch {
      complain("\(error)")
      return .storage
    }
  }
}

/// Options about abandoned runs that several commands share.
struct TakeoverOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Take a run over from a process on another machine after so many seconds without a sign of life.",
      valueName: "seconds"))
  var lease = 60.0

  func validate() throws {
    guard lease >= 3, lease <= 86_400 else {
      throw ValidationError("--lease must be between 3 and 86400 seconds.")
    }
  }
}

/// Writes a line to standard error; when that fails there is nobody left to tell.
func complain(_ line: String) { writeToStandardError(line + "\n") }

func writeToStandardError(_ text: String) {
  let bytes = Array(text.utf8)
  _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
