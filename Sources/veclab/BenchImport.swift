import ArgumentParser
import Foundation
import Support
import TraceImport

/// `veclab bench import`: how fast floating-car data become a trace, beside zlib's inflate alone.
struct BenchImport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Measure the import of floating-car data against inflating it alone.",
    discussion: """
      The file is imported to a temporary trace and inflated by zlib alone, in turn; the medians of both are \
      printed. --json prints one object: xmlMBps and inflateMBps (10^6 bytes of XML in a second, by the clock), \
      ratio (of the two), vehiclesPerSecond, memoryPeakMiB (of the imports), threads, parser, repetitions. A file \
      that is not gzip is read alone instead of inflated.
      """)

  @Argument(help: ArgumentHelp("Floating-car data, best gzip of SUMO.", valueName: "file"))
  var file: String

  @OptionGroup var reading: ImportReading

  @Option(help: "Times that each is measured.")
  var repetitions = 5

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    try refuseEmpty(["The file": file])
    guard 1...1000 ~= repetitions else {
      throw ValidationError("--repetitions must be from 1 to 1000, not \(repetitions).")
    }
  }

  func run() throws {
    var options = ImportOptions()
    try reading.apply(to: &options)
    try Files.refuseSpecialFile(file)
    let output = FileManager.default.temporaryDirectory.appending(
      path: "veclab-bench-import-\(UUID().uuidString).trace"
    ).path
    defer { try? Files.remove(output) }
    let clock = ContinuousClock()
    var imports: [Double] = []
    var inflations: [Double] = []
    var summary = ImportSummary()
    for _ in 0..<repetitions {
      imports.append(
        try clock.measure {
          summary = try TraceImporter.importTrace(from: file, to: output, options: options)
        } / .seconds(1))
      inflations.append(
        try clock.measure { _ = try TraceImporter.inflateAlone(file) } / .seconds(1))
    }
    let megabytes = Double(summary.bytes) / 1e6
    let speed = megabytes / Statistics.quantile(imports, 0.5)
    let inflate = megabytes / Statistics.quantile(inflations, 0.5)
    let vehicles = Double(summary.vehicles) / Statistics.quantile(imports, 0.5)
    let memory = Import.memoryPeakMiB()
    guard !json else {
      return print(
        JSONValue.object([
          "xmlMBps": .number(speed), "vehiclesPerSecond": .number(vehicles.rounded()),
          "inflateMBps": .number(inflate), "ratio": .number(speed / inflate),
          "memoryPeakMiB": .number(memory), "threads": .integer(options.threads),
          "parser": .text(options.parser.rawValue), "repetitions": .integer(repetitions),
        ]).readable, terminator: "")
    }
    print(
      """
      \(short(megabytes)) MB of XML, \(summary.vehicles) rows; \(options.threads) threads, parser \
      \(options.parser.rawValue), median of \(repetitions)
      import   \(short(speed)) MB/s of XML, \(Int(vehicles)) rows/s, \(short(memory)) MiB at most
      inflate  \(short(inflate)) MB/s with zlib alone; the import runs at \(short(speed / inflate)) of that
      """)
  }
}
