import Support

/// Writes a trace file step by step; memory does not depend on the length of the trace.
///
/// The file appears under its name only at `finish`; without it, or after an error, nothing is left behind.
public final class TraceWriter {
  /// Ids of the vehicles written so far.
  public var names = VehicleNames()
  /// Must be set before `finish`.
  public var projection = TraceProjection.none
  /// What readers of the trace should know, a sentence each without a full stop; set before `finish`.
  public var notes: [String] = []
  public private(set) var steps = 0
  public private(set) var rows = 0
  /// Bytes of rows that wait in memory; more than a block has, so that a step with so many ends its block.
  private static let mostWaiting = 4 * TraceFormat.blockBytes
  private let file: StagedFile
  private var firstTime = Double.nan
  private var lastTime = -Double.infinity
  private var fileBytes = TraceFormat.headerBytes
  private var stepTable: [UInt64] = []
  private var blockRows: [TraceRow] = []
  /// Rows of the block that are in the file already, behind room for its step table.
  private var spooledRows = 0
  private var stepRows = 0
  private var firstVehicle = 0
  private var lastVehicle = -1
  private var index: [(offset: Int, bytes: Int, digest: String)] = []

  public convenience init(path: String) throws { try self.init(StagedFile(path: path)) }

  /// A trace without a name, which is gone when it is closed; for `finishUnnamed`.
  ///
  /// It stands in the folder for temporary files (TMPDIR, else /tmp).
  public static func unnamed() throws -> TraceWriter { try TraceWriter(StagedFile.unnamed()) }

  private init(_ file: StagedFile) throws {
    self.file = file
    let empty = [UInt8](repeating: 0, count: TraceFormat.headerBytes)
    try empty.withUnsafeBytes { try file.append($0) }
  }

  /// Begins a step; its time must be later than the last step's.
  public func beginStep(time: Double) throws {
    guard time.isFinite, time > lastTime else {
      throw InputError(
        "step at \(time) s does not come after the step at \(lastTime) s", file: file.path)
    }
    try endStep()
    if steps == 0 { firstTime = time }
    lastTime = time
    steps += 1
    stepTable.append(time.bitPattern)
  }

  /// Adds a vehicle to the step; its index must be one of `names` by the time of `finish`.
  public func add(_ row: TraceRow) { take(CollectionOfOne(row)) }

  /// Adds vehicles to the step; their indexes must be those of `names` by the time of `finish`.
  public func add(contentsOf rows: [TraceRow]) throws {
    take(rows)
    if blockRows.count * TraceFormat.rowBytes >= TraceWriter.mostWaiting { try spool() }
  }

  private func take(_ rows: some RandomAccessCollection<TraceRow>) {
    precondition(steps > 0, "a row before the first step")
    for row in rows {
      precondition(row.x.isFinite && row.y.isFinite, "a row without a position")
      lastVehicle = max(lastVehicle, row.vehicle)
      firstVehicle = min(firstVehicle, row.vehicle)
    }
    blockRows.append(contentsOf: rows)
    stepRows += rows.count
  }

  /// Writes what is left, then the header, flushes the file and gives it its name.
  ///
  /// - Returns: The digest of the content.
  @discardableResult
  public func finish() throws -> String {
    let digest = try finishContent()
    try file.publish()
    return digest
  }

  /// Writes what is left, then the header, and opens the trace.
  ///
  /// - Parameter name: What errors call it.
  public func finishUnnamed(as name: String) throws -> TraceFile {
    _ = try finishContent()
    return try TraceFile(descriptor: file.release(), name: name)
  }

