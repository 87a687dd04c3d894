import Support

/// Reader of a trace file, mapped into memory.
///
/// Opening it checks everything: magic, version, sizes, order of times, vehicle indices and the SHA-256 of
/// every block, so that nothing can go wrong afterwards. A damaged file is an `InputError`.
public final class TraceFile: Sendable {
  public let path: String
  public let header: TraceHeader
  /// SHA-256 of the content (projection, steps, rows, names): the same for every file that holds the same.
  public let digest: String
  /// Times of the steps in seconds, strictly increasing.
  public let times: [Double]
  private let mapped: MappedFile
  /// Per step: offset of its rows in the file, and their number.
  private let rowOffsets: [Int]
  private let rowCounts: [Int]
  private let namesOffset: Int

  public init(path: String) throws {
    precondition(MemoryLayout<TraceRow>.stride == TraceFormat.rowBytes)
    self.path = path
    let file = try MappedFile(path: path)
    mapped = file
    func damaged(_ problem: String) -> InputError {
      InputError(
        "is damaged: \(problem)", file: path, advice: "Import the trace again with 'veclab import'")
    }

    guard file.count >= 8, Array(file.bytes(0..<8)) == TraceFormat.magic else {
      throw InputError(
        "is not a trace file", file: path,
        advice: "Make one from SUMO's floating-car data with 'veclab import FILE.fcd.xml.gz'")
    }
    guard file.count >= TraceFormat.headerBytes else { throw damaged("it ends inside its header") }
    guard file.word(at: 8) == TraceFormat.version else {
      throw InputError(
        "has version \(file.word(at: 8)) of the trace format, this program reads version "
          + "\(TraceFormat.version)", file: path,
        advice: "Import the trace again with this version of 'veclab import'")
    }
    let checksum = TraceFormat.checksumOffset
    guard file.digest(0..<checksum) == file.text(checksum..<TraceFormat.headerBytes) else {
      throw damaged("the checksum of its header is wrong")
    }
    guard let fileBytes = file.size(at: 16), let steps = file.size(at: 24),
      let rows = file.size(at: 32), let vehicles = file.size(at: 40),
      let blocks = file.size(at: 48), let indexOffset = file.size(at: 56),
      let namesOffset = file.size(at: 64), let namesBytes = file.size(at: 72),
      file.word(at: 120) == 0
    else { throw damaged("its header holds impossible sizes") }
    guard fileBytes == file.count else {
      throw damaged("it has \(file.count) bytes, its header says \(fileBytes)")
    }
    guard indexOffset >= TraceFormat.headerBytes, steps >= 1, blocks >= 1,
      namesOffset == indexOffset + blocks * TraceFormat.indexEntryBytes,
      namesOffset + namesBytes == fileBytes, namesBytes % 8 == 0,
      namesBytes >= (vehicles + 1) * 8, steps * TraceFormat.stepBytes <= fileBytes,
      rows * TraceFormat.rowBytes <= fileBytes
    else { throw damaged("its parts do not fit together") }

    let projection: TraceProjection
    switch file.word(at: 96) {
    case 0: projection = .none
    case 1:
      projection = .localPlane(longitude: file.number(at: 104), latitude: file.number(at: 112))
    default: throw damaged("its projection is unknown")
    }
    header = TraceHeader(
      firstTime: file.number(at: 80), lastTime: file.number(at: 88), steps: steps, rows: rows,
      vehicles: vehicles, projection: projection)

    var times: [Double] = []
    var rowOffsets: [Int] = []
    var rowCounts: [Int] = []
    times.reserveCapacity(steps)
    rowOffsets.reserveCapacity(steps)
    rowCounts.reserveCapacity(steps)
    var blockDigests: [String] = []
    var nextOffset = TraceFormat.headerBytes
    var totalRows = 0
    for block in 0..<blocks {
      let entry = indexOffset + block * TraceFormat.indexEntryBytes
      guard let offset = file.size(at: entry), let bytes = file.size(at: entry + 8),
        offset == nextOffset, bytes >= 16, offset + bytes <= indexOffset
      else { throw damaged("block \(block) lies outside the file") }
      nextOffset = offset + bytes
      let digest = file.digest(offset..<offset + bytes)
      guard digest == file.text(entry + 16..<entry + TraceFormat.indexEntryBytes) else {
        throw damaged(
          "the checksum of block \(block) (bytes \(offset) to \(offset + bytes)) is wrong")
      }
      blockDigests.append(digest)
      guard let blockSteps = file.size(at: offset), let blockRows = file.size(at: offset + 8),
        blockSteps <= bytes, blockRows <= bytes,
        16 + blockSteps * TraceFormat.stepBytes + blockRows * TraceFormat.rowBytes == bytes
      else { throw damaged("block \(block) has impossible sizes") }
      var rowOffset = offset + 16 + blockSteps * TraceFormat.stepBytes
      for step in 0..<blockSteps {
        let place = offset + 16 + step * TraceFormat.stepBytes
        let time = file.number(at: place)
        guard time.isFinite, times.last.map({ $0 < time }) ?? true,
          let count = file.size(at: place + 8),
          rowOffset + count * TraceFormat.rowBytes <= nextOffset
        else { throw damaged("a step of block \(block) is impossible") }
        times.append(time)
        rowOffsets.append(rowOffset)
        rowCounts.append(count)
        rowOffset += count * TraceFormat.rowBytes
        totalRows += count
      }
      guard rowOffset == nextOffset else { throw damaged("block \(block) has rows of no step") }
      let isSound = file.rows(
        at: offset + 16 + blockSteps * TraceFormat.stepBytes, count: blockRows
      ).allSatisfy { $0.vehicle >= 0 && $0.vehicle < vehicles && $0.x.isFinite && $0.y.isFinite }
      guard isSound else { throw damaged("block \(block) holds an impossible row") }
    }
    guard nextOffset == indexOffset, times.count == steps, totalRows == rows,
      times.first == header.firstTime, times.last == header.lastTime
    else { throw damaged("its header and its blocks disagree") }

    let namesDigest = file.digest(namesOffset..<namesOffset + namesBytes)
    let content = SHA256Digest.hex(
      of: TraceFormat.contentText(
        projection: projection, blockDigests: blockDigests, namesDigest: namesDigest))
    guard content == file.text(TraceFormat.digestOffset..<TraceFormat.digestOffset + 64) else {
      throw damaged("the digest of its content is wrong")
    }
    var nameStart = 0
    for vehicle in 0...vehicles {
      guard let offset = file.size(at: namesOffset + vehicle * 8),
        offset >= nameStart, (vehicles + 1) * 8 + offset <= namesBytes
      else { throw damaged("its table of names is impossible") }
      nameStart = offset
    }

    digest = content
    self.times = times
    self.rowOffsets = rowOffsets
    self.rowCounts = rowCounts
    self.namesOffset = namesOffset
  }

  /// The id that a vehicle had in the input.
  public func vehicleName(_ index: Int) -> String {
    precondition(index >= 0 && index < header.vehicles, "no vehicle \(index) in this trace")
    let start = Int(mapped.word(at: namesOffset + index * 8))
    let end = Int(mapped.word(at: namesOffset + index * 8 + 8))
    let text = namesOffset + (header.vehicles + 1) * 8
    return mapped.text(text + start..<text + end)
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
    var step = from.map { firstStep(atOrAfter: $0) } ?? 0
    while step < times.count, to.map({ times[step] <= $0 }) ?? true {
      let rows = mapped.rows(at: rowOffsets[step], count: rowCounts[step])
      try body(times[step], rows.span)
      step += 1
    }
  }
}
