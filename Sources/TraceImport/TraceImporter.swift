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
    let session = ImportSession(options: options, writer: writer)
    let parser = try FCDParser(name: reader.name, types: options.types, session: session)
    let queue = reader.start()
    defer { queue.close() }

    var isWanted = true
    while isWanted, let chunk = try next(from: queue, parser) {
      isWanted = try chunk.bytes.withUnsafeBytes {
        try parser.parse(UnsafeRawBufferPointer(rebasing: $0[0..<chunk.count]))
      }
      queue.giveBack(chunk)
    }
    if isWanted { try parser.finish() }
    guard session.summary.timesteps > 0 else { throw nothingSelected(parser, reader.name) }
    try session.finish()
    session.summary.bytes = parser.bytesFed
    return session.summary
  }

  private static func isSameFile(_ input: String, _ output: String) -> Bool {
    var a = stat()
    var b = stat()
    guard input != "-", stat(input, &a) == 0, stat(output, &b) == 0 else { return false }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino
  }

  /// The next chunk; an error of reading or inflating says how far the XML was understood.
  private static func next(from queue: ChunkQueue, _ parser: FCDParser) throws -> Chunk? {
    do {
      return try queue.takeFilled()
    } catch {
      var error = error
      error.problem += "; \(parser.progress)"
      if let advice = parser.rescueAdvice { error.advice = advice }
      throw error
    }
  }

  private static func nothingSelected(_ parser: FCDParser, _ name: String) -> InputError {
    InputError(
      "has no timestep to import; \(parser.progress)", file: name,
      advice: "Check --begin, --end and --step, or that SUMO ran longer than 0 s")
  }
}
