import ArgumentParser
import Foundation
import Support
import Trace
import TraceImport

struct Inspect: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Show what a trace offers an RSU: qualifying windows, vehicles in range, dwell times.",
    discussion: """
      A vehicle qualifies for a window of consecutive slots if it is present, and within the coverage of the RSU, \
      at the start of each of them. A dwell time is the length of a stretch of consecutive slots in range; those \
      cut off by the start or the end of the trace are counted in.
      Windows of training end in the first part of the trace's time, those of evaluation start in the rest, as in \
      experiments. With --plot the first picture is a map: the trace's own positions, the RSU and its coverage.
      """)

  @Argument(
    help: ArgumentHelp(
      "Trace file, or floating-car data (imported to a temporary trace first).",
      valueName: "trace"))
  var trace: String

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Position of the RSU, or auto: where most windows have enough vehicles. Metres; of a trace of longitudes and \
      latitudes these, or metres with their unit, like 350m,-12m.
      """,
      valueName: "x,y"))
  var rsu = "auto"

  @Option(help: ArgumentHelp("Range of the RSU in metres.", valueName: "m"))
  var coverage = 500.0

  @Option(help: ArgumentHelp("Slots of a window.", valueName: "n"))
  var slots = 30

  @Option(help: ArgumentHelp("Length of a slot in seconds.", valueName: "s"))
  var slotLength = 1.0

  @Option(
    help: ArgumentHelp(
      "Largest distance in time of two samples of a vehicle to interpolate between.",
      valueName: "s"))
  var interpolationGap = 2.0

  @Option(
    help: ArgumentHelp(
      "Vehicles that a window needs (client and service vehicles).", valueName: "n"))
  var vehicles = 12

  @Option(help: "Share of the trace's time that is for training.")
  var trainShare = 0.7

  @OptionGroup var meaning: CoordinateOptions

  @Flag(help: "Print the figures as JSON.")
  var json = false

  @Option(
    help: ArgumentHelp("Draw the figures (.svg, or .png by matplotlib).", valueName: "file"))
  var plot: String?

  func validate() throws {
    try refuseEmpty(["The trace": trace])
    guard coverage.isFinite, coverage > 0 else {
      throw ValidationError("--coverage must be a finite number above 0, not \(coverage).")
    }
    guard slots >= 1, slots <= 1_000_000 else {
      throw ValidationError("--slots must be 1 to 1000000.")
    }
    guard slotLength.isFinite, slotLength >= 0.001 else {
      throw ValidationError(
        "--slot-length must be a finite number of at least 0.001 s, not \(slotLength).")
    }
    guard interpolationGap.isFinite, interpolationGap >= 0 else {
      throw ValidationError(
        "--interpolation-gap must be a finite number of at least 0, not \(interpolationGap).")
    }
    guard vehicles >= 1 else { throw ValidationError("--vehicles must be at least 1.") }
    guard trainShare >= 0, trainShare <= 1 else {
      throw ValidationError("--train-share must be 0 to 1, not \(trainShare).")
    }
    if let plot, !plot.hasSuffix(".svg"), !plot.hasSuffix(".png") {
      throw ValidationError("--plot needs a file that ends in .svg or .png.")
    }
  }

  func run() async throws {
    // Before the work, and for the PNG, which Python writes.
    let drawing = try plot.map { try Files.destination(of: $0) }
    var options = ImportOptions()
    try meaning.apply(to: &options)
    let file = try TraceImporter.open(trace, options: options)
    printWarnings(file.notes)
    let place = try place(in: file)
    let windows = try QualifyingWindows(
      trace: file, rsuX: place.x, rsuY: place.y, coverage: coverage, slots: slots,
      slotLength: slotLength, maximumGap: interpolationGap)
    let report = try InspectReport(
      file: file, place: place, coverage: coverage, windows: windows, needed: vehicles,
      trainShare: trainShare)
    printWarnings(Array(report.warnings.dropFirst(file.notes.count)))
    print(json ? report.json.readable : report.text, terminator: "")
    if let plot, let drawing {
      if plot.hasSuffix(".svg") {
        try Files.writeAtomically(InspectPlot.svg(report), to: plot)
      } else {
        try await InspectPlot.writePNG(report, to: drawing)
      }
    }
  }

  /// Where the RSU stands, in the trace's metres.
  private func place(in file: TraceFile) throws -> (x: Double, y: Double) {
    if rsu == "auto" {
      return try RSUPlacement.automatic(
        trace: file, coverage: coverage, slots: slots, slotLength: slotLength, vehicles: vehicles,
        maximumGap: interpolationGap)
    }
    let parts = rsu.split(separator: ",", omittingEmptySubsequences: false)
    let isInMetres = parts.allSatisfy { $0.hasSuffix("m") }
    let numbers = isInMetres ? parts.map { $0.dropLast() }.joined(separator: ",") : rsu
    let values = try ImportSelection.numbers(numbers, count: 2, "--rsu", "x,y or auto")
    guard case .localPlane(let longitude, let latitude) = file.header.projection, !isInMetres else {
      return (values[0], values[1])
    }
    guard abs(values[0]) <= 180, abs(values[1]) <= 90 else {
      throw InputError(
        "is no longitude and latitude, which this trace is of", key: "--rsu", value: rsu,
        advice:
          "Metres east and north of its first vehicle are given as \(values[0])m,\(values[1])m")
    }
    return LocalPlane(longitude: longitude, latitude: latitude).project(
      longitude: values[0], latitude: values[1])
  }
}
