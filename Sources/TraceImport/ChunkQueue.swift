import Foundation
import Support

/// A piece of the uncompressed input.
final class Chunk: @unchecked Sendable {
  static let capacity = 128 * 1024
  /// One owner at a time: the reading thread, the queue, or the parser.
  var bytes = [UInt8](repeating: 0, count: Chunk.capacity)
  var count = 0
}

/// Hands chunks from the reading thread to the parsing one; at most a few exist, so memory is bounded.
final class ChunkQueue: @unchecked Sendable {
  private let condition = NSCondition()
  private var filled: [Chunk] = []
  private var free: [Chunk] = (0..<6).map { _ in Chunk() }
  private var result: Result<Void, InputError>?
  private var isClosed = false

  /// An empty chunk to fill; nil when nobody wants more.
  func takeFree() -> Chunk? {
    condition.lock()
    defer { condition.unlock() }
    while free.isEmpty && !isClosed { condition.wait() }
    return isClosed ? nil : free.removeLast()
  }

  func put(_ chunk: Chunk) {
    condition.lock()
    filled.append(chunk)
    condition.broadcast()
    condition.unlock()
  }

  /// Says that nothing comes after what has been put; an error is seen after it too.
  func finish(_ result: Result<Void, InputError>) {
    condition.lock()
    self.result = result
    condition.broadcast()
    condition.unlock()
  }

  /// The next chunk, nil after the last one.
  func takeFilled() throws(InputError) -> Chunk? {
    condition.lock()
    defer { condition.unlock() }
    while filled.isEmpty && result == nil { condition.wait() }
    if !filled.isEmpty { return filled.removeFirst() }
    try result?.get()
    return nil
  }

  func giveBack(_ chunk: Chunk) {
    condition.lock()
    chunk.count = 0
    free.append(chunk)
    condition.broadcast()
    condition.unlock()
  }

  /// Says that nobody wants more.
  func close() {
    condition.lock()
    isClosed = true
    condition.broadcast()
    condition.unlock()
  }
}
