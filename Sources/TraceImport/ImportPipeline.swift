import CScanner
import Foundation
import Glibc

/// Inflates, scans and takes in blocks with one or two workers that do whatever is due.
///
/// Inflating is in the order of the input, taking in too; scanning is not. At most a few blocks exist, so memory is
/// bounded. A dedicated thread for each stage would wait for the slowest one.
final class ImportPipeline: @unchecked Sendable {
  private static let blocks = 6
  /// Blocks that wait to be taken in while inflating goes before everything else.
  private static let ahead = 2

  private enum Task {
    case inflate(TextBlock)
    case scan(TextBlock)
    case takeIn(TextBlock)
  }

  private let source: BlockSource
  private let workers: Int
  private let scanner: VLScanFunction?
  /// Takes in the next block; false: the rest is not wanted. One worker at a time calls it.
  private let takeIn: (TextBlock) throws -> Bool
  private let condition = NSCondition()
  // All below under the condition's lock.
  private var free: [TextBlock]
  private var unscanned: [TextBlock] = []
  private var scanned: [Int: TextBlock] = [:]
  private var next = 0
  private var isInflating = false
  private var isTakingIn = false
  private var isInflated = false
  private var result: Result<Void, any Error>?
  private var running = 0

  /// - Parameters:
  ///   - workers: Threads, the caller's own included.
  ///   - scanner: Nil: blocks are not scanned.
  init(
    _ source: BlockSource, workers: Int, scanner: VLScanFunction?,
    takeIn: @escaping (TextBlock) throws -> Bool
  ) {
    self.source = source
    self.workers = max(1, workers)
    self.scanner = scanner
    self.takeIn = takeIn
    free = (0..<ImportPipeline.blocks).map { _ in TextBlock(capacity: source.capacity) }
  }

  /// Runs until everything that is wanted has been taken in, or an error.
  func run() throws {
    for _ in 1..<workers {
      let thread = Thread { self.work() }
      thread.stackSize = 1 << 20
      running += 1
      thread.start()
    }
    work()
    condition.lock()
    while running > 0 { condition.wait() }
    condition.unlock()
    try result?.get()
  }

  private func work() {
    silenceLibXML2()
    condition.lock()
    while result == nil {
      guard let task = due() else {
        condition.wait()
        continue
      }
      condition.unlock()
      perform(task)
      condition.lock()
    }
    if !Thread.isMainThread || running > 0 { running -= 1 }
    condition.broadcast()
    condition.unlock()
  }

  /// The task to do now, marked as begun; nil if there is none.
  private func due() -> Task? {
    let canInflate = !isInflating && !isInflated && !free.isEmpty
    if canInflate, workers > 1, unscanned.count + scanned.count < ImportPipeline.ahead {
      return inflate()
    }
    if !isTakingIn, let block = scanned.removeValue(forKey: next) {
      isTakingIn = true
      return .takeIn(block)
    }
    if !unscanned.isEmpty { return .scan(unscanned.removeFirst()) }
    return canInflate ? inflate() : nil
  }

  private func inflate() -> Task {
    isInflating = true
    return .inflate(free.removeLast())
  }

  private func perform(_ task: Task) {
    switch task {
    case .inflate(let block):
      source.fill(block)
      condition.lock()
      isInflating = false
      isInflated = block.isLast
      if scanner == nil { scanned[block.number] = block } else { unscanned.append(block) }
    case .scan(let block):
      scanner?(block.bytes, UInt32(block.count), -1, block.scan)
      block.isScanned = true
      condition.lock()
      scanned[block.number] = block
    case .takeIn(let block):
      let outcome = Result { try takeIn(block) }
      condition.lock()
      isTakingIn = false
      next += 1
      switch outcome {
      case .success(true):
        if block.isLast { result = .success(()) } else { free.append(block) }
      case .success(false): result = .success(())
      case .failure(let error): result = .failure(error)
      }
    }
    condition.broadcast()
    condition.unlock()
  }
}
