import CScanner
import CZlib
import Glibc
import Support
import Trace

/// Turns SUMO floating-car data into a trace file.
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
    guard !isSameFile(input, output) else {
      throw InputError(
        "is the input too, and would be replaced", file: output,
        advice: "Give another name with --output")
    }
    let writer = try TraceWriter(path: output)
    defer { writer.cancel() }
    silenceLibXML2()
    let scanner: VLScanFunction? =
      switch options.parser {
      case .automatic: vl_scanner(nil)
      case .scalar: vl_scanner("base")
      case .libxml2: nil
      }
    let parser = try FCDParser(
      name: reader.name, limits: options.limits, scanner: scanner,
      session: ImportSession(options: options, writer: writer))
    let pipeline = ImportPipeline(
      BlockSource(reader, blockBytes: options.blockBytes), workers: options.threads,
      scanner: scanner,
      takeIn: { try parser.parse($0) })
    try pipeline.run()
    return try parser.finishSession()
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

  private static func isSameFile(_ input: String, _ output: String) -> Bool {
    var a = stat()
    var b = stat()
    guard input != "-", stat(input, &a) == 0, stat(output, &b) == 0 else { return false }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino
  }
}
