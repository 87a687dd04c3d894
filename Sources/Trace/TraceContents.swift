import Support

/// What stands where in a trace file, found by checking all of it: magic, version, sizes, order of times, vehicle
/// indices and the SHA-256 of every part.
struct TraceContents {
  let version: UInt64
  let header: TraceHeader
  private(set) var digest = ""
  private(set) var notes: [String] = []
  /// Times of the steps in seconds, strictly increasing.
  private(set) var times: [Double] = []
  /// Per step: offset of its rows in the file, and their number.
  private(set) var rowOffsets: [Int] = []
  private(set) var rowCounts: [Int] = []
  /// Table of names as in the file: offsets, then text.
  let names: [UInt8]

  /// - Throws: `InputError` that says what is damaged.
  init(_ file: RandomAccessFile) throws {
    let layout = try TraceLayout(file)
    version = layout.version
    header = layout.header
    let tail = try file.bytes(layout.indexOffset..<layout.fileBytes)
    let namesStart = layout.namesOffset - layout.indexOffset
    names = Array(tail[namesStart..<namesStart + layout.namesBytes])
    times.reserveCapacity(header.steps)
    rowOffsets.reserveCapacity(header.steps)
    rowCounts.reserveCapacity(header.steps)

    var blockDigests: [String] = []
    var nextOffset = TraceFormat.headerBytes
    for block in 0..<layout.blocks {
      let entry = block * TraceFormat.indexEntryBytes
      guard let offset = tail.size(at: entry), let bytes = tail.size(at: entry + 8),
        offset == nextOffset, bytes >= 16, offset + bytes <= layout.indexOffset
      else { throw file.damaged("block \(block) lies outside the file") }
      nextOffset = offset + bytes
      let content = try file.bytes(offset..<nextOffset)
      let digest = SHA256Digest.hex(of: content)
      guard digest == tail.text(entry + 16..<entry + TraceFormat.indexEntryBytes) else {
        throw file.damaged(
          "the checksum of block \(block) (bytes \(offset) to \(nextOffset)) is wrong")
      }
      blockDigests.append(digest)
      try addSteps(of: content, at: offset, block: block, file)
    }
    guard nextOffset == layout.indexOffset, times.count == header.steps,
      rowCounts.reduce(0, +) == header.rows, times.first == header.firstTime,
      times.last == header.lastTime
    else { throw file.damaged("its header and its blocks disagree") }

    let content = SHA256Digest.hex(
      of: TraceFormat.contentText(
        projection: header.projection, blockDigests: blockDigests,
        namesDigest: SHA256Digest.hex(of: names)))
    guard content == layout.digest else { throw file.damaged("the digest of its content is wrong") }
    digest = content
    var nameStart = 0
    for vehicle in 0...header.vehicles {
      guard let offset = names.size(at: vehicle * 8), offset >= nameStart,
        (header.vehicles + 1) * 8 + offset <= names.count
      else { throw file.damaged("its table of names is impossible") }
      nameStart = offset
    }
    guard let notes = TraceFormat.notes(in: tail[(namesStart + layout.namesBytes)...]) else {
      throw file.damaged("its notes are")
    }
    self.notes = notes
  }

  private mutating func addSteps(
    of content: [UInt8], at offset: Int, block: Int, _ file: RandomAccessFile
  ) throws {
    guard let blockSteps = content.size(at: 0), let blockRows = content.size(at: 8),
      blockSteps <= content.count, blockRows <= content.count,
      16 + blockSteps * TraceFormat.stepBytes + blockRows * TraceFormat.rowBytes == content.count
    else { throw file.damaged("block \(block) has impossible sizes") }
    let rows = 16 + blockSteps * TraceFormat.stepBytes
    var rowOffset = rows
    for step in 0..<blockSteps {
      let place = 16 + step * TraceFormat.stepBytes
      let time = content.number(at: place)
      guard time.isFinite, times.last.map({ $0 < time }) ?? true,
        let count = content.size(at: place + 8),
        count <= (content.count - rowOffset) / TraceFormat.rowBytes
      else { throw file.damaged("a step of block \(block) is impossible") }
      times.append(time)
      rowOffsets.append(offset + rowOffset)
      rowCounts.append(count)
      rowOffset += count * TraceFormat.rowBytes
    }
    guard rowOffset == content.count else {
      throw file.damaged("block \(block) has rows of no step")
    }
    let vehicles = header.vehicles
    let isSound = content.withUnsafeBytes { bytes in
      (0..<blockRows).allSatisfy { index in
        let row = bytes.loadUnaligned(
          fromByteOffset: rows + index * TraceFormat.rowBytes, as: TraceRow.self)
        return row.vehicle >= 0 && row.vehicle < vehicles && row.x.isFinite && row.y.isFinite
      }
    }
    guard isSound else { throw file.damaged("block \(block) holds an impossible row") }
  }
}

