import CScanner
import CZlib
import Glibc
import Support

/// The bytes of a file or of standard input as they stand, through a buffer.
final class RawInput {
  /// What errors call the input.
  let name: String
  let descriptor: Int32
  private(set) var bytes: UnsafeMutableBufferPointer<UInt8>
  /// The part of the buffer that has not been used.
  var used = 0
  private(set) var count = 0
  /// Bytes of the input before the buffer.
  private var offset = 0
  private(set) var isAtEnd = false

  init(name: String, descriptor: Int32) {
    self.name = name
    self.descriptor = descriptor
    bytes = .allocate(capacity: 256 * 1024)
  }

  deinit {
    bytes.deallocate()
    close(descriptor)
  }

  /// How many bytes of the input have been used.
  var position: Int { offset + used }

  /// Reads more behind what is left; nothing changes at the end of the input.
  func refill() throws(InputError) {
    guard !isAtEnd else { return }
    if used > 0 {
      memmove(bytes.baseAddress!, bytes.baseAddress! + used, count - used)
      offset += used
      count -= used
      used = 0
    }
    while count < bytes.count {
      let more = Glibc.read(descriptor, bytes.baseAddress! + count, bytes.count - count)
      if more > 0 {
        count += more
        return
      }
      if more == 0 {
        isAtEnd = true
        return
      }
      if errno != EINTR { throw Files.failure("read", name) }
    }
  }

  /// The next byte, nil at the end.
  func next() throws(InputError) -> UInt8? {
    if used == count { try refill() }
    guard used < count else { return nil }
    used += 1
    return bytes[used - 1]
  }
}

/// The content of a gzip file: all its members, one after another.
///
/// zlib inflates the raw data; headers and trailers are read here, so that the checksum can be computed with
/// vector instructions. Zeros after the last member are padding, as for gzip; anything else there is an error.
final class GzipStream {
  private let input: RawInput
  private let stream: UnsafeMutablePointer<z_stream>
  private var members = 0
  private var isInMember = false
  private var checksum: UInt32 = 0
  private var length: UInt32 = 0

  init(_ input: RawInput) throws(InputError) {
    self.input = input
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    let size = Int32(MemoryLayout<z_stream>.size)
    guard inflateInit2_(stream, -15, ZLIB_VERSION, size) == Z_OK else {
      throw InputError("cannot be inflated: zlib does not start", file: input.name)
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// Inflates some bytes; 0 at the end.
  func read(into output: UnsafeMutableBufferPointer<UInt8>) throws(InputError) -> Int {
    while true {
      if !isInMember {
        guard try beginMember() else { return 0 }
      }
      if input.used == input.count { try input.refill() }
      stream.pointee.next_in = input.bytes.baseAddress! + input.used
      stream.pointee.avail_in = UInt32(input.count - input.used)
      stream.pointee.next_out = output.baseAddress!
      stream.pointee.avail_out = UInt32(output.count)
      let status = inflate(stream, Z_NO_FLUSH)
      input.used = input.count - Int(stream.pointee.avail_in)
      let made = output.count - Int(stream.pointee.avail_out)
      checksum = GzipStream.crc32(checksum, UnsafeBufferPointer(rebasing: output[0..<made]))
      length = length &+ UInt32(truncatingIfNeeded: made)
      switch status {
      case Z_OK, Z_BUF_ERROR:
        if made == 0, input.isAtEnd, input.used == input.count { throw truncated() }
      case Z_STREAM_END: try endMember()
      default:
        throw damaged(stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(status)")
      }
      if made > 0 { return made }
    }
  }

  static func crc32(_ checksum: UInt32, _ bytes: UnsafeBufferPointer<UInt8>) -> UInt32 {
    guard let start = bytes.baseAddress else { return checksum }
    if vl_crc32_supported() != 0 { return vl_crc32(checksum, start, bytes.count) }
    return UInt32(CZlib.crc32(UInt(checksum), start, UInt32(bytes.count)))
  }

  private func truncated() -> InputError {
    problem("is truncated: the compressed data end")
  }

  private func damaged(_ reason: String) -> InputError { problem("is damaged (\(reason))") }

  private func problem(_ text: String) -> InputError {
    InputError(
      "\(text) at byte \(input.position) of the compressed file (gzip member \(max(1, members)))",
      file: input.name,
      advice: "Copy the file again, or run SUMO again and let it end by itself")
  }

  /// Reads the header of a member (RFC 1952).
  ///
  /// - Returns: False if there is none, but the end of the input.
  private func beginMember() throws(InputError) -> Bool {
    guard let first = try input.next() else {
      if members == 0 { throw truncated() }
      return false
    }
    if first == 0 && members > 0 {
      try skipPadding()
      return false
    }
    guard first == 0x1F else {
      input.used -= 1
      throw problem("something that is not gzip follows the end")
    }
    members += 1
    var header: UInt32 = 0
    func byte() throws(InputError) -> UInt8 {
      guard let byte = try input.next() else { throw truncated() }
      header = withUnsafePointer(to: byte) {
        GzipStream.crc32(header, UnsafeBufferPointer(start: $0, count: 1))
      }
      return byte
    }
    header = withUnsafePointer(to: first) {
      GzipStream.crc32(0, UnsafeBufferPointer(start: $0, count: 1))
    }
    guard try byte() == 0x8B else { throw damaged("incorrect header check") }
    guard try byte() == 8 else { throw damaged("unknown compression method") }
    let flags = try byte()
    guard flags & 0xE0 == 0 else { throw damaged("unknown header flags set") }
    for _ in 0..<6 { _ = try byte() }
    if flags & 4 != 0 {
      let extra = Int(try byte()) | Int(try byte()) << 8
      for _ in 0..<extra { _ = try byte() }
    }
    if flags & 8 != 0 { while try byte() != 0 {} }
    if flags & 16 != 0 { while try byte() != 0 {} }
    if flags & 2 != 0 {
      let expected = header & 0xFFFF
      guard UInt32(try byte()) | UInt32(try byte()) << 8 == expected else {
        throw damaged("header crc mismatch")
      }
    }
    inflateReset(stream)
    checksum = 0
    length = 0
    isInMember = true
    return true
  }

  private func skipPadding() throws(InputError) {
    while let byte = try input.next() {
      if byte != 0 {
        input.used -= 1
        throw problem("something that is not gzip follows the end and zeros")
      }
    }
  }

  /// Compares checksum and length of a member with what stands behind it.
  private func endMember() throws(InputError) {
    var words: (UInt32, UInt32) = (0, 0)
    for i in 0..<8 {
      guard let byte = try input.next() else { throw truncated() }
      let shift = UInt32(8 * (i % 4))
      if i < 4 { words.0 |= UInt32(byte) << shift } else { words.1 |= UInt32(byte) << shift }
    }
    guard words.0 == checksum else { throw damaged("incorrect data check") }
    guard words.1 == length else { throw damaged("incorrect length check") }
    isInMember = false
  }
}
