internal import Glibc
public import Plan
public import Runs
internal import Support

/// Claims and executes runs until nothing is left: the same loop in a local worker and in a Slurm task.
public struct WorkerLoop {
  public struct Options: Sendable {
    /// Stays while others work on runs, to take over what they abandon; else leaves once they are seen alive.
    public var waits = false
    /// Executes at most so many runs; nil: no limit.
    public var maximumRuns: Int?
    /// Where in the list to begin, from 0 to 1, so that many workers do not stand in each other's way.
    public var start = 0.0
    /// Seconds without a heartbeat after which an attempt on another machine is taken over.
    public var lease = 60.0
    public var limits = RunLimits()
    /// Whether standard error goes to the attempt's log while a run is executed.
    public var capturesStandardError = false

    public init() {}
  }

  public typealias Execute = (RunSpecification, any RunContext) throws -> RunEnd

  private let ledger: RunLedger
  private let runs: [RunSpecification]
  private let options: Options
  private let shouldStop: @Sendable () -> Bool
  private let execute: Execute
  private let watch: AttemptWatch
  private var observer: HeartbeatObserver
  private var executed = 0

  /// - Parameters:
  ///   - runs: in the order in which they are to be done.
  ///   - shouldStop: asked between and, through the context, inside runs.
  ///   - execute: does one run.
  public init(
    ledger: RunLedger, runs: [RunSpecification], options: Options,
    shouldStop: @escaping @Sendable () -> Bool, execute: @escaping Execute
  ) {
    self.ledger = ledger
    self.runs = runs
    self.options = options
    self.shouldStop = shouldStop
    self.execute = execute
    watch = AttemptWatch(limits: options.limits)
    observer = HeartbeatObserver(lease: options.lease)
  }

  /// What a visit to a run led to.
  private enum Visit {
    case settled
    case executed
    /// Somebody else works on it.
    case busy(isAlive: Bool)
    /// It may be tried again a little later.
    case later
  }

  /// - Throws: `InputError` when the ledger itself cannot be read or written.
  public mutating func run() throws -> WorkerExit {
    let first = min(Int(Double(runs.count) * options.start), max(runs.count - 1, 0))
    var open = Array(runs.indices[first...]) + Array(runs.indices[..<first])
    var nap = 0.05
    while !open.isEmpty {
      var left: [Int] = []
      var hasExecuted = false
      var isAllInGoodHands = true
      for index in open {
        if shouldStop() { return .stopped }
        if let maximum = options.maximumRuns, executed >= maximum { return .done }
        switch try visit(runs[index]) {
        case .settled: break
        case .executed:
          hasExecuted = true
          left.append(index)
          isAllInGoodHands = false
        case .busy(let isAlive):
          left.append(index)
          if !isAlive { isAllInGoodHands = false }
        case .later:
          left.append(index)
          isAllInGoodHands = false
        }
      }
      open = left
      if hasExecuted {
        nap = 0.05
        continue
      }
      if open.isEmpty || (isAllInGoodHands && !options.waits) { break }
      sleep(nap)
      nap = min(nap * 1.5, 1)
    }
    return .done
  }

  /// Sleeps, but not through a request to stop.
  private func sleep(_ seconds: Double) {
    let end = monotonicSeconds() + seconds
    while !shouldStop() {
      let rest = end - monotonicSeconds()
      if rest <= 0 { return }
      usleep(UInt32(min(rest, 0.05) * 1e6))
    }
  }

  private mutating func visit(_ specification: RunSpecification) throws -> Visit {
    let run = specification.id
    switch try ledger.state(of: run) {
    case .complete, .failed: return .settled
    case .open(let attempt, let delay):
      if ledger.published(specification) != nil { return .settled }
      if try ledger.adopt(specification) != nil { return .settled }
      if delay > 0, observer.seconds(since: "\(run)/\(attempt)/open") < delay { return .later }
      return try begin(specification, attempt: attempt)
    case .claimed(let attempt, let owner, let heartbeat):
      switch observer.look("\(run)/\(attempt)", heartbeat) {
      case .unknown: return .busy(isAlive: false)
      case .alive: return .busy(isAlive: true)
      case .stale:
        let place = owner.map { "process \($0.process) on \($0.host)" } ?? "an unknown process"
        try ledger.record(
          AttemptEnd(
            .lost, "no sign of life from \(place) for \(Int(options.lease)) s",
            hasAdvanced: !CheckpointStore(ledger: ledger, run: run).numbers(attempt: attempt)
              .isEmpty),
          run: run, attempt: attempt, overwriting: false)
        return .later
      }
    }
  }