/// The header of a trace file, checked.
private struct TraceLayout {
  let version: UInt64
  let header: TraceHeader
  let digest: String
  let fileBytes, blocks, indexOffset, namesOffset, namesBytes: Int

  init(_ file: RandomAccessFile) throws {
    let start = try file.bytes(0..<min(file.count, TraceFormat.headerBytes))
    guard start.starts(with: TraceFormat.magic) else {
      throw InputError(
        "is not a trace file", file: file.name,
        advice: "Make one from SUMO's floating-car data with 'veclab import FILE.fcd.xml.gz'")
    }
    guard start.count == TraceFormat.headerBytes else {
      throw file.damaged("it ends inside its header")
    }
    version = start.word(at: 8)
    guard TraceFormat.versions.contains(version) else {
      throw InputError(
        "has version \(version) of the trace format, this program reads versions "
          + "\(TraceFormat.versions.lowerBound) to \(TraceFormat.versions.upperBound)",
        file: file.name, advice: "Import the trace again with this version of 'veclab import'")
    }
    let checksum = TraceFormat.checksumOffset
    guard SHA256Digest.hex(of: Array(start[..<checksum])) == start.text(checksum..<start.count)
    else { throw file.damaged("the checksum of its header is wrong") }
    guard let fileBytes = start.size(at: 16), let steps = start.size(at: 24),
      let rows = start.size(at: 32), let vehicles = start.size(at: 40),
      let blocks = start.size(at: 48), let indexOffset = start.size(at: 56),
      let namesOffset = start.size(at: 64), let namesBytes = start.size(at: 72),
      let notesBytes = start.size(at: 120)
    else { throw file.damaged("its header holds impossible sizes") }
    guard fileBytes == file.count else {
      throw file.damaged("it has \(file.count) bytes, its header says \(fileBytes)")
    }
    guard indexOffset >= TraceFormat.headerBytes, steps >= 1, blocks >= 1,
      namesOffset == indexOffset + blocks * TraceFormat.indexEntryBytes,
      namesOffset + namesBytes + notesBytes == fileBytes, namesBytes % 8 == 0,
      namesBytes >= (vehicles + 1) * 8, steps * TraceFormat.stepBytes <= fileBytes,
      rows * TraceFormat.rowBytes <= fileBytes
    else { throw file.damaged("its parts do not fit together") }
    let projection: TraceProjection
    switch start.word(at: 96) {
    case 0: projection = .none
    case 1:
      projection = .localPlane(longitude: start.number(at: 104), latitude: start.number(at: 112))
    default: throw file.damaged("its projection is unknown")
    }
    header = TraceHeader(
      firstTime: start.number(at: 80), lastTime: start.number(at: 88), steps: steps, rows: rows,
      vehicles: vehicles, projection: projection)
    digest = start.text(TraceFormat.digestOffset..<TraceFormat.digestOffset + 64)
    self.fileBytes = fileBytes
    self.blocks = blocks
    self.indexOffset = indexOffset
    self.namesOffset = namesOffset
    self.namesBytes = namesBytes
  }
}

extension RandomAccessFile {
  fileprivate func damaged(_ problem: String) -> InputError {
    InputError(
      "is damaged: \(problem)", file: name, advice: "Import the trace again with 'veclab import'")
  }
}
