internal import Glibc

/// Seconds of a clock that nobody can set.
public func monotonicSeconds() -> Double { seconds(of: CLOCK_MONOTONIC) }

/// Seconds of processor time that this process has used, all threads together.
public func processorSeconds() -> Double { seconds(of: CLOCK_PROCESS_CPUTIME_ID) }

private func seconds(of clock: clockid_t) -> Double {
  var time = timespec()
  clock_gettime(clock, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
