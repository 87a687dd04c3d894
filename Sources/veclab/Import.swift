public import ArgumentParser
import Foundation
import Support
public import TraceImport

struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turn SUMO floating-car data into a trace file.",
    discussion: """
      Reads the XML of 'sumo --fcd-output', plain or gzip, in one pass; memory does not depend on its length. A \
      trace file is written only if the whole input is sound: truncated or damaged input is an error that says where.

      Steps: --begin, --end and --step select timesteps; the selected ones are all in the trace, also those \
      without a vehicle. Reading stops after --end, so that the part before a damage can be imported.
      Rows: --rect, --circle and --types select vehicles within the steps. Persons and containers are counted \
      and skipped.
      Type car of --types is also car@v, as SUMO calls the copy of a type that belongs to one vehicle.
      Longitude and latitude (--fcd-output.geo) are recognised by --net, else by motion that fits degrees and not \
      metres, else by five decimals or more, and projected to metres east and north of the first vehicle that is \
      kept (transverse Mercator). --rect and the centre of --circle are given in the coordinates of the input.
      Warnings stay with the trace: plan, run and inspect say them too.

      --json prints one object: timesteps (the selected ones), emptyTimesteps (those of them without a vehicle \
      element in the input), vehicles (rows kept), persons and containers (in the selected steps), \
      leftOut (text and unknown elements where timesteps and vehicles stand), ids (distinct \
      vehicles kept), firstTime, lastTime (of the selected steps, s), sumX, sumY, sumSpeed (over the rows kept, of \
      the values as they stand in the input; a missing speed counts 0; beyond the largest number the text inf), \
      coordinates (metres, geo), rowsWithoutSpeed, rowsWithoutPosition (left out: SUMO's placeholder stands in \
      them), warnings, memoryPeakMiB, seconds.
      """)

  @Argument(
    help: ArgumentHelp("Floating-car data, or - for standard input.", valueName: "input"))
  var input: String

  @Option(
    name: [.short, .customLong("output")],
    help: ArgumentHelp(
      "Trace file to write (default: the input's name with the ending .trace, in this folder).",
      valueName: "file"))
  var output: String?

  @OptionGroup var selection: ImportSelection

  @OptionGroup var reading: ImportReading

  @Flag(help: "Print the summary as JSON.")
  var json = false

  func validate() throws { try refuseEmpty(["The input": input, "--output": output]) }

  func run() throws {
    var options = try selection.options()
    try reading.apply(to: &options)
    let output = output ?? Import.defaultOutput(for: input)
    let start = ContinuousClock.now
    let summary = try TraceImporter.importTrace(from: input, to: output, options: options)
    let duration = ContinuousClock.now - start
    let seconds =
      Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    printWarnings(summary.warnings)
    if json {
      print(Import.jsonText(summary, seconds: seconds), terminator: "")
    } else {
      print(Import.text(summary, output: output, seconds: seconds), terminator: "")
    }
  }

  /// `x.fcd.xml.gz` becomes `x.trace` in the working folder.
  static func defaultOutput(for input: String) -> String {
    if input == "-" { return "stdin.trace" }
    var name = Files.name(of: input)
    for ending in [".gz", ".xml", ".fcd"] where name.hasSuffix(ending) && name != ending {
      name.removeLast(ending.count)
    }
    return name + ".trace"
  }

  private static func jsonText(_ summary: ImportSummary, seconds: Double) -> String {
    JSONValue.object([
      "timesteps": .integer(summary.timesteps),
      "emptyTimesteps": .integer(summary.emptyTimesteps),
      "vehicles": .integer(summary.vehicles),
      "persons": .integer(summary.persons),
      "containers": .integer(summary.containers),
      "leftOut": .integer(summary.leftOut.reduce(0) { $0 + $1.count }),
      "ids": .integer(summary.ids),
      "firstTime": .number(summary.firstTime),
      "lastTime": .number(summary.lastTime),
      "sumX": sum(summary.sumX),
      "sumY": sum(summary.sumY),
      "sumSpeed": sum(summary.sumSpeed),
      "coordinates": .text(summary.isGeographic ? "geo" : "metres"),
      "rowsWithoutSpeed": .integer(summary.rowsWithoutSpeed),
      "rowsWithoutPosition": .integer(summary.rowsWithoutPosition),
      "warnings": .list(summary.warnings.map { .text($0) }),
      "memoryPeakMiB": .number(memoryPeakMiB()),
      "seconds": .number(seconds),
    ]).readable
  }

  /// A sum beyond the largest number is a text: JSON has no infinity.
  private static func sum(_ value: Double) -> JSONValue {
    value.isFinite ? .number(value) : .text("\(value)")
  }

  private static func text(
    _ summary: ImportSummary, output: String, seconds: Double
  ) -> String {
    let rate = Double(summary.bytes) / 1e6 / max(seconds, 1e-9)
    func time(_ value: Double) -> String { "\(short(value, digits: 7)) s" }
    let skipped =
      summary.persons + summary.containers == 0
      ? "" : ", \(summary.persons) persons and \(summary.containers) containers skipped"
    return """
      \(output): \(summary.timesteps) timesteps (\(summary.emptyTimesteps) without a vehicle) from \
      \(time(summary.firstTime)) to \(time(summary.lastTime))
      \(summary.vehicles) rows of \(summary.ids) vehicles\(skipped)
      \(summary.isGeographic ? "longitude and latitude, projected to metres" : "metres")
      \(short(seconds)) s, \(short(rate)) MB/s of XML, \(short(memoryPeakMiB())) MiB at most

      """
  }

  /// Largest resident memory of this process so far (VmHWM), MiB.
  ///
  /// `ru_maxrss` would not do: it survives exec, so it may be that of a large parent.
  static func memoryPeakMiB() -> Double {
    guard let status = try? Files.readText("/proc/self/status") else { return .nan }
    for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
      let digits = line.filter { $0.isASCII && $0.isNumber }
      return (Double(digits) ?? .nan) / 1024
    }
    return .nan
  }
}