  private func finishContent() throws -> String {
    guard steps > 0 else { throw InputError("a trace needs at least one step", file: file.path) }
    precondition(firstVehicle >= 0 && lastVehicle < names.count, "a row of an unnamed vehicle")
    try endStep()
    if !stepTable.isEmpty { try writeBlock() }

    var tail: [UInt8] = []
    for entry in index {
      append(UInt64(entry.offset), to: &tail)
      append(UInt64(entry.bytes), to: &tail)
      tail.append(contentsOf: entry.digest.utf8)
    }
    var table: [UInt8] = []
    table.reserveCapacity(8 * names.starts.count + names.text.count + 8)
    for start in names.starts { append(UInt64(start), to: &table) }
    table.append(contentsOf: names.text)
    while table.count % 8 != 0 { table.append(0) }
    let namesDigest = SHA256Digest.hex(of: table)
    let indexOffset = fileBytes
    try tail.withUnsafeBytes { try file.append($0) }
    try table.withUnsafeBytes { try file.append($0) }
    let noteBytes = TraceFormat.bytes(ofNotes: notes)
    try noteBytes.withUnsafeBytes { try file.append($0) }

    let digest = SHA256Digest.hex(
      of: TraceFormat.contentText(
        projection: projection, blockDigests: index.map(\.digest), namesDigest: namesDigest))
    var header = TraceFormat.magic
    let sizes = [
      TraceFormat.version, UInt64(indexOffset + tail.count + table.count + noteBytes.count),
      UInt64(steps),
      UInt64(rows), UInt64(names.count), UInt64(index.count), UInt64(indexOffset),
      UInt64(indexOffset + tail.count), UInt64(table.count), firstTime.bitPattern,
      lastTime.bitPattern,
    ]
    for word in sizes + TraceFormat.words(of: projection) + [UInt64(noteBytes.count)] {
      append(word, to: &header)
    }
    header.append(contentsOf: digest.utf8)
    header.append(contentsOf: SHA256Digest.hex(of: header).utf8)
    try file.overwrite(at: 0, header)
    return digest
  }

  /// Gives up: nothing is left behind.
  public func cancel() { file.discard() }

  private func endStep() throws {
    guard stepTable.count % 2 == 1 else { return }
    stepTable.append(UInt64(stepRows))
    rows += stepRows
    stepRows = 0
    let bytes = stepTable.count * 8 + (spooledRows + blockRows.count) * TraceFormat.rowBytes
    if bytes >= TraceFormat.blockBytes { try writeBlock() }
  }

  /// Writes the rows of a step that fill a block by themselves, so that memory does not grow with them.
  ///
  /// The block ends with this step, so that the size of its step table is known.
  private func spool() throws {
    if spooledRows == 0 {
      let room = [UInt8](repeating: 0, count: 16 + 8 * (stepTable.count + 1))
      try room.withUnsafeBytes { try file.append($0) }
    }
    try blockRows.withUnsafeBytes { try file.append($0) }
    spooledRows += blockRows.count
    blockRows.removeAll(keepingCapacity: true)
  }

  private func writeBlock() throws {
    var start: [UInt8] = []
    append(UInt64(stepTable.count / 2), to: &start)
    append(UInt64(spooledRows + blockRows.count), to: &start)
    for word in stepTable { append(word, to: &start) }
    var digest = SHA256Digest()
    start.withUnsafeBytes { digest.update($0) }
    if spooledRows == 0 {
      try start.withUnsafeBytes { try file.append($0) }
      try blockRows.withUnsafeBytes {
        digest.update($0)
        try file.append($0)
      }
    } else {
      try file.overwrite(at: fileBytes, start)
      if !blockRows.isEmpty { try spool() }
      try digestSpooled(&digest, from: fileBytes + start.count)
    }
    let bytes = start.count + (spooledRows + blockRows.count) * TraceFormat.rowBytes
    index.append((fileBytes, bytes, digest.finish()))
    fileBytes += bytes
    stepTable.removeAll(keepingCapacity: true)
    blockRows.removeAll(keepingCapacity: true)
    spooledRows = 0
  }

  /// Reads the spooled rows back: the digest begins with the step table, which is known only now.
  private func digestSpooled(_ digest: inout SHA256Digest, from start: Int) throws {
    var left = spooledRows * TraceFormat.rowBytes
    var offset = start
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    while left > 0 {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<min(left, buffer.count)])
      let count = try file.read(at: offset, into: part)
      guard count > 0 else {
        throw InputError("lost bytes while it was written", file: file.path)
      }
      digest.update(UnsafeRawBufferPointer(rebasing: part[0..<count]))
      offset += count
      left -= count
    }
  }

  private func append(_ word: UInt64, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
  }
}
