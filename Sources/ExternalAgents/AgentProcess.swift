internal import Glibc
internal import Subprocess
internal import Support
internal import Synchronization
internal import SystemPackage

/// How to start an external agent.
public struct AgentCommand: Sendable {
  /// Name in the experiment file.
  public var name: String
  /// Program and arguments.
  public var command: [String]
  /// Folder that it runs in.
  public var folder: String
  /// Seconds that its start, and any other answer, may take.
  public var startup: Double
  public var silence: Double
  /// The program that guards it: this one.
  public var launcher: String

  public init(
    name: String, command: [String], folder: String, startup: Double = 120, silence: Double = 60,
    launcher: String
  ) {
    self.name = name
    self.command = command
    self.folder = folder
    self.startup = startup
    self.silence = silence
    self.launcher = launcher
  }
}

/// Why an external agent's run cannot go on; another attempt would meet the same.
public struct AgentFault: Error, CustomStringConvertible {
  public let description: String

  /// - Parameters:
  ///   - problem: what happened, as in `agent 'x' <problem>`.
  ///   - lastLines: the end of what it printed to standard error.
  init(agent: String, problem: String, lastLines: [String]) {
    var text = "agent '\(agent)' \(problem)"
    if !lastLines.isEmpty {
      text += ". Its last lines on standard error: " + lastLines.joined(separator: " | ")
    }
    description = text
  }
}

/// Thrown when somebody asked the worker to stop and the agent's episode does not end in time.
public struct AgentInterrupted: Error {}

/// A running external agent: lines to and from it, each within a limit of time.
final class AgentProcess: Sendable {
  /// Longest line that an agent may answer.
  static let longestAnswer = 1 << 20
  /// Seconds that an episode may go on after a request to stop.
  static let stopGrace = 10.0
  private static let slice = 0.1

  private enum End {
    case status(TerminationStatus)
    case notStarted(String)
  }
  private struct State {
    var process: Int32?
    var end: End?
    var stopDeadline: Double?
  }

  let command: AgentCommand
  private let state = Mutex(State())
  private let toAgent: Int32
  private let fromAgent: Int32
  private let errors: ErrorStream
  private let shouldStop: @Sendable () -> Bool
  private let received = Mutex<[UInt8]>([])

  /// Starts the agent.
  ///
  /// - Parameter shouldStop: asked while an answer is waited for.
  init(_ command: AgentCommand, shouldStop: @escaping @Sendable () -> Bool) throws {
    self.command = command
    self.shouldStop = shouldStop
    let input = try AgentProcess.pipe()
    let output = try AgentProcess.pipe()
    let messages = try AgentProcess.pipe()
    toAgent = input.writer
    fromAgent = output.reader
    errors = ErrorStream(reader: messages.reader)
    for end in [toAgent, fromAgent] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    start(input: input.reader, output: output.writer, errors: messages.writer)
  }

  deinit {
    close(toAgent)
    close(fromAgent)
  }

