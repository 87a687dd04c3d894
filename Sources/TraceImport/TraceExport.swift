import CZlib
import Foundation
import Glibc
import Support
public import Trace

/// Writes a trace as other programs read it.
///
/// A trace of metres comes back digit for digit: importing the export gives the same content. One that was projected
/// is written as longitude and latitude with 9 decimals (a tenth of a millimetre). What a trace does not keep (types,
/// lanes, angles) is not written.
public enum TraceExport {
  public enum Format: Sendable {
    /// SUMO's XML, for its own tools.
    case fcd
    /// SUMO's CSV: `;` between columns, a row for each vehicle and step.
    case csv
  }

  /// - Parameter output: A path, gzip where it ends in `.gz`; `-` for standard output. The file appears only when it is
  ///   whole.
  /// - Throws: `InputError` if it cannot be written.
  public static func write(_ trace: TraceFile, as format: Format, to output: String) throws {
    if format == .csv {
      for vehicle in 0..<trace.header.vehicles
      where trace.vehicleName(vehicle).contains(where: \.isNewline) {
        throw InputError(
          "has an id with a line break, which CSV of SUMO cannot hold", file: trace.path,
          value: trace.vehicleName(vehicle), advice: "Export it with --fcd")
      }
    }
    let sink = try ExportSink(output)
    var text = ExportText(trace)
    switch format {
    case .fcd:
      text.append(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\n<fcd-export "
          + "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
          + "xsi:noNamespaceSchemaLocation=\"http://sumo.dlr.de/xsd/fcd_file.xsd\">\n")
    case .csv:
      text.append("timestep_time;vehicle_id;vehicle_x;vehicle_y;vehicle_speed;vehicle_pos\n")
    }
    try trace.forEachStep { time, rows in
      switch format {
      case .fcd: text.appendXML(time, rows)
      case .csv: text.appendTable(time, rows)
      }
      if text.bytes.count >= 1 << 16 { try sink.write(&text.bytes) }
    }
    if format == .fcd { text.append("</fcd-export>\n") }
    try sink.write(&text.bytes)
    try sink.finish()
  }
}

/// Where an export goes: a file, plain or gzip, or standard output.
private final class ExportSink {
  private let file: StagedFile?
  /// On the heap: zlib refuses a stream that has moved.
  private let stream: UnsafeMutablePointer<z_stream>?
  private var packed: [UInt8] = []

  init(_ output: String) throws {
    file = output == "-" ? nil : try StagedFile(path: output)
    guard output.hasSuffix(".gz") else {
      stream = nil
      return
    }
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    stream.initialize(to: z_stream())
    self.stream = stream
    let status = deflateInit2_(
      stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else {
      throw InputError("cannot be compressed: zlib does not start", file: output)
    }
    packed = [UInt8](repeating: 0, count: 1 << 16)
  }

  deinit {
    if let stream {
      deflateEnd(stream)
      stream.deallocate()
    }
    file?.discard()
  }

  /// Writes bytes and empties them.
  func write(_ bytes: inout [UInt8]) throws {
    try bytes.withUnsafeMutableBufferPointer { try put($0, flush: Z_NO_FLUSH) }
    bytes.removeAll(keepingCapacity: true)
  }

  func finish() throws {
    var nothing: [UInt8] = []
    try nothing.withUnsafeMutableBufferPointer { try put($0, flush: Z_FINISH) }
    try file?.publish()
  }

  private func put(_ bytes: UnsafeMutableBufferPointer<UInt8>, flush: Int32) throws {
    guard let stream else { return try store(UnsafeRawBufferPointer(bytes)) }
    stream.pointee.next_in = bytes.baseAddress
    stream.pointee.avail_in = UInt32(bytes.count)
    var isFull = true
    while isFull {
      let count = packed.withUnsafeMutableBufferPointer { output in
        stream.pointee.next_out = output.baseAddress
        stream.pointee.avail_out = UInt32(output.count)
        _ = deflate(stream, flush)
        return output.count - Int(stream.pointee.avail_out)
      }
      isFull = count == packed.count
      try packed[..<count].withUnsafeBytes { try store($0) }
    }
  }

  private func store(_ bytes: UnsafeRawBufferPointer) throws {
    if let file { return try file.append(bytes) }
    try Files.writeAll(bytes, to: STDOUT_FILENO, path: Files.standardOutput)
  }
}

/// Text of steps that has not been written yet.
private struct ExportText {
  var bytes: [UInt8] = []
  private let trace: TraceFile
  private let plane: LocalPlane?

  init(_ trace: TraceFile) {
    self.trace = trace
    if case .localPlane(let longitude, let latitude) = trace.header.projection {
      plane = LocalPlane(longitude: longitude, latitude: latitude)
    } else {
      plane = nil
    }
  }

  mutating func append(_ text: String) { bytes += text.utf8 }

  private func place(_ row: TraceRow) -> (x: String, y: String) {
    guard let plane else { return (CSVWriter.text(of: row.x), CSVWriter.text(of: row.y)) }
    let position = plane.position(x: row.x, y: row.y)
    return (
      String(format: "%.9f", position.longitude), String(format: "%.9f", position.latitude)
    )
  }

  private func text(_ value: Double) -> String {
    value.isNaN ? "" : CSVWriter.text(of: value)
  }

  mutating func appendXML(_ time: Double, _ rows: Span<TraceRow>) {
    let label = CSVWriter.text(of: time)
    if rows.isEmpty {
      append("    <timestep time=\"\(label)\"/>\n")
      return
    }
    append("    <timestep time=\"\(label)\">\n")
    for i in rows.indices {
      let place = place(rows[i])
      append(
        "        <vehicle id=\"\(escaped(trace.vehicleName(rows[i].vehicle)))\" x=\"\(place.x)\" y=\"\(place.y)\""
      )
      if !rows[i].speed.isNaN { append(" speed=\"\(text(rows[i].speed))\"") }
      if !rows[i].position.isNaN { append(" pos=\"\(text(rows[i].position))\"") }
      append("/>\n")
    }
    append("    </timestep>\n")
  }

  mutating func appendTable(_ time: Double, _ rows: Span<TraceRow>) {
    let label = CSVWriter.text(of: time)
    if rows.isEmpty { append("\(label);;;;;\n") }
    for i in rows.indices {
      let place = place(rows[i])
      append(
        "\(label);\(quoted(trace.vehicleName(rows[i].vehicle)));\(place.x);\(place.y);"
          + "\(text(rows[i].speed));\(text(rows[i].position))\n")
    }
  }

  private func escaped(_ id: String) -> String {
    guard id.utf8.contains(where: { "&<>\"\n\t\r".utf8.contains($0) }) else { return id }
    return id.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
      .replacing(">", with: "&gt;").replacing("\"", with: "&quot;").replacing("\n", with: "&#10;")
      .replacing("\t", with: "&#9;").replacing("\r", with: "&#13;")
  }

  private func quoted(_ id: String) -> String {
    guard id.utf8.contains(where: { ";\"".utf8.contains($0) }) else { return id }
    return "\"\(id.replacing("\"", with: "\"\""))\""
  }
}
