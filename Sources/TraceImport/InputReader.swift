import Glibc
import Support
import Trace

/// Reads a file or standard input, plain or gzip, from the beginning to the end.
///
/// One thread at a time may use it.
final class InputReader: @unchecked Sendable {
  /// What errors call the input.
  let name: String
  private let input: RawInput
  private var gzip: GzipStream?
  private var hasBegun = false
  /// Uncompressed bytes that `start` took, those of them that have been read, and the error that came after them.
  private var ahead: [UInt8] = []
  private var aheadRead = 0
  private var delayed: InputError?

  /// - Parameter path: A path, or `-` for standard input.
  init(path: String) throws {
    if path == "-" {
      name = "<standard input>"
      let descriptor = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
      guard descriptor >= 0 else { throw Files.failure("read", name) }
      input = RawInput(name: name, descriptor: descriptor)
      return
    }
    name = path
    if Files.isFolder(path) {
      throw InputError(
        "is a folder", file: path, advice: "Give the floating-car data file in it")
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Files.failure("open", path) }
    input = RawInput(name: path, descriptor: descriptor)
  }

  /// Whether the input is the file of that status.
  func isFile(_ other: stat) -> Bool {
    var status = stat()
    return fstat(input.descriptor, &status) == 0 && status.st_dev == other.st_dev
      && status.st_ino == other.st_ino
  }

  /// If the input is a trace file, a descriptor of it that is the caller's.
  func traceDescriptor() throws -> Int32? {
    guard TraceFile.isTrace(descriptor: input.descriptor) else { return nil }
    let descriptor = fcntl(input.descriptor, F_DUPFD_CLOEXEC, 0)
    guard descriptor >= 0 else { throw Files.failure("read", name) }
    return descriptor
  }

  /// The first uncompressed bytes, which will be read all the same; an error in them too.
  func start(atMost limit: Int) -> [UInt8] {
    var piece = [UInt8](repeating: 0, count: limit)
    do {
      while ahead.count < limit {
        var count = 0
        try piece.withUnsafeMutableBufferPointer {
          count = try readOn(
            into: UnsafeMutableBufferPointer(rebasing: $0[..<(limit - ahead.count)]))
        }
        if count == 0 { break }
        ahead += piece[..<count]
      }
    } catch {
      delayed = error as? InputError
    }
    return ahead
  }

  /// Reads some uncompressed bytes; 0 at the end.
  func read(into output: UnsafeMutableBufferPointer<UInt8>) throws(InputError) -> Int {
    guard aheadRead == ahead.count else {
      let count = min(output.count, ahead.count - aheadRead)
      _ = output[..<count].update(fromContentsOf: ahead[aheadRead..<aheadRead + count])
      aheadRead += count
      return count
    }
    if let delayed { throw delayed }
    return try readOn(into: output)
  }

  private func readOn(
    into output: UnsafeMutableBufferPointer<UInt8>
  ) throws(InputError) -> Int {
    if !hasBegun {
      hasBegun = true
      // The first two bytes tell whether the input is gzip; a pipe may give them one at a time.
      while input.count < 2, !input.isAtEnd { try input.refill() }
      if input.count >= 2, input.bytes[0] == 0x1F, input.bytes[1] == 0x8B {
        gzip = try GzipStream(input)
      }
    }
    if let gzip { return try gzip.read(into: output) }
    if input.used == input.count { try input.refill() }
    let count = min(output.count, input.count - input.used)
    if count > 0 { memcpy(output.baseAddress!, input.bytes.baseAddress! + input.used, count) }
    input.used += count
    return count
  }
}
