internal import Glibc
internal import Support

/// Leaves a word about a crash: a signal handler writes the signal's name into the attempt's folder.
///
/// Everything a handler may touch is prepared before, because it may call almost nothing.
package enum CrashRecord {
  private static let fileName = "crash"
  private static let signals: [(number: Int32, name: String)] = [
    (SIGILL, "SIGILL"), (SIGTRAP, "SIGTRAP"), (SIGSEGV, "SIGSEGV"), (SIGBUS, "SIGBUS"),
    (SIGFPE, "SIGFPE"), (SIGABRT, "SIGABRT"), (SIGXFSZ, "SIGXFSZ"), (SIGXCPU, "SIGXCPU"),
  ]

  private static let pathLength = 4096
  /// Path to create on a crash; empty when no attempt is running.
  private nonisolated(unsafe) static let path: UnsafeMutablePointer<CChar> = {
    let pointer = UnsafeMutablePointer<CChar>.allocate(capacity: pathLength)
    pointer.initialize(repeating: 0, count: pathLength)
    return pointer
  }()
  /// Eight characters of name for each signal number.
  private nonisolated(unsafe) static let names: UnsafeMutablePointer<UInt8> = {
    let pointer = UnsafeMutablePointer<UInt8>.allocate(capacity: 65 * 8)
    pointer.initialize(repeating: UInt8(ascii: " "), count: 65 * 8)
    for (number, name) in signals {
      for (i, byte) in name.utf8.prefix(8).enumerated() { pointer[Int(number) * 8 + i] = byte }
    }
    return pointer
  }()
  private nonisolated(unsafe) static let previous: UnsafeMutablePointer<sigaction> = {
    let pointer = UnsafeMutablePointer<sigaction>.allocate(capacity: 65)
    pointer.initialize(repeating: sigaction(), count: 65)
    return pointer
  }()

  /// Installs the handlers, on a stack of their own so that a stack overflow is recorded too.
  package static func install() {
    _ = (path, names, previous)
    let size = 1 << 16
    var stack = stack_t()
    stack.ss_sp = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
    stack.ss_size = size
    sigaltstack(&stack, nil)
    for (number, _) in signals {
      var action = sigaction()
      action.sa_flags = SA_SIGINFO | SA_ONSTACK
      action.__sigaction_handler.sa_sigaction = { number, information, context in
        if CrashRecord.path[0] != 0 {
          let descriptor = open(CrashRecord.path, O_WRONLY | O_CREAT | O_TRUNC, 0o666)
          if descriptor >= 0 {
            _ = Glibc.write(descriptor, CrashRecord.names + Int(number) * 8, 8)
            close(descriptor)
          }
        }
        // The language's own handler, if there is one, prints a backtrace into the log and returns. The
        // signal is sent again in any case: one that came from outside would else not end the process.
        let before = CrashRecord.previous + Int(number)
        let handler = before.pointee.__sigaction_handler.sa_handler
        if unsafeBitCast(handler, to: Int.self) > 1 {
          if before.pointee.sa_flags & SA_SIGINFO != 0 {
            before.pointee.__sigaction_handler.sa_sigaction(number, information, context)
          } else {
            handler?(number)
          }
        }
        signal(number, SIG_DFL)
        raise(number)
      }
      sigaction(number, &action, previous + Int(number))
    }
  }

  /// From now on crashes are recorded in this folder; nil: nowhere.
  package static func watch(folder: String?) {
    let bytes = Array((folder.map { $0 + "/" + fileName } ?? "").utf8)
    guard bytes.count < pathLength else { return }
    path[0] = 0
    for i in bytes.indices.reversed() {
      path[i + 1] = i + 1 < bytes.count ? CChar(bitPattern: bytes[i + 1]) : 0
    }
    if let first = bytes.first { path[0] = CChar(bitPattern: first) }
  }

  /// How an attempt ended whose crash is recorded in its folder; nil without a record.
  static func read(folder: String) -> AttemptEnd? {
    let file = folder + "/" + fileName
    guard Files.exists(file), let bytes = try? Files.read(file) else { return nil }
    let name = String(decoding: bytes.prefix { $0 != 32 }, as: UTF8.self)
    let sentence = "the process crashed with \(name.isEmpty ? "a signal" : name)"
    guard let cause = cause(log: (try? Files.read(folder + "/log")) ?? []) else {
      return AttemptEnd(.crashed, sentence)
    }
    let failures = ["failed to allocate", "allocate memory", "bad_alloc"]
    guard failures.contains(where: { cause.contains($0) }) else {
      return AttemptEnd(.crashed, "\(sentence): \(cause)")
    }
    return AttemptEnd(
      .outOfMemory,
      "\(sentence): \(cause); make the run smaller, start fewer workers or give them more memory")
  }

  /// The line of a log that tells why the process crashed: the first about a fatal error, else the last error.
  ///
  /// A backtrace that follows may show the same text again, as bytes in a dump of registers or in a line of source.
  private static func cause(log: [UInt8]) -> String? {
    let lines = String(decoding: log, as: UTF8.self).split(separator: "\n").filter { line in
      // Registers and frames: a name or number, then an address.
      !line.split(separator: " ", maxSplits: 3).prefix(3).contains { $0.hasPrefix("0x") }
    }
    let line =
      lines.first { $0.contains("Fatal error") || $0.contains("bad_alloc") }
      ?? lines.last { $0.contains("rror:") }
    return line.map { String($0.prefix(300)) }
  }
}
