import CZlib
import Foundation
import Glibc
import Support
import Trace

/// Reads a file or standard input, plain or gzip, into a queue of chunks.
struct InputReader: Sendable {
  /// What errors call the input.
  let name: String
  private let descriptor: Int32

  /// - Parameter path: A path, or `-` for standard input.
  init(path: String) throws {
    if path == "-" {
      name = "<standard input>"
      descriptor = dup(STDIN_FILENO)
      guard descriptor >= 0 else { throw Files.failure("read", name) }
      return
    }
    name = path
    if Files.isFolder(path) {
      throw InputError(
        "is a folder", file: path, advice: "Give the floating-car data file in it")
    }
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Files.failure("open", path) }
  }

  /// Whether the input is the file of that status.
  func isFile(_ other: stat) -> Bool {
    var status = stat()
    return fstat(descriptor, &status) == 0 && status.st_dev == other.st_dev
      && status.st_ino == other.st_ino
  }

  /// If the input is a trace file, its descriptor, which is the caller's then.
  func traceDescriptor() -> Int32? { TraceFile.isTrace(descriptor: descriptor) ? descriptor : nil }

  /// Starts a thread that reads to the end, an error, or until the queue is closed.
  func start() -> ChunkQueue {
    let queue = ChunkQueue()
    let thread = Thread {
      queue.finish(Result { () throws(InputError) in try readAll(into: queue) })
      close(descriptor)
    }
    thread.stackSize = 1 << 20
    thread.start()
    return queue
  }

  private func readAll(into queue: ChunkQueue) throws(InputError) {
    var raw = [UInt8](repeating: 0, count: 128 * 1024)
    var count = 0
    // The first two bytes tell whether the input is gzip; a pipe may give them one at a time.
    while count < 2 {
      let more = try read(into: &raw, from: count)
      if more == 0 { break }
      count += more
    }
    if count >= 2, raw[0] == 0x1F, raw[1] == 0x8B {
      try inflateAll(&raw, count: count, into: queue)
      return
    }
    while count > 0 {
      var start = 0
      while start < count {
        guard let chunk = queue.takeFree() else { return }
        chunk.count = min(count - start, Chunk.capacity)
        chunk.bytes.replaceSubrange(0..<chunk.count, with: raw[start..<start + chunk.count])
        start += chunk.count
        queue.put(chunk)
      }
      count = try read(into: &raw, from: 0)
    }
  }

  private func read(into raw: inout [UInt8], from start: Int) throws(InputError) -> Int {
    while true {
      let count = raw.withUnsafeMutableBytes {
        Glibc.read(descriptor, $0.baseAddress! + start, $0.count - start)
      }
      if count >= 0 { return count }
      if errno != EINTR { throw Files.failure("read", name) }
    }
  }

  /// Inflates all members; each one's length and CRC are checked by zlib at its end.
  private func inflateAll(
    _ raw: inout [UInt8], count firstCount: Int, into queue: ChunkQueue
  ) throws(InputError) {
    var stream = z_stream()
    let size = Int32(MemoryLayout<z_stream>.size)
    guard inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, size) == Z_OK else {
      throw InputError("cannot be inflated: zlib does not start", file: name)
    }
    defer { inflateEnd(&stream) }
    var count = firstCount
    var offset = 0
    var members = 1
    var isBetweenMembers = false
    func damaged(_ problem: String, at byte: Int) -> InputError {
      InputError(
        "\(problem) at byte \(byte) of the compressed file (gzip member \(members))", file: name,
        advice: "Copy the file again, or run SUMO again and let it end by itself")
    }
    while count > 0 {
      var used = 0
      while used < count {
        if isBetweenMembers {
          guard raw[used] == 0x1F else {
            throw damaged("something that is not gzip follows the end", at: offset + used)
          }
          inflateReset(&stream)
          members += 1
          isBetweenMembers = false
        }
        guard let chunk = queue.takeFree() else { return }
        let status = raw.withUnsafeMutableBufferPointer { input in
          chunk.bytes.withUnsafeMutableBufferPointer { output in
            stream.next_in = input.baseAddress! + used
            stream.avail_in = UInt32(count - used)
            stream.next_out = output.baseAddress!
            stream.avail_out = UInt32(Chunk.capacity)
            return inflate(&stream, Z_NO_FLUSH)
          }
        }
        used = count - Int(stream.avail_in)
        chunk.count = Chunk.capacity - Int(stream.avail_out)
        if chunk.count > 0 { queue.put(chunk) } else { queue.giveBack(chunk) }
        switch status {
        case Z_OK, Z_BUF_ERROR: break
        case Z_STREAM_END: isBetweenMembers = true
        default:
          let reason = stream.msg.map { String(cString: $0) } ?? "zlib error \(status)"
          throw damaged("is damaged (\(reason))", at: offset + used)
        }
      }
      offset += count
      count = try read(into: &raw, from: 0)
    }
    // The last input may be used up while output is still inside zlib.
    while !isBetweenMembers {
      guard let chunk = queue.takeFree() else { return }
      let status = chunk.bytes.withUnsafeMutableBufferPointer { output in
        stream.next_out = output.baseAddress!
        stream.avail_out = UInt32(Chunk.capacity)
        return inflate(&stream, Z_NO_FLUSH)
      }
      chunk.count = Chunk.capacity - Int(stream.avail_out)
      let isEmpty = chunk.count == 0
      if isEmpty { queue.giveBack(chunk) } else { queue.put(chunk) }
      if status == Z_STREAM_END { return }
      if isEmpty || (status != Z_OK && status != Z_BUF_ERROR) {
        throw damaged("is truncated: the compressed data end", at: offset)
      }
    }
  }
}
