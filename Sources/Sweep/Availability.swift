internal import Glibc
internal import Support
internal import Synchronization

/// How much of a processor each of some workers would get now, beside whatever else the machine does.
public enum Availability {
  private final class Threads: Sendable {
    let processorTime = Mutex<[Double]>([])
  }

  /// Runs as many threads as there would be workers for a moment, and compares the processor time that they got with
  /// the time that passed.
  ///
  /// - Returns: from 0.01 to 1.
  public static func share(workers: Int, seconds: Double = 0.6) -> Double {
    let count = max(workers, 1)
    let threads = Threads()
    for _ in 0..<count {
      detachThread {
        let end = monotonicSeconds() + seconds
        let start = threadSeconds()
        while monotonicSeconds() < end {}
        let used = threadSeconds() - start
        threads.processorTime.withLock { $0.append(used) }
      }
    }
    while threads.processorTime.withLock({ $0.count }) < count { usleep(10_000) }
    let used = threads.processorTime.withLock { $0.reduce(0, +) }
    return min(max(used / (Double(count) * seconds), 0.01), 1)
  }

  private static func threadSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
