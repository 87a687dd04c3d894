import Glibc
import Support

/// A file mapped read-only into memory; the only place that keeps its address.
final class MappedFile: Sendable {
  nonisolated(unsafe) private let base: UnsafeRawPointer?
  let count: Int

  init(path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Files.failure("open", path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Files.failure("read", path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw InputError("is not a regular file", file: path, advice: "Give the path of a trace file")
    }
    count = Int(status.st_size)
    if count == 0 {
      base = nil
      return
    }
    guard let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0),
      address != MAP_FAILED
    else { throw Files.failure("map", path) }
    base = UnsafeRawPointer(address)
  }

  deinit {
    if let base { munmap(UnsafeMutableRawPointer(mutating: base), count) }
  }

  /// The bytes of a range that the caller has checked against `count`; valid while the file lives.
  func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return UnsafeRawBufferPointer(start: base.map { $0 + range.lowerBound }, count: range.count)
  }

  /// A little-endian 64-bit word.
  func word(at offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes(offset..<offset + 8).loadUnaligned(as: UInt64.self))
  }

  /// A word that counts or points; nil when no file can hold that much.
  func size(at offset: Int) -> Int? {
    let value = word(at: offset)
    return value < 1 << 48 ? Int(value) : nil
  }

  func number(at offset: Int) -> Double { Double(bitPattern: word(at: offset)) }

  func text(_ range: Range<Int>) -> String { String(decoding: bytes(range), as: UTF8.self) }

  func digest(_ range: Range<Int>) -> String {
    var digest = SHA256Digest()
    digest.update(bytes(range))
    return digest.finish()
  }

  /// Trace rows that start at an offset; the offset must be a multiple of 8.
  func rows(at offset: Int, count: Int) -> UnsafeBufferPointer<TraceRow> {
    let raw = bytes(offset..<offset + count * TraceFormat.rowBytes)
    return UnsafeBufferPointer(
      start: raw.baseAddress?.assumingMemoryBound(to: TraceRow.self), count: count)
  }
}
