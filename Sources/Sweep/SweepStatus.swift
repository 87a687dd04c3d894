internal import Glibc
public import Runs
public import Support

/// Where a sweep stands, from its files alone: whoever works on it, on whatever machine.
///
/// A published result counts as done by the presence of its manifest; `veclab run` and `veclab collect` verify the
/// content.
public struct SweepStatus: Sendable {
  public struct Running: Sendable {
    public let entry: SweepEntry
    public let attempt: Int
    public let owner: ClaimOwner?
    public let heartbeat: Heartbeat?
    /// Seconds since the heartbeat file changed, by the clocks of this machine and its file system: a hint.
    public let silence: Double?
    /// Where a learner's measures stand; nil for others.
    public let learning: LearningProgress?
  }

  public struct Failed: Sendable {
    public let entry: SweepEntry
    public let attempts: Int
    public let end: AttemptEnd
  }

  public let ledger: RunLedger
  public let entries: [SweepEntry]
  public private(set) var done = 0
  public private(set) var running: [Running] = []
  public private(set) var failed: [Failed] = []
  /// Runs that had begun and will be taken up again.
  public private(set) var interrupted = 0
  private var isDone: [Bool]
  /// Costs, learnt as runs finish.
  public private(set) var cost = CostEstimate()
  /// Finished runs whose cost is read from their provenance; beyond this many the estimate is good enough.
  private static let maximumSamples = 400
  private var samples = 0
  private static let ratesKept = 20
  /// Seconds and processor seconds of runs that have finished since the first look, and before it.
  private var rates: [(seconds: Double, processor: Double)] = []
  private var earlierRates: [(seconds: Double, processor: Double)] = []
  private var looks = 0
  /// Share of a processor that a worker was measured to get before the first run; nil when it was not.
  public var share: Double?

  public init(ledger: RunLedger, entries: [SweepEntry]) {
    self.ledger = ledger
    self.entries = entries
    isDone = [Bool](repeating: false, count: entries.count)
    cost.learn(calibrationIn: ledger.folder)
  }

  public var waiting: Int { entries.count - done - running.count - failed.count }
  public var isSettled: Bool { done + failed.count == entries.count }

  /// Looks at the runs that were not done at the last look.
  public mutating func refresh() throws {
    running = []
    failed = []
    interrupted = 0
    defer {
      // What was done before the first look may have been done on another day.
      if looks == 0 { earlierRates = rates.suffix(SweepStatus.ratesKept) }
      if looks == 0 { rates = [] }
      looks += 1
    }
    guard Files.exists(ledger.runsFolder) else { return }
    let known = Set(try Files.list(ledger.runsFolder))
    for (index, entry) in entries.enumerated()
    where !isDone[index] && known.contains(entry.run) {
      switch try ledger.state(of: entry.run) {
      case .complete:
        isDone[index] = true
        done += 1
        if samples < SweepStatus.maximumSamples || rates.count < SweepStatus.ratesKept,
          let past = CostEstimate.past(ledger, entry)
        {
          samples += 1
          cost.learn(entry, secondsPerEpisode: past.secondsPerEpisode)
          rates.append((past.seconds, past.processorSeconds))
        }
      case .failed(let end):
        failed.append(
          Failed(entry: entry, attempts: try ledger.attempts(entry.run).count, end: end))
      case .claimed(let attempt, let owner, let heartbeat):
        running.append(
          Running(
            entry: entry, attempt: attempt, owner: owner, heartbeat: Heartbeat(record: heartbeat),
            silence: silence(entry.run, attempt),
            learning: LearningProgress(
              path: ledger.attemptFolder(entry.run, attempt) + "/" + RunAttempt.curveFileName)))
      case .open(let attempt, _): if attempt > 1 { interrupted += 1 }
      }
    }
  }

  private func silence(_ run: String, _ attempt: Int) -> Double? {
    var status = stat()
    guard stat(ledger.attemptFolder(run, attempt) + "/heartbeat", &status) == 0 else { return nil }
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Double(now.tv_sec - status.st_mtim.tv_sec)
  }

