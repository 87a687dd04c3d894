internal import Glibc
internal import Plan
internal import Runs
internal import Support
internal import Synchronization

/// The thread of a worker that beats for its current attempt and holds it to its limits.
///
/// A run that exceeds a limit may be stuck anywhere, so the process ends with it: the cause is recorded first and
/// the coordinator starts another worker.
final class AttemptWatch: Sendable {
  static let beatInterval = 1.0
  private static let checkInterval: UInt32 = 100_000  // microseconds

  private let limits: RunLimits
  private let current = Mutex<(attempt: RunAttempt, isLimited: Bool)?>(nil)
  /// What ends the process: a test can watch instead.
  private let endProcess: @Sendable (WorkerExit) -> Void

  init(
    limits: RunLimits, end: @escaping @Sendable (WorkerExit) -> Void = { _exit($0.rawValue) }
  ) {
    self.limits = limits
    endProcess = end
    detachThread { [weak self] in
      var lastBeat = monotonicSeconds()
      while true {
        usleep(AttemptWatch.checkInterval)
        guard let self else { return }
        let isTimeToBeat = monotonicSeconds() - lastBeat >= AttemptWatch.beatInterval
        if isTimeToBeat { lastBeat = monotonicSeconds() }
        self.check(beats: isTimeToBeat)
      }
    }
  }

  func begin(_ attempt: RunAttempt) { current.withLock { $0 = (attempt, true) } }

  /// After this no limit can end the attempt any more: it is about to publish.
  func liftLimits() { current.withLock { $0?.isLimited = false } }

  func end() { current.withLock { $0 = nil } }

  private func check(beats: Bool) {
    // The lock is held while a limit is enforced, so that an attempt cannot publish meanwhile.
    current.withLock { current in
      guard let (attempt, isLimited) = current else { return }
      if beats { attempt.beat() }
      guard isLimited else { return }
      var exceeded: AttemptEnd?
      if let limit = limits.time, attempt.elapsed > limit {
        exceeded = AttemptEnd(
          .timeLimit,
          "took longer than its limit of \(Int(limit)) s; raise limits.time or run less of it")
      }
      if let limit = limits.memory {
        let used = residentMemory()
        if used > limit {
          exceeded = AttemptEnd(
            .outOfMemory,
            "used \(Int(used)) MiB where its limit is \(Int(limit)) MiB; raise limits.memory")
        }
      }
      if let exceeded {
        try? attempt.close(exceeded)
        endProcess(.limit)
      }
    }
  }
}
