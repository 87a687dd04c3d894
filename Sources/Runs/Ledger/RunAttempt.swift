internal import ExternalAgents
internal import Glibc
internal import Logging
package import Plan
internal import Support
internal import Synchronization

/// Thrown inside a run whose attempt has been taken over by another process.
package struct AttemptSuperseded: Error {}

/// A claimed attempt at a run, and the context that the run is executed in.
package final class RunAttempt: RunContext, Sendable {
  let ledger: RunLedger
  package let specification: RunSpecification
  package let number: Int
  package let logFile: AttemptLogFile
  let logger: Logger
  /// The learning curve of a running attempt.
  package static let curveFileName = "progress.csv"

  private let heartbeatFile: HeartbeatFile
  private let start = monotonicSeconds()
  private let startOfDay = Provenance.timeOfDay()
  private let processorStart = workSeconds()
  private let isStopRequested: @Sendable () -> Bool

  private struct Pulse {
    var heartbeat = Heartbeat()
    var lastReport: Double
    var isSuperseded = false
    var checkpointFailures = 0
    var resumedFrom: String?
    /// Instruction set that a learner was made with.
    var instructionSet: String?
    var beatFailed = false
    /// Frequent checkpoints are logged once a minute.
    var nextCheckpointLine = 0.0
  }
  private let pulse: Mutex<Pulse>

  /// Opens the files of an attempt that this process has just claimed.
  package init(
    ledger: RunLedger, specification: RunSpecification, number: Int,
    isStopRequested: @escaping @Sendable () -> Bool
  ) throws {
    self.ledger = ledger
    self.specification = specification
    self.number = number
    self.isStopRequested = isStopRequested
    let folder = ledger.attemptFolder(specification.id, number)
    heartbeatFile = try HeartbeatFile(path: folder + "/heartbeat")
    logFile = try AttemptLogFile(path: folder + "/log")
    logger = logFile.logger
    pulse = Mutex(Pulse(lastReport: start))
    try Files.remove(self.folder)
    try Files.makeFolder(self.folder)
    try heartbeatFile.write(Heartbeat())
    logger.info(
      "attempt \(number) at run \(specification.id) begins: process \(getpid()) on \(ClaimOwner.current.host)"
    )
  }

  package var attemptFolder: String { ledger.attemptFolder(specification.id, number) }
  package var elapsed: Double { monotonicSeconds() - start }

  // MARK: What the run sees

  package var folder: String { attemptFolder + "/result" }

  package func latestCheckpoint(passing check: ([UInt8]) throws -> Void) throws -> [UInt8]? {
    let store = CheckpointStore(ledger: ledger, run: specification.id)
    let (found, skipped) = try store.newest(passing: check)
    for sentence in skipped { logger.warning("\(sentence)") }
    guard let found else {
      let reason = skipped.isEmpty ? "there is no checkpoint" : "no checkpoint can be used"
      logger.info("starts anew: \(reason)")
      return nil
    }
    let origin = "checkpoint \(found.number) of attempt \(found.attempt)"
    logger.info("goes on from \(origin)")
    pulse.withLock { $0.resumedFrom = origin }
    return found.bytes
  }

  package func note(instructionSet: String) {
    let preferred = Provenance.instructionSet
    let reason =
      instructionSet == preferred
      ? "" : ": the run was begun with it (\(preferred) would be chosen here)"
    logger.info("trains with instruction set \(instructionSet)\(reason)")
    pulse.withLock { $0.instructionSet = instructionSet }
  }

  /// A checkpoint that cannot be written is reported and missed, but no reason to give the run up.
  package func saveCheckpoint(_ bytes: [UInt8]) throws {
    try checkOwnership()
    do {
      try CheckpointStore(ledger: ledger, run: specification.id).save(bytes, attempt: number)
      let isNews = pulse.withLock { pulse in
        guard elapsed >= pulse.nextCheckpointLine else { return false }
        pulse.nextCheckpointLine = elapsed + 60
        return true
      }
      if isNews {
        logger.info("saved a checkpoint of \(bytes.count) bytes after \(Int(elapsed)) s")
      }
    } catch let error as InputError {
      pulse.withLock { $0.checkpointFailures += 1 }
      logger.error("checkpoint not saved, the run goes on without it: \(error)")
    }
  }

  package func report(_ progress: RunProgress) throws {
    let isSuperseded = pulse.withLock { pulse in
      let elapsed = elapsed
      if pulse.heartbeat.progress == nil {
        pulse.heartbeat.firstEpisode = progress.episode
        pulse.heartbeat.firstElapsed = elapsed
      }
      pulse.heartbeat.progress = progress
      pulse.lastReport = start + elapsed
      return pulse.isSuperseded
    }
    if isSuperseded { throw AttemptSuperseded() }
  }

  /// A curve that cannot be written is missed by those who watch; the run goes on.
  package func show(curve lines: [UInt8]) {
    let path = attemptFolder + "/" + RunAttempt.curveFileName
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
    guard file >= 0 else { return }
    defer { Glibc.close(file) }
    try? lines.withUnsafeBytes { try Files.writeAll($0, to: file, path: path) }
  }

  package var shouldStop: Bool { isStopRequested() || pulse.withLock { $0.isSuperseded } }

  /// Whether the run was given a checkpoint and has not told of any progress since.
  package var isRestoring: Bool {
    pulse.withLock { $0.resumedFrom != nil && $0.heartbeat.progress == nil }
  }

  // MARK: What the worker does

  /// Throws when another process has taken the run over: asked before everything that others can see.
  package func checkOwnership() throws {
    if ledger.isSuperseded(specification.id, attempt: number) {
      pulse.withLock { $0.isSuperseded = true }
      throw AttemptSuperseded()
    }
  }

  /// One sign of life, and a look whether the attempt is still this process's; from the watching thread.
  package func beat() {
    let isSuperseded = ledger.isSuperseded(specification.id, attempt: number)
    let memory = residentMemory()
    let heartbeat = pulse.withLock { pulse in
      pulse.isSuperseded = pulse.isSuperseded || isSuperseded
      pulse.heartbeat.beat += 1
      pulse.heartbeat.elapsed = elapsed
      pulse.heartbeat.quiet = start + pulse.heartbeat.elapsed - pulse.lastReport
      pulse.heartbeat.memory = memory
      return pulse.heartbeat
    }
    do {
      try heartbeatFile.write(heartbeat)
    } catch {
      let isFirst = pulse.withLock { pulse in
        defer { pulse.beatFailed = true }
        return !pulse.beatFailed
      }
      if isFirst { logger.error("no heartbeat: \(error)") }
    }
  }

  /// Publishes the folder's files with their provenance.
  package func publish() throws -> Publication.Outcome {
    try checkOwnership()
    try Files.writeSynchronised(
      Array(provenance.readable.utf8), to: folder + "/" + Provenance.fileName)
    return try Publication(ledger: ledger, specification: specification).publish(folder)
  }

  /// Records how the attempt ended and drops what it has written so far.
  package func close(_ end: AttemptEnd) throws {
    var end = end
    let store = CheckpointStore(ledger: ledger, run: specification.id)
    end.hasAdvanced = !store.numbers(attempt: number).isEmpty
    if end.kind == .finished || end.kind == .superseded {
      logger.info("ends: \(end.message)")
    } else {
      logger.error("ends (\(end.kind.rawValue)): \(end.message)")
    }
    if end.kind != .finished { try? Files.remove(folder) }
    try ledger.record(end, run: specification.id, attempt: number, overwriting: true)
  }

  private var provenance: JSONValue {
    let pulse = pulse.withLock { $0 }
    var facts = Provenance.facts(
      start: startOfDay, seconds: elapsed, cpuSeconds: workSeconds() - processorStart)
    facts["instructionSet"] = .text(pulse.instructionSet ?? Provenance.instructionSet)
    facts["attempt"] = .integer(number)
    if let progress = pulse.heartbeat.progress {
      facts["episodes"] = .integer(progress.episodes)
      facts["episodesOfThisAttempt"] = .integer(
        progress.episode - pulse.heartbeat.firstEpisode + 1)
    }
    if let origin = pulse.resumedFrom { facts["resumedFrom"] = .text(origin) }
    if pulse.checkpointFailures > 0 {
      facts["checkpointsNotSaved"] = .integer(pulse.checkpointFailures)
    }
    let earlier = (try? ledger.attempts(specification.id).filter { $0 < number }) ?? []
    facts["earlierAttempts"] = .list(
      earlier.map { attempt in
        let end =
          ledger.end(of: specification.id, attempt: attempt)
          ?? ledger.endOfDead(specification.id, attempt: attempt)
        return .object([
          "attempt": .integer(attempt), "kind": .text(end.kind.rawValue),
          "message": .text(end.message),
          "host": .text(ledger.owner(of: specification.id, attempt: attempt)?.host ?? ""),
        ])
      })
    return .object(facts)
  }
}

/// Resident memory of this process and its external agent in MiB.
package func residentMemory() -> Double { ownMemory() + AgentProcesses.residentMemory }

/// Processor seconds of this process and its external agent.
package func workSeconds() -> Double { processorSeconds() + AgentProcesses.processorSeconds }

private func ownMemory() -> Double {
  guard let bytes = try? Files.read("/proc/self/statm") else { return 0 }
  let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
  guard fields.count > 1, let pages = Double(fields[1]) else { return 0 }
  return pages * Double(sysconf(Int32(_SC_PAGESIZE))) / 1_048_576
}
