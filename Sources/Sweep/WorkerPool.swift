internal import Glibc
internal import Subprocess
internal import Support
internal import Synchronization
internal import SystemPackage
internal import UnixSignals

/// Keeps worker processes at work until a sweep is settled.
///
/// The pool knows nothing about runs: workers claim them, the ledger tells how far they are. What it does is start
/// workers, start them again when they die, pass requests to stop on, and show progress.
public final class WorkerPool: Sendable {
  public struct Options: Sendable {
    public var workers = 1
    /// Program and arguments of a worker.
    public var executable = ""
    public var arguments: [String] = []
    /// Seconds between two looks at the ledger.
    public var interval = 0.5

    public init() {}
  }

  /// How the pool's work ended.
  public enum End: Sendable, Equatable {
    /// Every run is done or has failed.
    case settled
    /// Stopped on request.
    case stopped
    /// The workers cannot work; the sentence says why.
    case broken(String)
  }

  /// Workers that end in vain, one after another, before the pool gives up.
  private static let patience = 3

  private struct State {
    var processes: Set<Int32> = []
    var stops = 0
    var problem: String?
    var isOver = false
    var status: SweepStatus
  }

  private let options: Options
  private let state: Mutex<State>

  public init(status: SweepStatus, options: Options) {
    self.options = options
    state = Mutex(State(status: status))
  }

  /// Works until the sweep is settled, stopped or hopeless.
  ///
  /// - Parameter show: gets the sweep's state after every look.
  /// - Returns: how it ended and the last look at the sweep.
  public func run(show: @escaping @Sendable (SweepStatus) -> Void) async throws -> (
    End, SweepStatus
  ) {
    let lifeline = try Lifeline()
    signal(SIGPIPE, SIG_IGN)
    try look()
    show(state.withLock { $0.status })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await self.passSignals() }
      group.addTask { try await self.watchLedger(show) }
      try await withThrowingTaskGroup(of: Void.self) { workers in
        for _ in 0..<options.workers {
          workers.addTask { try await self.keepWorker(lifeline) }
        }
        try await workers.waitForAll()
      }
      state.withLock { $0.isOver = true }
      group.cancelAll()
      while (try? await group.next()) != nil {}
    }
    try look()
    let (stops, problem, status) = state.withLock { ($0.stops, $0.problem, $0.status) }
    if status.isSettled { return (.settled, status) }
    if stops > 0 { return (.stopped, status) }
    return (.broken(problem ?? "the workers ended before the runs were done"), status)
  }

  /// Measures what runs of a plan cost, in a process of its own and for half a minute at most.
  ///
  /// What it finds stands in the experiment's folder; whatever goes wrong, the sweep goes on without an estimate.
  public static func calibrate(executable: String, plan: String) async {
    _ = try? await Subprocess.run(
      .path(FilePath(executable)), arguments: Arguments(["calibrate", "--plan", plan]),
      output: .discarded, error: .discarded)
  }

  private func look() throws {
    var status = state.withLock { $0.status }
    try status.refresh()
    state.withLock { $0.status = status }
  }

  /// A look costs a system call or two for each unfinished run: the more it takes, the rarer it is.
  private func watchLedger(_ show: @Sendable (SweepStatus) -> Void) async throws {
    var pause = options.interval
    while !state.withLock({ $0.isOver }) {
      do { try await Task.sleep(for: .seconds(pause)) } catch { return }
      let start = monotonicSeconds()
      try look()
      show(state.withLock { $0.status })
      pause = max(options.interval, 20 * (monotonicSeconds() - start))
    }
  }

  /// The first SIGINT or SIGTERM asks the workers for a checkpoint and an end, the second one ends them.
  private func passSignals() async {
    for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) {
      let (stops, processes) = state.withLock { state in
        state.stops += 1
        return (state.stops, state.processes)
      }
      for process in processes { kill(process, stops == 1 ? SIGTERM : SIGKILL) }
    }
  }

  private enum WorkerEnd {
    case exited(Int32)
    case killed(Int32)
  }

  private func keepWorker(_ lifeline: Lifeline) async throws {
    var failures = 0
    while !state.withLock({ $0.stops > 0 || $0.problem != nil || $0.status.isSettled }) {
      let start = monotonicSeconds()
      let end = try await startWorker(lifeline)
      if state.withLock({ $0.stops > 0 }) { return }
      if monotonicSeconds() - start > 5 { failures = 0 }
      failures += 1
      switch end {
      case .exited(WorkerExit.done.rawValue):
        try look()
        if state.withLock({ $0.status.isSettled }) { return }
        giveUp(after: failures, "workers end without an error, but results are missing")
      case .exited(WorkerExit.usage.rawValue):
        giveUp(after: WorkerPool.patience, "a worker does not understand its plan; see above")
      case .exited(WorkerExit.storage.rawValue):
        giveUp(after: failures, "the results cannot be written; see above")
      case .exited(WorkerExit.limit.rawValue), .exited(WorkerExit.stopped.rawValue), .killed:
        break
      case .exited(let code):
        giveUp(after: failures, "workers end with exit code \(code); see above")
      }
      let pause = min(0.05 * Double(1 << min(failures, 7)), 5)
      try await Task.sleep(for: .seconds(pause))
    }
  }

  private func giveUp(after failures: Int, _ problem: String) {
    guard failures >= WorkerPool.patience else { return }
    let processes = state.withLock { state in
      state.problem = state.problem ?? problem
      return state.processes
    }
    for process in processes { kill(process, SIGTERM) }
  }

  /// Starts a worker and waits for its end.
  ///
  /// Children are started by one thread of the library that lives as long as this process: the kernel's signal on
  /// the death of a parent is one on the death of that thread.
  private func startWorker(_ lifeline: Lifeline) async throws -> WorkerEnd {
    let result = try await Subprocess.run(
      .path(FilePath(options.executable)),
      arguments: Arguments(options.arguments),
      input: .fileDescriptor(
        FileDescriptor(rawValue: lifeline.reader), closeAfterSpawningProcess: false),
      output: .discarded,
      error: .currentStandardError
    ) { execution in
      let process = execution.processIdentifier.value
      let isStopping = self.state.withLock { state in
        state.processes.insert(process)
        return state.stops > 0
      }
      if isStopping { kill(process, SIGTERM) }
      return process
    }
    _ = state.withLock { $0.processes.remove(result.closureResult) }
    switch result.terminationStatus {
    case .exited(let code): return .exited(code)
    case .signaled(let number): return .killed(number)
    }
  }
}

/// A pipe whose writing end only this process holds: its readers see the end of the file when it dies.
private final class Lifeline: Sendable {
  let reader: Int32
  private let writer: Int32

  init() throws {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw Files.failure("open", "a pipe") }
    reader = ends[0]
    writer = ends[1]
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  }

  deinit {
    close(reader)
    close(writer)
  }
}
