internal import Glibc

/// Seconds of a clock that nobody can set.
public func monotonicSeconds() -> Double { seconds(of: CLOCK_MONOTONIC) }

/// Seconds of processor time that this process has used, all threads and its ended children together.
public func processorSeconds() -> Double {
  var children = rusage()
  getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &children)
  return [children.ru_utime, children.ru_stime].reduce(seconds(of: CLOCK_PROCESS_CPUTIME_ID)) {
    $0 + Double($1.tv_sec) + Double($1.tv_usec) * 1e-6
  }
}

private func seconds(of clock: clockid_t) -> Double {
  var time = timespec()
  clock_gettime(clock, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
