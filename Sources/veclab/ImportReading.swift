public import ArgumentParser
import Support
public import TraceImport

/// Options of how floating-car data are read: they change the speed and the bounds, never the result.
struct ImportReading: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      What reads XML: auto (a vector scanner for the lines that SUMO writes, libxml2 for everything else), scalar \
      (the same without vector instructions) or libxml2.
      """))
  var parser: ImportOptions.Parser = .automatic

  @Option(help: "Threads that inflate and parse: 1 or 2.")
  var threads = 2

  @Option(
    help: ArgumentHelp(
      """
      What the input may cost: tag and id (bytes of each), attributes (of a tag), depth (open elements), names \
      (distinct ones), comment (bytes), step (bytes of a timestep's rows), ids (bytes of all ids and 24 for each).
      """,
      valueName: "name=number,.."))
  var limit: String?

  func validate() throws {
    guard 1...2 ~= threads else {
      throw ValidationError("--threads must be 1 or 2, not \(threads).")
    }
    try refuseEmpty(["--limit": limit])
  }

  func apply(to options: inout ImportOptions) throws {
    options.parser = parser
    options.threads = threads
    if let limit { try options.limits.set(limit) }
  }
}

extension ImportOptions.Parser: ExpressibleByArgument {}