  /// Seconds that pass for one second of processor time of a run, as this sweep has shown of late.
  private var slowdown: Double {
    let observed = rates.isEmpty && share == nil ? earlierRates : rates
    let recent = observed.suffix(SweepStatus.ratesKept)
    let processor = recent.reduce(0) { $0 + $1.processor }
    let seconds = recent.reduce(0) { $0 + $1.seconds }
    if processor > 0, seconds > 0 { return max(seconds / processor, 1) }
    return 1 / max(share ?? 1, 0.01)
  }

  /// Seconds to the end with as many workers as there are now; nil while too little is known.
  ///
  /// Runs that wait take what the estimate says, at the pace at which this sweep has turned processor time into time.
  public func secondsLeft(workers: Int? = nil) -> Double? {
    let failedRuns = Set(failed.map(\.entry.run))
    let runningRuns = Set(running.map(\.entry.run))
    let slowdown = slowdown
    var busy: [Double] = []
    for state in running {
      guard let left = secondsLeft(of: state, slowdown: slowdown) else { return nil }
      busy.append(left)
    }
    var jobs: [Double] = []
    for (index, entry) in entries.enumerated()
    where !isDone[index] && !failedRuns.contains(entry.run) && !runningRuns.contains(entry.run) {
      guard let seconds = cost.seconds(entry) else { return nil }
      jobs.append(seconds * slowdown)
    }
    return CostEstimate.makespan(
      jobs, workers: max(workers ?? running.count, 1), busyUntil: busy)
  }

  /// Of a running run: at first what is left of its estimate, towards its end what its own speed says.
  private func secondsLeft(of state: Running, slowdown: Double) -> Double? {
    let bySpeed = state.heartbeat?.secondsLeft
    guard cost.knows(state.entry), let whole = cost.seconds(state.entry) else {
      return bySpeed ?? cost.seconds(state.entry).map { $0 * slowdown }
    }
    guard let heartbeat = state.heartbeat, let progress = heartbeat.progress else {
      return whole * slowdown
    }
    let episodes = Double(max(progress.episodes, 1))
    // An attempt that goes on from a checkpoint has only the rest to do.
    let share = 1 - Double(max(heartbeat.firstEpisode - 1, 0)) / episodes
    let byEstimate = whole * slowdown * share - heartbeat.elapsed
    guard let bySpeed else { return max(byEstimate, 0) }
    let done = Double(progress.episode) / episodes
    return byEstimate < 0 ? bySpeed : (1 - done) * byEstimate + done * bySpeed
  }

  /// Seconds without progress after which a running run is called quiet.
  public static let quietAfter = 600.0

  // MARK: For people and programs

  /// One line: `12/40 done, 2 running, 1 failed, 25 waiting, 3 min left`.
  public func line(workers: Int? = nil) -> String {
    var parts = ["\(done)/\(entries.count) done"]
    if !running.isEmpty { parts.append("\(running.count) running") }
    if !failed.isEmpty { parts.append("\(failed.count) failed") }
    if waiting > 0 { parts.append("\(waiting) waiting") }
    if !isSettled, let left = secondsLeft(workers: workers) {
      parts.append("\(SweepStatus.duration(left)) left")
    }
    return parts.joined(separator: ", ")
  }

  /// A duration as people say it: `0.35 s`, `45 s`, `12 min`, `3.5 h`, `2.1 days`.
  public static func duration(_ seconds: Double) -> String {
    func tenth(_ value: Double) -> String { CSVWriter.text(of: (value * 10).rounded() / 10) }
    switch seconds {
    case ..<9.95: return "\(short(max(seconds, 0), digits: 2)) s"
    case ..<90: return "\(Int(seconds.rounded())) s"
    case ..<5400: return "\(Int((seconds / 60).rounded())) min"
    case ..<172_800: return "\(tenth(seconds / 3600)) h"
    default: return "\(tenth(seconds / 86_400)) days"
    }
  }

