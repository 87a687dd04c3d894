internal import CProcess
internal import Glibc
internal import Runs
internal import Support
internal import Synchronization

/// Exit codes of `veclab worker` (those of sysexits.h).
public enum WorkerExit: Int32, Sendable {
  /// Nothing is left that this worker could do.
  case done = 0
  /// The command or its files are wrong.
  case usage = 64
  /// A run reached its limit of time or memory; the process ended to get rid of it.
  case limit = 71
  /// The results folder cannot be written.
  case storage = 74
  /// Stopped on request; runs are left.
  case stopped = 75
}

/// What a worker sets up for its own process: signals, crash records, death with its coordinator.
public enum WorkerProcess {
  /// Requests to stop so far: one means at the next checkpoint, a second one now.
  private static let requests = Atomic<Int>(0)

  /// Whether somebody asked this process to stop.
  public static var shouldStop: Bool { requests.load(ordering: .relaxed) > 0 }

  /// Handles SIGTERM and SIGINT: the first asks for a checkpoint and an end, the second ends at once.
  ///
  /// - Parameter ignoresInterrupts: for a worker whose coordinator gets the terminal's Ctrl-C too.
  public static func handleSignals(ignoresInterrupts: Bool) {
    signal(SIGPIPE, SIG_IGN)
    for number in [SIGTERM, SIGINT] {
      if number == SIGINT && ignoresInterrupts {
        signal(SIGINT, SIG_IGN)
        continue
      }
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in
        if WorkerProcess.requests.add(1, ordering: .relaxed).newValue > 1 { _exit(128 + number) }
      }
      action.sa_flags = SA_RESTART
      sigaction(number, &action, nil)
    }
    CrashRecord.install()
  }

  /// Ends this process when the thread that started it ends, and in any case after so many seconds.
  public static func dieWithParent(orAfter seconds: UInt32) {
    _ = process_signal_on_parent_death(SIGKILL)
    alarm(seconds)
  }

  /// Ends this process as soon as its coordinator is gone, by two means that cover each other.
  ///
  /// The kernel's signal on the death of the parent's thread reaches a stopped or busy process; the lifeline, a
  /// pipe at standard input that only the coordinator holds the other end of, also covers a coordinator that died
  /// before the first was asked for.
  public static func dieWithCoordinator() {
    _ = process_signal_on_parent_death(SIGKILL)
    detachThread {
      var byte: UInt8 = 0
      while true {
        let count = read(STDIN_FILENO, &byte, 1)
        if count == 0 || (count < 0 && errno != EINTR) { _exit(128 + SIGKILL) }
      }
    }
  }

  /// Tells the kernel to prefer this process over others when memory runs out.
  public static func volunteerForMemory() {
    let descriptor = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = "500".withCString { write(descriptor, $0, 3) }
    close(descriptor)
  }
}
