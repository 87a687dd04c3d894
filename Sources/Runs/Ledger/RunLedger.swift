internal import Glibc
internal import Support

/// What happened to the runs of one experiment, kept in files alone.
///
/// Any number of processes on any number of machines may work on one ledger at once:
/// ```
/// FOLDER/runs/<id>/attempts/N/claim       who works on it; made by link(), so one process wins
///                            /heartbeat   overwritten about once a second
///                            /checkpoint-K
///                            /result/     what the run has written so far
///                            /cause.json  how the attempt ended, if not by a result
///                            /log
///                 /result/                published by one rename: whole or not there
///                 /damaged-N/             a result that no longer verified
/// ```
/// No time of day, lock server or database takes part.
public struct RunLedger: Sendable {
  /// Folder of the experiment, e.g. `Results/quickstart`.
  public let folder: String

  public init(folder: String) { self.folder = folder }

  public var runsFolder: String { folder + "/runs" }
  public func runFolder(_ run: String) -> String { runsFolder + "/" + run }
  /// Where a run's published files are; use `isComplete` or `verify` before reading.
  public func resultFolder(_ run: String) -> String { runFolder(run) + "/result" }

  func attemptsFolder(_ run: String) -> String { runFolder(run) + "/attempts" }
  public func attemptFolder(_ run: String, _ attempt: Int) -> String {
    "\(attemptsFolder(run))/\(attempt)"
  }

  /// Whether a run's result is published; a glance, which does not read the files (`verify` does).
  public func isComplete(_ run: String) -> Bool {
    Files.exists(resultFolder(run) + "/" + Manifest.fileName)
  }

  /// Numbers of the attempts so far, ascending.
  public func attempts(_ run: String) throws -> [Int] {
    let folder = attemptsFolder(run)
    guard Files.exists(folder) else { return [] }
    return try Files.list(folder).compactMap { Int($0) }.sorted()
  }

  /// What a look at a run's files shows.
  public enum State: Sendable, Equatable {
    case complete
    /// Nobody works on it; attempt `attempt` may begin `after` seconds from the first look at this state.
    case open(attempt: Int, after: Double)
    /// Somebody holds a claim and is not known to be dead; `heartbeat` is the file as it is.
    case claimed(attempt: Int, owner: ClaimOwner?, heartbeat: [UInt8])
    case failed(AttemptEnd)
  }

  /// Looks at a run's files and changes nothing.
  public func state(of run: String) throws -> State {
    if isComplete(run) { return .complete }
    let attempts = try attempts(run)
    guard let last = attempts.last else { return .open(attempt: 1, after: 0) }
    let folder = attemptFolder(run, last)
    guard Files.exists(folder + "/claim") else { return .open(attempt: last, after: 0) }
    if end(of: run, attempt: last) == nil {
      let owner = owner(of: run, attempt: last)
      if owner?.isProvablyDead != true {
        // The owner may have published between the first question and this one.
        if isComplete(run) { return .complete }
        let heartbeat = (try? Files.read(folder + "/heartbeat")) ?? []
        return .claimed(attempt: last, owner: owner, heartbeat: heartbeat)
      }
      if isComplete(run) { return .complete }
    }
    let ends = ends(of: run, attempts: attempts)
    switch AttemptEnd.verdict(ends) {
    case .again(let delay): return .open(attempt: last + 1, after: delay)
    case .never: return .failed(ends.last ?? AttemptEnd(.failed, "unknown"))
    }
  }

  /// Whether a run's attempts have ended for good without a result.
  public func hasFailed(_ run: String) -> Bool {
    if case .failed? = try? state(of: run) { return true }
    return false
  }

  /// The process that claimed an attempt; nil when the claim cannot be read.
  public func owner(of run: String, attempt: Int) -> ClaimOwner? {
    (try? JSONValue(path: attemptFolder(run, attempt) + "/claim")).flatMap { try? $0.decoded() }
  }

  /// The recorded end of an attempt; nil while it has none.
  public func end(of run: String, attempt: Int) -> AttemptEnd? {
    let path = attemptFolder(run, attempt) + "/cause.json"
    guard Files.exists(path) else { return nil }
    return (try? JSONValue(path: path)).flatMap { try? $0.decoded() }
      ?? AttemptEnd(.lost, "the record of its end cannot be read")
  }