  /// Processor time as people say it: seconds, minutes or hours.
  static func processorTime(_ seconds: Double) -> String {
    switch seconds {
    case ..<90: return "\(short(seconds, digits: 2)) CPU-seconds"
    case ..<5400: return "\(short(seconds / 60, digits: 2)) CPU-minutes"
    default: return "\(short(seconds / 3600, digits: 2)) CPU-hours"
    }
  }

  /// A table of what runs and what failed.
  public var report: String {
    var text = line() + "\n"
    if interrupted > 0 {
      text += "\(interrupted) of the waiting were interrupted and go on from their checkpoints\n"
    }
    if !running.isEmpty { text += "\nrunning:\n" }
    for state in running {
      var parts: [String] = []
      if let heartbeat = state.heartbeat {
        if let progress = heartbeat.progress {
          parts.append("\(progress.stage) \(progress.episode)/\(progress.episodes)")
        }
        if let speed = heartbeat.speed {
          parts.append("\(short(speed, digits: 2)) episodes/s")
        }
        if let left = heartbeat.secondsLeft {
          parts.append("\(SweepStatus.duration(left)) left")
        }
        if heartbeat.quiet > SweepStatus.quietAfter {
          parts.append("NO PROGRESS for \(SweepStatus.duration(heartbeat.quiet))")
        }
      }
      if let silence = state.silence, silence > 30 {
        parts.append("no sign of life for \(SweepStatus.duration(silence))")
      }
      if let learning = state.learning { parts.append(learning.sentence) }
      let place = state.owner.map { "\($0.host):\($0.process)" } ?? "?"
      text +=
        "  \(state.entry.run.prefix(12))  \(state.entry.label)  [\(place), attempt \(state.attempt)]"
        + "  \(parts.joined(separator: ", "))\n"
    }
    text += failureReport
    return text
  }

  /// The failed runs with their causes; empty without any.
  public var failureReport: String {
    guard !failed.isEmpty else { return "" }
    var text = "\nfailed:\n"
    for failure in failed {
      let attempts = failure.attempts == 1 ? "1 attempt" : "\(failure.attempts) attempts"
      text +=
        "  \(failure.entry.run.prefix(12))  \(failure.entry.label)  after \(attempts)"
        + " (\(failure.end.kind.rawValue)): \(failure.end.message)\n"
        + "      log: \(ledger.attemptFolder(failure.entry.run, failure.attempts))/log\n"
    }
    return text + "Once the causes are removed, 'veclab run --retry failed' tries them again.\n"
  }

  public var json: JSONValue {
    func number(_ value: Double?) -> JSONValue { value.map { .number($0) } ?? .null }
    return .object([
      "total": .integer(entries.count), "done": .integer(done), "waiting": .integer(waiting),
      "interrupted": .integer(interrupted), "secondsLeft": number(secondsLeft()),
      "checked": .text("presence of each result's manifest; 'veclab run' verifies contents"),
      "running": .list(
        running.map { state in
          let heartbeat = state.heartbeat
          return .object([
            "run": .text(state.entry.run), "label": .text(state.entry.label),
            "attempt": .integer(state.attempt),
            "host": state.owner.map { .text($0.host) } ?? .null,
            "process": state.owner.map { .integer($0.process) } ?? .null,
            "stage": (heartbeat?.progress?.stage).map { .text($0) } ?? .null,
            "episode": (heartbeat?.progress?.episode).map { .integer($0) } ?? .null,
            "episodes": (heartbeat?.progress?.episodes).map { .integer($0) } ?? .null,
            "episodesPerSecond": number(heartbeat?.speed),
            "secondsLeft": number(heartbeat?.secondsLeft),
            "secondsWithoutProgress": number(heartbeat?.quiet),
            "secondsWithoutSignOfLife": number(state.silence),
            "memoryMiB": number(heartbeat?.memory),
            "learning": state.learning?.json ?? .null,
          ])
        }),
      "failed": .list(
        failed.map { failure in
          .object([
            "run": .text(failure.entry.run), "label": .text(failure.entry.label),
            "attempts": .integer(failure.attempts), "kind": .text(failure.end.kind.rawValue),
            "cause": .text(failure.end.message),
          ])
        }),
    ])
  }
}
