import Glibc
import Support
import Synchronization

/// An open regular file that is read in pieces wherever they stand; the only place that keeps its descriptor.
///
/// Nothing is mapped into memory: where a mapped file is cut off, the process dies by a signal.
final class RandomAccessFile: Sendable {
  /// What tells that the content may have changed.
  struct Stamp: Equatable {
    var bytes: Int
    var seconds: Int
    var nanoseconds: Int
  }

  /// What errors call the file.
  let name: String
  private let descriptor: Int32
  private let stamp: Mutex<Stamp>

  /// - Parameter descriptor: of a file that is open for reading; it is closed with this object.
  init(descriptor: Int32, name: String) throws {
    self.descriptor = descriptor
    self.name = name
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      close(descriptor)
      throw Files.failure("read", name)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw InputError("is not a regular file", file: name, advice: "Give the path of a trace file")
    }
    stamp = Mutex(Stamp(status))
  }

  convenience init(path: String, name: String) throws {
    // Without O_NONBLOCK a FIFO would be waited for.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Files.failure("open", name) }
    try self.init(descriptor: descriptor, name: name)
  }

  deinit { close(descriptor) }

  /// Bytes when it was opened.
  var count: Int { stamp.withLock(\.bytes) }

  /// The state that the content was last known to be right in, and the state now.
  var stamps: (known: Stamp, now: Stamp?) {
    var status = stat()
    let isThere = fstat(descriptor, &status) == 0
    return (stamp.withLock { $0 }, isThere ? Stamp(status) : nil)
  }

  /// Takes a state as one in which the content is right.
  func accept(_ now: Stamp) { stamp.withLock { $0 = now } }

  /// Fills a buffer from an offset.
  ///
  /// - Throws: `InputError` when the file ends before, or cannot be read.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, offset + done)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw Files.failure("read", name) }
      guard count > 0 else { throw RandomAccessFile.changed(name) }
      done += count
    }
  }

  /// The bytes of a range.
  func bytes(_ range: Range<Int>) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    try bytes.withUnsafeMutableBytes { try read(into: $0, at: range.lowerBound) }
    return bytes
  }

  static func changed(_ name: String) -> InputError {
    InputError(
      "was changed or cut off while it was read", file: name,
      advice: "Import the trace again, and replace traces as a whole ('veclab import' does)")
  }
}

extension RandomAccessFile.Stamp {
  init(_ status: stat) {
    bytes = Int(status.st_size)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
  }
}

/// Little-endian words in bytes that were read.
extension [UInt8] {
  func word(at offset: Int) -> UInt64 {
    withUnsafeBytes {
      UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
  }

  /// A word that counts or points; nil when no file can hold that much.
  func size(at offset: Int) -> Int? {
    let value = word(at: offset)
    return value < 1 << 48 ? Int(value) : nil
  }

  func number(at offset: Int) -> Double { Double(bitPattern: word(at: offset)) }

  func text(_ range: Range<Int>) -> String { String(decoding: self[range], as: UTF8.self) }
}