  private static func pipe() throws -> (reader: Int32, writer: Int32) {
    var ends: [Int32] = [0, 0]
    guard Glibc.pipe(&ends) == 0 else { throw Files.failure("open", "a pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }

  /// Variables that are set unless the user has: one core a worker, and the same hashes in every process.
  private static var environment: Subprocess.Environment {
    var values: [Subprocess.Environment.Key: String?] = [:]
    let defaults = [
      "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
      "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1",
    ]
    for (key, value) in defaults where getenv(key) == nil {
      values[Subprocess.Environment.Key(stringLiteral: key)] = value
    }
    return .inherit.updating(values)
  }

  private func start(input: Int32, output: Int32, errors: Int32) {
    let command = command
    Task.detached { [self] in
      let end: End
      do {
        let result = try await Subprocess.run(
          .path(FilePath(command.launcher)),
          arguments: Arguments([AgentGuard.command, "\(getpid())", "--"] + command.command),
          environment: AgentProcess.environment, workingDirectory: FilePath(command.folder),
          input: .fileDescriptor(FileDescriptor(rawValue: input), closeAfterSpawningProcess: true),
          output: .fileDescriptor(
            FileDescriptor(rawValue: output), closeAfterSpawningProcess: true),
          error: .fileDescriptor(FileDescriptor(rawValue: errors), closeAfterSpawningProcess: true)
        ) { execution in
          let process = execution.processIdentifier.value
          AgentProcesses.add(process)
          self.state.withLock { $0.process = process }
        }
        end = .status(result.terminationStatus)
      } catch {
        end = .notStarted("\(error)")
      }
      state.withLock { state in
        if let process = state.process { AgentProcesses.remove(process) }
        state.end = end
      }
    }
  }

  // MARK: Messages

  /// What the agent owes while something is waited for, for the sentence about its failure.
  struct Duty {
    let limit: Double
    private let text: () -> String

    init(limit: Double, _ message: @autoclosure @escaping () -> String) {
      self.limit = limit
      text = message
    }

    var message: String { text() }
  }

  /// Writes a message.
  func send(_ bytes: [UInt8], _ duty: Duty) throws {
    let deadline = monotonicSeconds() + duty.limit
    var position = 0
    while position < bytes.count {
      let count = bytes.withUnsafeBytes {
        write(toAgent, $0.baseAddress! + position, bytes.count - position)
      }
      if count > 0 {
        position += count
      } else if errno == EAGAIN {
        try wait(for: POLLOUT, on: toAgent, until: deadline) {
          self.fault("has not read \(duty.message) for \(AgentProcess.text(duty.limit)) s")
        }
      } else if errno != EINTR {
        throw ended("closed its standard input", before: duty)
      }
    }
  }

  /// Reads the next line, without its line feed.
  func receive(_ duty: Duty) throws -> [UInt8] {
    let deadline = monotonicSeconds() + duty.limit
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      if let line = received.withLock({ AgentProcess.takeLine(&$0) }) { return line }
      let count = read(fromAgent, &chunk, chunk.count)
      if count > 0 {
        let length = received.withLock { buffer in
          buffer.append(contentsOf: chunk[..<count])
          return buffer.count
        }
        let hasLine = chunk[..<count].contains(10)
        if length > AgentProcess.longestAnswer, !hasLine {
          let start = received.withLock { AgentAnswer.quoted($0) }
          throw fault(
            "answered \(duty.message) with a line of more than \(AgentProcess.longestAnswer) bytes, which begins "
              + start)
        }
      } else if count == 0 {
        throw ended("closed its standard output", before: duty)
      } else if errno == EAGAIN {
        try wait(for: POLLIN, on: fromAgent, until: deadline) {
          self.fault("has not answered \(duty.message) for \(AgentProcess.text(duty.limit)) s")
        }
      } else if errno != EINTR {
        throw ended("closed its standard output", before: duty)
      }
    }
  }

  private static func takeLine(_ buffer: inout [UInt8]) -> [UInt8]? {
    guard let end = buffer.firstIndex(of: 10) else { return nil }
    let line = Array(buffer[..<end])
    buffer.removeSubrange(...end)
    return line
  }

  private static func text(_ seconds: Double) -> String { CSVWriter.text(of: seconds) }

  /// Waits until a pipe is ready, looking up now and then for a request to stop.
  private func wait(
    for event: Int32, on descriptor: Int32, until deadline: Double, late: () -> AgentFault
  ) throws {
    while true {
      let now = monotonicSeconds()
      if now >= deadline { throw late() }
      var request = pollfd(fd: descriptor, events: Int16(event), revents: 0)
      let slice = min(AgentProcess.slice, deadline - now)
      if poll(&request, 1, Int32((slice * 1000).rounded(.up))) > 0 { return }
      try checkStop()
    }
  }

  /// Gives up an episode that goes on too long after a request to stop.
  func checkStop() throws {
    guard shouldStop() else { return }
    let now = monotonicSeconds()
    let deadline = state.withLock { state in
      if state.stopDeadline == nil { state.stopDeadline = now + AgentProcess.stopGrace }
      return state.stopDeadline ?? now
    }
    if now > deadline { throw AgentInterrupted() }
  }

  // MARK: Its end

  func fault(_ problem: String) -> AgentFault {
    // What it printed last may still be on the way.
    if state.withLock({ $0.end != nil }) { errors.waitForEnd(seconds: 1) }
    return AgentFault(agent: command.name, problem: problem, lastLines: errors.lastLines)
  }

  /// The fault of an agent whose pipe has ended: most likely it is gone.
  private func ended(_ what: String, before duty: Duty) -> AgentFault {
    switch waitForEnd(seconds: 2) {
    case .status(.exited(let code)):
      return fault("ended with exit code \(code) before it answered \(duty.message)")
    case .status(.signaled(let number)):
      let memory = number == SIGKILL ? " (the kernel kills so when memory runs out)" : ""
      return fault("was killed by signal \(number)\(memory) before it answered \(duty.message)")
    case .notStarted(let problem):
      return fault("could not be started: \(problem)")
    case nil:
      return fault("\(what) before it answered \(duty.message)")
    }
  }

  private func waitForEnd(seconds: Double) -> End? {
    let deadline = monotonicSeconds() + seconds
    while true {
      if let end = state.withLock({ $0.end }) { return end }
      if monotonicSeconds() > deadline { return nil }
      usleep(1000)
    }
  }

  /// Waits for the agent to leave by itself after its last message.
  ///
  /// - Returns: what was not as it should be; nil if all was.
  func leave(within seconds: Double) -> String? {
    shutDownInput()
    switch waitForEnd(seconds: seconds) {
    case .status(.exited(0)): return nil
    case .status(.exited(let code)): return "ended with exit code \(code) after 'end'"
    case .status(.signaled(let number)): return "was killed by signal \(number) after 'end'"
    case .notStarted(let problem): return "could not be started: \(problem)"
    case nil: return "had not ended \(AgentProcess.text(seconds)) s after 'end' and was killed"
    }
  }

  /// The agent reads the end of the file from now on.
  private func shutDownInput() {
    let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
    if null >= 0 {
      dup2(null, toAgent)
      _ = fcntl(toAgent, F_SETFD, FD_CLOEXEC)
      close(null)
    }
  }

  /// Kills the agent and all that it started, and waits until they are gone.
  func terminate() {
    let deadline = monotonicSeconds() + 5
    while state.withLock({ $0.end == nil }) && monotonicSeconds() < deadline {
      // A request that comes while the process is still being started waits for it.
      if let process = state.withLock({ $0.process }) {
        ProcessTree.killDescendants(of: process)
        if waitForEnd(seconds: 0.5) == nil { kill(process, SIGKILL) }
      }
      usleep(1000)
    }
    errors.waitForEnd(seconds: 1)
  }
}

/// The external agents that run below this process: their memory and time count as its own.
public enum AgentProcesses {
  private static let guards = Mutex<Set<Int32>>([])

  static func add(_ process: Int32) { _ = guards.withLock { $0.insert(process) } }
  static func remove(_ process: Int32) { _ = guards.withLock { $0.remove(process) } }

  private static func sum(_ value: (ProcessTree.Member) -> Double) -> Double {
    guards.withLock { Array($0) }.reduce(0) { total, process in
      ProcessTree(root: process).members.reduce(total) { $0 + value($1) }
    }
  }

  /// Resident memory in MiB.
  public static var residentMemory: Double { sum(\.memory) }
  /// Processor seconds of those that still run.
  public static var processorSeconds: Double { sum(\.processorSeconds) }
}

/// Passes an agent's standard error on to this process's, and remembers its last lines.
private final class ErrorStream: Sendable {
  /// What is passed on at most, so that an agent cannot fill the disk.
  private static let mostBytes = 16 << 20
  private static let remembered = 4096

  private struct State {
    var tail: [UInt8] = []
    var isOver = false
  }
  private let state = Mutex(State())

  init(reader: Int32) {
    detachThread { [self] in
      var chunk = [UInt8](repeating: 0, count: 1 << 14)
      var total = 0
      while true {
        let count = read(reader, &chunk, chunk.count)
        if count < 0 && errno == EINTR { continue }
        if count <= 0 { break }
        if total < ErrorStream.mostBytes {
          _ = write(STDERR_FILENO, chunk, count)
          if total + count >= ErrorStream.mostBytes {
            let note = Array("\nveclab: the agent prints too much; the rest is not kept\n".utf8)
            _ = write(STDERR_FILENO, note, note.count)
          }
        }
        total += count
        state.withLock { state in
          state.tail.append(contentsOf: chunk[..<count])
          if state.tail.count > 2 * ErrorStream.remembered {
            state.tail.removeFirst(state.tail.count - ErrorStream.remembered)
          }
        }
      }
      close(reader)
      state.withLock { $0.isOver = true }
    }
  }

  /// Up to eight lines, each of at most 300 characters.
  var lastLines: [String] {
    let text = state.withLock { String(decoding: $0.tail, as: UTF8.self) }
    return text.split(whereSeparator: \.isNewline).suffix(8).map { line in
      String(String.UnicodeScalarView(line.unicodeScalars.prefix(300).filter { $0.value >= 32 }))
    }
  }

  func waitForEnd(seconds: Double) {
    let deadline = monotonicSeconds() + seconds
    while !state.withLock({ $0.isOver }), monotonicSeconds() < deadline { usleep(1000) }
  }
}
