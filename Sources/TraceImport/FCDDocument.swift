import CScanner
import Support
import Trace

/// SUMO's floating-car data as XML (`--fcd-output x.fcd.xml`).
enum FCDDocument: InputFormat {
  static func recognises(_ start: [UInt8]) -> Bool { true }

  static func read(
    _ input: InputReader, into writer: TraceWriter, options: ImportOptions
  ) throws -> ImportSummary {
    silenceLibXML2()
    let scanner: VLScanFunction? =
      switch options.parser {
      case .automatic: vl_scanner(nil)
      case .scalar: vl_scanner("base")
      case .libxml2: nil
      }
    let parser = try FCDParser(
      name: input.name, limits: options.limits, scanner: scanner,
      session: ImportSession(options: options, writer: writer))
    let pipeline = ImportPipeline(
      BlockSource(input, blockBytes: options.blockBytes), workers: options.threads,
      scanner: scanner, takeIn: { try parser.parse($0) })
    try pipeline.run()
    return try parser.finishSession()
  }
}
