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
    let scanner = options.parser == .libxml2 ? nil : vl_scanner(nil)
    let parser = try FCDParser(
      name: input.name, limits: options.limits, scanner: scanner,
      session: ImportSession(options: options, writer: writer))
    let pipeline = ImportPipeline(
      BlockSource(input), workers: options.threads, scanner: scanner,
      takeIn: { try parser.parse($0) })
    try pipeline.run()
    return try parser.finishSession()
  }
}
