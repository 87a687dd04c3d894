internal import Glibc
internal import Logging
internal import Support
internal import Synchronization

/// Writes the lines of one attempt to its `log` file.
struct AttemptLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .info
  let file: AttemptLogFile

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    file.append("\(Provenance.timeOfDay()) \(event.level) \(event.message)\n")
  }
}

/// The open `log` file of an attempt.
package final class AttemptLogFile: Sendable {
  package let descriptor: Int32

  init(path: String) throws {
    descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw Files.failure("create the log", path) }
  }

  deinit { close(descriptor) }

  /// A log line that cannot be written is lost; the run goes on.
  func append(_ text: String) {
    let bytes = Array(text.utf8)
    bytes.withUnsafeBytes { _ = write(descriptor, $0.baseAddress, $0.count) }
  }

  var logger: Logger {
    Logger(label: "run") { _ in AttemptLogHandler(file: self) }
  }
}
