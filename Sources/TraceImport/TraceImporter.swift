import CZlib
import Glibc
import Support
public import Trace

/// Turns floating-car data, in any format of `InputFormats`, into a trace file.
public enum TraceImporter {
  /// Imports a file or standard input, plain or gzip, in one pass; memory does not depend on its length.
  ///
  /// - Parameters:
  ///   - input: A path, or `-` for standard input.
  ///   - output: Path of the trace file; it appears only when it is whole.
  /// - Throws: `InputError` with line, byte and last complete timestep if the input is truncated, damaged or not
  ///   what it should be; then no trace file is left behind.
  public static func importTrace(
    from input: String, to output: String, options: ImportOptions = ImportOptions()
  ) throws -> ImportSummary {
    let reader = try InputReader(path: input)
    guard !isSameFile(reader, output) else {
      throw InputError(
        "is the input too, and would be replaced", file: output,
        advice: "Give another name with --output")
    }
    let writer = try TraceWriter(path: output)
    defer { writer.cancel() }
    var summary = try InputFormats.format(of: reader).read(reader, into: writer, options: options)
    summary.digest = try writer.finish()
    return summary
  }

  /// Opens a trace file, or imports floating-car data to a trace without a name.
  ///
  /// - Parameters:
  ///   - input: A path, or `-` for standard input; what is imported may be a pipe.
  ///   - options: for floating-car data; of a trace file they are not used.
  /// - Returns: The trace, whose `notes` are the warnings of its import.
  /// - Throws: `InputError` as `importTrace` does, or that the trace file is damaged.
  public static func open(
    _ input: String, options: ImportOptions = ImportOptions()
  ) throws -> TraceFile {
    let reader = try InputReader(path: input)
    if let descriptor = try reader.traceDescriptor() {
      return try TraceFile(descriptor: descriptor, name: reader.name)
    }
    let writer = try TraceWriter.unnamed()
    defer { writer.cancel() }
    _ = try InputFormats.format(of: reader).read(reader, into: writer, options: options)
    return try writer.finishUnnamed(as: reader.name)
  }

  /// Inflates a file with zlib alone, its own checksum included: what an import is measured against. A file that
  /// is not gzip is read.
  ///
  /// - Returns: Bytes of the content.
  public static func inflateAlone(_ path: String) throws -> Int {
    guard let file = gzopen(path, "rb") else { throw Files.failure("open", path) }
    defer { gzclose(file) }
    // Half of what is asked for: then zlib inflates to where the caller wants it.
    gzbuffer(file, 128 * 1024)
    let capacity = 256 * 1024
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 64)
    defer { buffer.deallocate() }
    var bytes = 0
    while true {
      let count = gzread(file, buffer, UInt32(capacity))
      guard count >= 0 else { throw InputError("cannot be inflated", file: path) }
      if count == 0 { return bytes }
      bytes += Int(count)
    }
  }

  private static func isSameFile(_ reader: InputReader, _ output: String) -> Bool {
    var status = stat()
    return stat(output, &status) == 0 && reader.isFile(status)
  }
}