/// Options that select a part of floating-car data, for every command that reads it.
struct ImportSelection: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("First time to keep, s or HH:MM:SS.", valueName: "time"))
  var begin: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Last time to keep (included), s or HH:MM:SS.", valueName: "time"))
  var end: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Keep vehicles in this rectangle.", valueName: "x0,y0,x1,y1"))
  var rect: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Keep vehicles in this circle (radius in metres).", valueName: "x,y,radius"))
  var circle: String?

  @Option(help: ArgumentHelp("Keep vehicles of these types.", valueName: "a,b,.."))
  var types: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Keep timesteps that are multiples of this many seconds.", valueName: "s"))
  var step: String?

  @OptionGroup var meaning: CoordinateOptions

  func options() throws -> ImportOptions {
    var options = ImportOptions()
    options.begin = try ImportSelection.time(begin, "--begin")
    options.end = try ImportSelection.time(end, "--end")
    if let begin = options.begin, let end = options.end, begin > end {
      throw InputError("is after --end", key: "--begin", value: self.begin)
    }
    if let rect {
      let values = try ImportSelection.numbers(rect, count: 4, "--rect", "x0,y0,x1,y1")
      options.rectangle = .init(x0: values[0], y0: values[1], x1: values[2], y1: values[3])
    }
    if let circle {
      let values = try ImportSelection.numbers(circle, count: 3, "--circle", "x,y,radius")
      guard values[2] > 0 else {
        throw InputError("needs a radius above 0", key: "--circle", value: circle)
      }
      options.circle = .init(x: values[0], y: values[1], radius: values[2])
    }
    if let types { options.types = try ImportOptions.types(types) }
    if let step {
      let values = try ImportSelection.numbers(step, count: 1, "--step", "seconds")
      guard values[0] > 0 else {
        throw InputError("must be above 0", key: "--step", value: step)
      }
      options.step = values[0]
    }
    try meaning.apply(to: &options)
    return options
  }

  private static func time(_ text: String?, _ option: String) throws -> Double? {
    guard let text else { return nil }
    guard let time = ImportOptions.time(text) else {
      throw InputError(
        "is no time", key: option, value: text, advice: "Give seconds or HH:MM:SS")
    }
    return time
  }

  /// Numbers with commas between them.
  static func numbers(
    _ text: String, count: Int, _ option: String, _ form: String
  ) throws -> [Double] {
    let values = text.split(separator: ",", omittingEmptySubsequences: false).map {
      Double($0.trimmingCharacters(in: .whitespaces)) ?? .nan
    }
    guard values.count == count, values.allSatisfy(\.isFinite) else {
      throw InputError("must be \(form)", key: option, value: text)
    }
    return values
  }
}

/// Options that say what the coordinates of floating-car data are.
struct CoordinateOptions: ParsableArguments {
  @Option(help: "What x and y are: metres, geo (longitude, latitude) or auto.")
  var coordinates: ImportOptions.Coordinates = .auto

  @Option(
    help: ArgumentHelp(
      "SUMO network of the trace: its <location> tells metres from degrees.",
      valueName: "net.xml"))
  var net: String?

  func apply(to options: inout ImportOptions) throws {
    options.coordinates = coordinates
    options.network = try net.map { try NetworkLocation(path: $0) }
  }
}

extension ImportOptions.Coordinates: ExpressibleByArgument {}

/// Prints warnings, each a sentence without its full stop, on standard error.
///
/// - Parameter about: What they are about, when that is not clear.
func printWarnings(_ warnings: [String], about name: String? = nil) {
  for warning in warnings {
    let end = warning.hasSuffix("?") ? "" : "."
    printError("Warning: \(name.map { "\($0): " } ?? "")\(warning)\(end)")
  }
}

/// Prints a line on standard error.
func printError(_ line: String) {
  FileHandle.standardError.write(Data((line + "\n").utf8))
}
