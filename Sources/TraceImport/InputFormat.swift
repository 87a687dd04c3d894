import Support
import Trace

/// A format of traces that an import reads. Adding one is a file that conforms, and a line in `InputFormats.all`.
protocol InputFormat {
  /// Whether an input is of this format by its beginning.
  ///
  /// - Parameter start: Its first bytes, uncompressed; at most `InputFormats.startBytes`.
  static func recognises(_ start: [UInt8]) -> Bool

  /// Reads the whole input: gives every timestep and vehicle to an `ImportSession` and finishes that.
  ///
  /// - Throws: `InputError` that names the input and the place in it.
  static func read(
    _ input: InputReader, into writer: TraceWriter, options: ImportOptions
  ) throws -> ImportSummary
}

enum InputFormats {
  /// The first that recognises the input reads it; the last one takes everything else and says what it is not.
  private static var all: [any InputFormat.Type] { [FCDTable.self, FCDDocument.self] }

  static let startBytes = 4096

  static func format(of input: InputReader) -> any InputFormat.Type {
    let start = input.start(atMost: startBytes)
    return all.first { $0.recognises(start) } ?? FCDDocument.self
  }
}
