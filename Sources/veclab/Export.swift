import ArgumentParser
import Support

/// `veclab export`: what the program keeps in its own form, for other programs.
struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a trace as CSV or as SUMO's floating-car data.",
    discussion: """
      For a trace or floating-car data: --csv writes SUMO's CSV (';' between columns; pandas.read_csv(FILE, sep=';')), \
      --fcd its XML, for SUMO's own tools. Both can be imported again: a trace of metres is the same then, one of \
      longitude and latitude comes back as these with 9 decimals. Types, lanes and angles are not in a trace.
      """)

  @Argument(
    help: ArgumentHelp("Trace file or floating-car data; - for standard input.", valueName: "input")
  )
  var input: String

  @OptionGroup var trace: TraceExportOptions

  @Option(
    name: [.short, .customLong("output")],
    help: ArgumentHelp(
      "File to write, gzip if it ends in .gz; - for standard output.", valueName: "file"))
  var output: String

  func validate() throws {
    try refuseEmpty(["The input": input, "--output": output])
    try trace.validate()
  }

  func run() throws { try trace.export(input, to: output) }
}