  private mutating func begin(_ specification: RunSpecification, attempt number: Int) throws
    -> Visit
  {
    let run = specification.id
    // What is known about the attempt before is written down now: its process cannot be asked later.
    if number > 1, ledger.end(of: run, attempt: number - 1) == nil {
      try ledger.record(
        ledger.endOfDead(run, attempt: number - 1), run: run, attempt: number - 1,
        overwriting: false)
    }
    guard try ledger.claim(run, attempt: number) else { return .busy(isAlive: false) }
    let attempt = try RunAttempt(
      ledger: ledger, specification: specification, number: number, isStopRequested: shouldStop)
    // Between the look and the claim the attempt before may have published.
    if ledger.isComplete(run) {
      try attempt.close(AttemptEnd(.superseded, "the result was already published"))
      return .settled
    }
    executed += 1
    let end = perform(attempt)
    do {
      try attempt.close(end)
    } catch var error as InputError {
      // The end of this process frees the run for others.
      error.problem += " (to record how run \(specification.shortID) ended: \(end.message))"
      throw error
    }
    return end.kind == .finished ? .settled : .executed
  }

  /// Executes and publishes; every error becomes the attempt's end.
  private func perform(_ attempt: RunAttempt) -> AttemptEnd {
    CrashRecord.watch(folder: attempt.attemptFolder)
    watch.begin(attempt)
    let standardError = options.capturesStandardError ? dup(STDERR_FILENO) : -1
    if standardError >= 0 { dup2(attempt.logFile.descriptor, STDERR_FILENO) }
    defer {
      if standardError >= 0 {
        dup2(standardError, STDERR_FILENO)
        close(standardError)
      }
      CrashRecord.watch(folder: nil)
      watch.end()
    }
    do {
      let end = try execute(attempt.specification, attempt)
      watch.liftLimits()
      if end == .stopped {
        try attempt.checkOwnership()
        return AttemptEnd(.stopped, "stopped on request; goes on from its checkpoint")
      }
      switch try attempt.publish() {
      case .published:
        CheckpointStore(ledger: ledger, run: attempt.specification.id).removeAll()
        return AttemptEnd(.finished, "result published")
      case .alreadyPublished:
        return AttemptEnd(.superseded, "another attempt had published the result before")
      }
    } catch is AttemptSuperseded {
      return AttemptEnd(.superseded, "another process has taken the run over")
    } catch  where ledger.isSuperseded(attempt.specification.id, attempt: attempt.number) {
      // The process that published has tidied up under this one.
      return AttemptEnd(.superseded, "another process has taken the run over (\(error))")
    } catch let error as InputError
      where error.systemCode == nil && attempt.isRestoring && putCheckpointsAside(attempt)
    {
      return AttemptEnd(.restarted, "the checkpoint could not be used: \(error)")
    } catch let error as InputError {
      return AttemptEnd(WorkerLoop.kind(of: error, runFolder: attempt.attemptFolder), "\(error)")
    } catch {
      return AttemptEnd(.failed, "\(error)")
    }
  }

  /// Gives up checkpoints that another version of the program has written.
  private func putCheckpointsAside(_ attempt: RunAttempt) -> Bool {
    CheckpointStore(ledger: ledger, run: attempt.specification.id).putAside()
  }

  /// Whether an error is the storage's fault rather than the input's.
  private static func kind(of error: InputError, runFolder: String) -> AttemptEnd.Kind {
    guard let code = error.systemCode else { return .badInput }
    let troubles = [EIO, ENOSPC, EDQUOT, EROFS, ESTALE, ETIMEDOUT, EMFILE, ENFILE, ENOMEM]
    let isOwnFile = error.file?.hasPrefix(RunLedger.parentOfAttempt(runFolder)) ?? false
    return isOwnFile || troubles.contains(code) ? .storage : .badInput
  }
}

extension RunLedger {
  /// The run's folder, from the folder of one of its attempts.
  static func parentOfAttempt(_ folder: String) -> String {
    Files.folder(of: Files.folder(of: folder))
  }
}
