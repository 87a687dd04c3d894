import ArgumentParser
import Support
import Trace
import TraceImport

/// How `veclab export` writes a trace.
struct TraceExportOptions: ParsableArguments {
  @Flag(help: "Write CSV, a row for each vehicle and timestep.")
  var csv = false

  @Flag(help: "Write SUMO's XML of floating-car data.")
  var fcd = false

  @OptionGroup var meaning: CoordinateOptions

  func validate() throws {
    guard csv != fcd else { throw ValidationError("Give one of --csv and --fcd.") }
  }

  func export(_ input: String, to output: String) throws {
    var options = ImportOptions()
    try meaning.apply(to: &options)
    let trace = try TraceImporter.open(input, options: options)
    printWarnings(trace.notes)
    try TraceExport.write(trace, as: csv ? .csv : .fcd, to: output)
  }
}
