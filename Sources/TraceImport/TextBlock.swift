import CScanner
import Glibc
import Support

/// A piece of the uncompressed input, and what the scanner found in it.
final class TextBlock: @unchecked Sendable {
  // One owner at a time: a worker, or the pipeline's lists.
  let text: UnsafeMutableBufferPointer<UInt8>
  let scan: UnsafeMutablePointer<VLScan>
  var count = 0
  var number = 0
  /// Whether `scan` holds the result of a scan from the beginning.
  var isScanned = false
  /// Whether the input ends with this block, by itself or by an error.
  var isLast = false
  var failure: InputError?

  init(capacity: Int) {
    text = .allocate(capacity: capacity + Int(VL_SCAN_PADDING))
    text.initialize(repeating: 0)
    // The shortest vehicle and timestep that the scanner accepts have more bytes than this.
    let rows = capacity / 28 + 1
    let marks = 2 * (capacity / 20) + 2
    scan = .allocate(capacity: 1)
    scan.initialize(to: VLScan())
    scan.pointee.rows = .allocate(capacity: rows)
    scan.pointee.row_capacity = UInt32(rows)
    scan.pointee.marks = .allocate(capacity: marks)
    scan.pointee.mark_capacity = UInt32(marks)
  }

  deinit {
    text.deallocate()
    scan.pointee.rows.deallocate()
    scan.pointee.marks.deallocate()
    scan.deallocate()
  }

  var bytes: UnsafePointer<UInt8> { UnsafePointer(text.baseAddress!) }
}

/// Cuts the input into blocks, where it can behind the '>' of a tag.
///
/// The first block ends before the first timestep, the last one begins behind the last, so that what is between
/// needs no look at the rest. Where the cuts are changes nothing in what is read.
final class BlockSource: @unchecked Sendable {
  /// Bytes of a block at most.
  let capacity: Int
  private let reader: InputReader
  private let rest: UnsafeMutableBufferPointer<UInt8>
  private var restCount = 0
  private var number = 0
  private var isAtEnd = false
  private var failure: InputError?

  init(_ reader: InputReader, blockBytes: Int) {
    self.reader = reader
    capacity = max(16, blockBytes)
    rest = .allocate(capacity: capacity)
  }

  deinit { rest.deallocate() }

  /// Fills a block with what comes next; nothing comes after the one that is the last.
  func fill(_ block: TextBlock) {
    let text = block.text
    if restCount > 0 { memcpy(text.baseAddress!, rest.baseAddress!, restCount) }
    var count = restCount
    restCount = 0
    while count < capacity, !isAtEnd {
      do throws(InputError) {
        let more = try reader.read(
          into: UnsafeMutableBufferPointer(rebasing: text[count..<capacity]))
        count += more
        if more == 0 { isAtEnd = true }
      } catch {
        failure = error
        isAtEnd = true
      }
    }
    let cut = number == 0 ? firstCut(block, count) ?? cut(block, count) : cut(block, count)
    restCount = count - cut
    if restCount > 0 { memcpy(rest.baseAddress!, text.baseAddress! + cut, restCount) }
    block.count = cut
    block.number = number
    block.isScanned = false
    block.isLast = isAtEnd && restCount == 0
    block.failure = block.isLast ? failure : nil
    number += 1
  }

  /// Behind the last tag at the end of a line, else behind the last '>'; behind everything if there is none.
  private func cut(_ block: TextBlock, _ count: Int) -> Int {
    let text = block.bytes
    if isAtEnd { return after("</timestep>", block, count) ?? count }
    let last = vl_last(text, count, UInt8(ascii: ">"))
    var end = last
    while end >= 0, count - end < 16 * 1024 {
      if end + 1 < count, text[end + 1] == UInt8(ascii: "\n") { return end + 1 }
      end = vl_last(text, end, UInt8(ascii: ">"))
    }
    return last < 0 ? count : last + 1
  }

  /// Behind the tag before the first timestep.
  private func firstCut(_ block: TextBlock, _ count: Int) -> Int? {
    guard let root = find("<fcd-export", block, 0, count),
      let step = find("<timestep", block, root, count)
    else { return nil }
    let end = vl_last(block.bytes, step, UInt8(ascii: ">"))
    return end < 0 ? nil : end + 1
  }

  private func find(_ tag: StaticString, _ block: TextBlock, _ start: Int, _ end: Int) -> Int? {
    let found = vl_first(
      block.bytes + start, end - start, tag.utf8Start, tag.utf8CodeUnitCount)
    return found < 0 ? nil : start + found
  }

  /// Behind the last occurrence of a tag; nil if there is none near the end, or nothing behind it.
  private func after(_ tag: StaticString, _ block: TextBlock, _ count: Int) -> Int? {
    let length = tag.utf8CodeUnitCount
    var end = vl_last(block.bytes, count, UInt8(ascii: ">"))
    while end >= 0, count - end < 64 * 1024 {
      let start = end + 1 - length
      if start >= 0, memcmp(block.bytes + start, tag.utf8Start, length) == 0 {
        return end + 1 < count ? end + 1 : nil
      }
      end = vl_last(block.bytes, end, UInt8(ascii: ">"))
    }
    return nil
  }
}