  /// Ends of the attempts that count (those after the last `--retry`), oldest first.
  public func ends(of run: String, attempts: [Int]) -> [AttemptEnd] {
    var ends: [AttemptEnd] = []
    for attempt in attempts.reversed() {
      if Files.exists(attemptFolder(run, attempt) + "/retry") { break }
      ends.append(end(of: run, attempt: attempt) ?? endOfDead(run, attempt: attempt))
    }
    return ends.reversed()
  }

  /// What can be said about an attempt whose process has ended without a word.
  package func endOfDead(_ run: String, attempt: Int) -> AttemptEnd {
    let folder = attemptFolder(run, attempt)
    let hasAdvanced = !CheckpointStore(ledger: self, run: run).numbers(attempt: attempt).isEmpty
    if var crash = CrashRecord.read(folder: folder) {
      crash.hasAdvanced = hasAdvanced
      return crash
    }
    let owner = owner(of: run, attempt: attempt)
    if let owner, owner.memoryRanOutSince {
      return AttemptEnd(
        .outOfMemory,
        "the process disappeared while the kernel was killing for want of memory on \(owner.host)",
        hasAdvanced: hasAdvanced)
    }
    let place = owner.map { " (process \($0.process) on \($0.host))" } ?? ""
    return AttemptEnd(
      .lost, "the process disappeared without a word\(place): killed, or the machine went down",
      hasAdvanced: hasAdvanced)
  }

  /// Records the end of an attempt; with `overwriting` false an end that is already there stays.
  package func record(_ end: AttemptEnd, run: String, attempt: Int, overwriting: Bool) throws {
    let path = attemptFolder(run, attempt) + "/cause.json"
    let bytes = try Array(JSONValue(encoding: end).readable.utf8)
    if overwriting {
      try Files.writeAtomically(bytes, to: path)
      return
    }
    let temporary = "\(path).\(UInt64.random(in: 0...UInt64.max)).tmp"
    try Files.writeSynchronised(bytes, to: temporary)
    defer { unlink(temporary) }
    guard link(temporary, path) == 0 || errno == EEXIST else {
      throw Files.failure("record the end of an attempt in", path)
    }
  }

  /// Lets the runs that have failed be tried again, from their last checkpoints.
  ///
  /// - Returns: identities of the runs it concerns.
  public func forgiveFailures(_ runs: [String]) throws -> [String] {
    try runs.filter { run in
      guard case .failed = try state(of: run), let last = try attempts(run).last else {
        return false
      }
      try Files.writeAtomically("", to: attemptFolder(run, last) + "/retry")
      return true
    }
  }

  /// Whether another attempt has begun since, or a result is there: then this one must give up.
  package func isSuperseded(_ run: String, attempt: Int) -> Bool {
    Files.exists(attemptFolder(run, attempt + 1) + "/claim") || isComplete(run)
  }

  /// Claims an attempt for this process.
  ///
  /// `link()` makes the claim: it succeeds for one process only, on network file systems too, where its answer may
  /// be lost and the link count of the file is what tells.
  ///
  /// - Returns: whether this process now holds it.
  /// - Throws: `InputError` when the folder cannot be written.
  package func claim(_ run: String, attempt: Int) throws -> Bool {
    let folder = attemptFolder(run, attempt)
    try Files.makeFolder(folder)
    let claim = folder + "/claim"
    // Process numbers, and even host names, are not unique among containers.
    let own = "\(claim).\(UInt64.random(in: 0...UInt64.max))"
    let descriptor = open(own, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw Files.failure("claim the run in", own) }
    defer {
      close(descriptor)
      unlink(own)
    }
    let bytes = try Array(JSONValue(encoding: ClaimOwner.claiming).readable.utf8)
    try bytes.withUnsafeBytes { try Files.writeAll($0, to: descriptor, path: own) }
    let outcome = link(own, claim)
    let code = errno
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Files.failure("claim the run in", own) }
    if status.st_nlink == 2 { return true }
    guard outcome == 0 || code == EEXIST else {
      throw Files.failure("claim the run in", claim, code: code)
    }
    return false
  }
}
