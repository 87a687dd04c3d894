internal import CProcess
internal import Glibc
internal import Support

/// A small process between a worker and an external agent: whatever the agent leaves behind ends with the worker.
///
/// It adopts the agent's orphans. When the agent ends, its other processes are killed; when the worker is gone,
/// however it ended, all are. If the guard itself is killed, the kernel kills the agent.
public enum AgentGuard {
  /// Hidden command of the program that starts a guard.
  public static let command = "agent-guard"

  /// Runs a command line under guard; standard input and output are the command's alone.
  ///
  /// - Parameters:
  ///   - parent: process that must live.
  ///   - command: program and arguments.
  /// - Returns: never; ends as the command ended.
  public static func run(parent: Int32, command: [String]) -> Never {
    signal(SIGINT, SIG_IGN)
    signal(SIGTERM, SIG_IGN)
    _ = process_adopt_orphans()
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
    arguments.append(nil)
    let agent = process_start_dying_with_parent(arguments)
    if agent < 0 {
      perror("fork")
      _exit(126)
    }
    // The agent's ends of the pipes must be closed when the agent closes them.
    close(STDIN_FILENO)
    close(STDOUT_FILENO)
    let own = getpid()
    detachThread {
      while getppid() == parent { usleep(100_000) }
      ProcessTree.killDescendants(of: own)
      _exit(128 + SIGKILL)
    }
    var end: Int32 = 0
    while true {
      var status: Int32 = 0
      let process = waitpid(-1, &status, 0)
      if process < 0 && errno != EINTR { break }
      if process == agent {
        end = status
        ProcessTree.killDescendants(of: own)
      }
    }
    leave(status: end)
  }

  private static func leave(status: Int32) -> Never {
    let number = status & 0x7f
    if number == 0 { _exit((status >> 8) & 0xff) }
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    signal(number, SIG_DFL)
    kill(getpid(), number)
    // Another thread may be the one that takes it.
    sleep(1)
    _exit(128 + number)
  }
}
