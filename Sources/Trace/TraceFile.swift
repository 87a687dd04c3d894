import Glibc
import Support

/// Reader of a trace file.
///
/// Opening it checks everything: magic, version, sizes, order of times, vehicle indices and the SHA-256 of
/// every block, so that nothing can go wrong afterwards. A damaged file is an `InputError`. Rows are read in pieces
/// as they are asked for: memory grows with steps and vehicles, not with rows.
///
/// A file that somebody changes or cuts off in place while it is in use cannot be relied on: then the process ends
/// with an error that names it (see `lose`).
public final class TraceFile: Sendable {
  /// The file's path, or what errors call it: the input that it was imported from.
  public let path: String
  public let header: TraceHeader
  /// SHA-256 of the content (projection, steps, rows, names): the same for every file that holds the same.
  public let digest: String
  /// Whether it is of a version that keeps what its import warned of.
  public let keepsNotes: Bool
  /// What its import warned of, a sentence each without a full stop; no part of the content.
  public let notes: [String]
  /// Times of the steps in seconds, strictly increasing.
  public let times: [Double]
  private let file: RandomAccessFile
  private let rowOffsets: [Int]
  private let rowCounts: [Int]
  private let names: [UInt8]

  /// - Parameter name: What errors call it; default: its path.
  public convenience init(path: String, name: String? = nil) throws {
    try self.init(RandomAccessFile(path: path, name: name ?? path))
  }

  /// A trace in an open file.
  ///
  /// - Parameters:
  ///   - descriptor: of a regular file, open for reading; it is closed with this object.
  ///   - name: What errors call it.
  public convenience init(descriptor: Int32, name: String) throws {
    try self.init(RandomAccessFile(descriptor: descriptor, name: name))
  }

  private init(_ file: RandomAccessFile) throws {
    precondition(MemoryLayout<TraceRow>.stride == TraceFormat.rowBytes)
    let contents = try TraceContents(file)
    self.file = file
    path = file.name
    header = contents.header
    digest = contents.digest
    keepsNotes = contents.version >= 2
    notes = contents.notes
    times = contents.times
    rowOffsets = contents.rowOffsets
    rowCounts = contents.rowCounts
    names = contents.names
  }

  /// Whether an open regular file begins as traces do; its position stays.
  public static func isTrace(descriptor: Int32) -> Bool {
    var start = [UInt8](repeating: 0, count: TraceFormat.magic.count)
    return pread(descriptor, &start, start.count, 0) == start.count && start == TraceFormat.magic
  }

  /// The id that a vehicle had in the input.
  public func vehicleName(_ index: Int) -> String {
    precondition(index >= 0 && index < header.vehicles, "no vehicle \(index) in this trace")
    let text = (header.vehicles + 1) * 8
    let start = text + Int(names.word(at: index * 8))
    let end = text + Int(names.word(at: index * 8 + 8))
    return names.text(start..<end)
  }

  /// The first step at a time or after it; the number of steps if there is none.
  public func firstStep(atOrAfter time: Double) -> Int {
    var low = 0
    var high = times.count
    while low < high {
      let middle = (low + high) / 2
      if times[middle] < time { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Bytes that are read at once, unless a step has more: few calls, and what is read stays in the cache.
  private static let pieceBytes = 64 * 1024

  /// Calls `body` with the time and the rows of every step, in order of time.
  ///
  /// - Parameters:
  ///   - from: Earlier steps are left out; nil: from the first step.
  ///   - to: Later steps are left out; nil: to the last step.
  ///   - body: Rows come in the order of the input and are valid only during the call.
  public func forEachStep(
    from: Double? = nil, to: Double? = nil,
    _ body: (_ time: Double, _ rows: Span<TraceRow>) throws -> Void
  ) rethrows {
    requireUnchanged()
    var step = from.map { firstStep(atOrAfter: $0) } ?? 0
    let end = max(step, to.map { firstStep(after: $0) } ?? times.count)
    var piece: [TraceRow] = []
    while step < end {
      let stop = endOfPiece(from: step, before: end)
      let count =
        (rowOffsets[stop - 1] - rowOffsets[step]) / TraceFormat.rowBytes + rowCounts[stop - 1]
      read(step: step, rows: count, into: &piece)
      var first = 0
      for step in step..<stop {
        try body(times[step], piece.span.extracting(first..<first + rowCounts[step]))
        first += rowCounts[step]
      }
      step = stop
    }
    requireUnchanged()
  }

  private func firstStep(after time: Double) -> Int {
    var step = firstStep(atOrAfter: time)
    if step < times.count, times[step] == time { step += 1 }
    return step
  }

  /// The step after the last one whose rows follow those of `step` in the file, up to `pieceBytes`.
  private func endOfPiece(from step: Int, before end: Int) -> Int {
    var stop = step + 1
    while stop < end,
      rowOffsets[stop] == rowOffsets[stop - 1] + rowCounts[stop - 1] * TraceFormat.rowBytes,
      rowOffsets[stop] + rowCounts[stop] * TraceFormat.rowBytes - rowOffsets[step]
        <= TraceFile.pieceBytes
    { stop += 1 }
    return stop
  }

  /// Reads rows; `piece` grows to the largest piece.
  private func read(step: Int, rows: Int, into piece: inout [TraceRow]) {
    if piece.count < rows {
      piece = [TraceRow](
        repeating: TraceRow(vehicle: 0, x: 0, y: 0),
        count: max(rows, min(TraceFile.pieceBytes / TraceFormat.rowBytes, header.rows)))
    }
    do {
      try piece.withUnsafeMutableBytes {
        try file.read(
          into: UnsafeMutableRawBufferPointer(rebasing: $0[..<(rows * TraceFormat.rowBytes)]),
          at: rowOffsets[step])
      }
    } catch {
      lose(error)
    }
    let vehicles = header.vehicles
    let isSound = piece[..<rows].allSatisfy { $0.vehicle >= 0 && $0.vehicle < vehicles }
    if !isSound { lose(RandomAccessFile.changed(path)) }
  }

  /// Ends the process if the file is not what it was; a new time stamp alone is no change.
  private func requireUnchanged() {
    let (known, now) = file.stamps
    guard known != now else { return }
    guard let now, now.bytes == known.bytes, (try? TraceContents(file))?.digest == digest else {
      lose(RandomAccessFile.changed(path))
    }
    file.accept(now)
  }

  /// Ends the process with an error: what has been computed of a file that has changed is worth nothing, and there
  /// is nothing to go on with.
  private func lose(_ error: any Error) -> Never {
    let text = Array("Error: \(error)\n".utf8)
    text.withUnsafeBytes { try? Files.writeAll($0, to: STDERR_FILENO, path: "<standard error>") }
    exit(EXIT_FAILURE)
  }
}
