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
      """)

  @Argument(
    help: ArgumentHelp(
      "Trace file, or floating-car data (imported to a temporary trace first).",
      valueName: "trace"))
  var trace: String

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Position of the RSU in metres, or auto: where most windows have enough vehicles.",
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
    let place: (x: Double, y: Double)
    if rsu == "auto" {
      place = try RSUPlacement.automatic(
        trace: file, coverage: coverage, slots: slots, slotLength: slotLength,
        vehicles: vehicles, maximumGap: interpolationGap)
    } else {
      let values = try ImportSelection.numbers(rsu, count: 2, "--rsu", "x,y or auto")
      place = (values[0], values[1])
    }
    let windows = try QualifyingWindows(
      trace: file, rsuX: place.x, rsuY: place.y, coverage: coverage, slots: slots,
      slotLength: slotLength, maximumGap: interpolationGap)
    let sampling = Sampling(slotLength: slotLength, interpolationGap: interpolationGap)
    let axis = try? RoadAxis(
      trace: file, nearX: place.x, nearY: place.y, radius: coverage, sampling: sampling)
    let report = InspectReport(
      trace: trace, file: file, place: place, coverage: coverage, axis: axis, windows: windows,
      needed: vehicles)
    print(json ? report.json.readable : report.text, terminator: "")
    if let plot, let drawing {
      if plot.hasSuffix(".svg") {
        try Files.writeAtomically(InspectPlot.svg(report), to: plot)
      } else {
        try await InspectPlot.writePNG(report, to: drawing)
      }
    }
  }
}

/// The figures of `veclab inspect`.
struct InspectReport {
  let trace: String
  let header: TraceHeader
  let digest: String
  let warnings: [String]
  let place: (x: Double, y: Double)
  let coverage: Double
  let axis: RoadAxis?
  let needed: Int
  let slots: Int
  let slotLength: Double
  let candidates: [QualifyingWindows.Candidate]
  let best: QualifyingWindows.Candidate?
  let bestNames: [String]
  let slotTimes: [Double]
  let inRange: [Int]
  /// Seconds, ascending.
  let dwells: [Double]

  init(
    trace: String, file: TraceFile, place: (x: Double, y: Double), coverage: Double,
    axis: RoadAxis?, windows: QualifyingWindows, needed: Int
  ) {
    self.trace = trace
    header = file.header
    digest = file.digest
    warnings = file.notes
    self.place = place
    self.coverage = coverage
    self.axis = axis
    self.needed = needed
    slots = windows.slots
    slotLength = windows.slotLength
    candidates = windows.candidates
    best = windows.best
    bestNames = windows.best.map { windows.window($0).names } ?? []
    inRange = windows.vehiclesInRange
    slotTimes = inRange.indices.map { windows.time(slot: $0) }
    dwells = windows.stays.map { Double($0.slots) * windows.slotLength }.sorted()
  }

  var mostVehicles: Int { best?.vehicles ?? 0 }

  /// Windows in which at least 1, 2, .. vehicles qualify.
  var windowsByVehicles: [Int] {
    guard mostVehicles > 0 else { return [] }
    var counts = [Int](repeating: 0, count: mostVehicles + 1)
    for candidate in candidates { counts[candidate.vehicles] += 1 }
    for k in stride(from: mostVehicles - 1, through: 0, by: -1) { counts[k] += counts[k + 1] }
    return Array(counts.dropFirst())
  }

  var enough: Int { candidates.count { $0.vehicles >= needed } }

  var meanInRange: Double { Statistics.mean(inRange.map(Double.init)) }

  var json: JSONValue {
    var members: [String: JSONValue] = [
      "trace": .text(trace), "digest": .text(digest), "steps": .integer(header.steps),
      "rows": .integer(header.rows), "vehicles": .integer(header.vehicles),
      "warnings": .list(warnings.map { .text($0) }),
      "firstTime": .number(header.firstTime), "lastTime": .number(header.lastTime),
      "rsuX": .number(place.x), "rsuY": .number(place.y), "coverage": .number(coverage),
      "slots": .integer(slots), "slotLength": .number(slotLength),
      "vehiclesNeeded": .integer(needed), "windows": .integer(candidates.count),
      "windowsWithEnoughVehicles": .integer(enough),
      "windowsByMinimumVehicles": .list(windowsByVehicles.map { .integer($0) }),
      "vehiclesInRange": .object([
        "times": .list(slotTimes.map { .number($0) }),
        "counts": .list(inRange.map { .integer($0) }),
        "mean": .number(meanInRange), "largest": .integer(inRange.max() ?? 0),
      ]),
      "qualifyingVehicles": .object([
        "startTimes": .list(candidates.map { .number($0.startTime) }),
        "counts": .list(candidates.map { .integer($0.vehicles) }),
      ]),
      "dwell": .object([
        "stays": .integer(dwells.count), "mean": .number(Statistics.mean(dwells)),
        "median": .number(Statistics.quantile(sorted: dwells, 0.5)),
        "p95": .number(Statistics.quantile(sorted: dwells, 0.95)),
        "seconds": .list(dwells.map { .number($0) }),
      ]),
    ]
    if let best {
      members["best"] = .object([
        "startTime": .number(best.startTime), "endTime": .number(best.endTime),
        "vehicles": .integer(best.vehicles), "ids": .list(bestNames.map { .text($0) }),
      ])
    }
    if let axis {
      members["directionX"] = .number(axis.directionX)
      members["directionY"] = .number(axis.directionY)
    }
    return .object(members)
  }

  var text: String {
    func short(_ value: Double) -> String { String(format: "%.1f", value) }
    var lines = [
      "\(trace): \(header.steps) steps from \(header.firstTime) s to \(header.lastTime) s, "
        + "\(header.rows) rows of \(header.vehicles) vehicles",
      "RSU at (\(short(place.x)), \(short(place.y))), coverage \(short(coverage)) m",
    ]
    if let axis {
      lines.append(
        String(format: "direction of travel (%.3f, %.3f)", axis.directionX, axis.directionY))
    }
    lines.append(
      "vehicles in range: mean \(short(meanInRange)), most \(inRange.max() ?? 0)")
    if !dwells.isEmpty {
      lines.append(
        "dwell time of \(dwells.count) stays: mean \(short(Statistics.mean(dwells))) s, "
          + "median \(short(Statistics.quantile(sorted: dwells, 0.5))) s, "
          + "95 % below \(short(Statistics.quantile(sorted: dwells, 0.95))) s")
    }
    lines.append(
      "windows of \(slots) slots of \(slotLength) s: \(candidates.count), "
        + "\(enough) with at least \(needed) qualifying vehicles")
    if let best {
      lines.append(
        "best window: \(best.startTime) s to \(best.endTime) s, \(best.vehicles) vehicles")
    } else {
      lines.append("the trace is shorter than a window")
    }
    if mostVehicles > 0 { lines.append("windows by number of qualifying vehicles, at least:") }
    let counts = windowsByVehicles
    for start in stride(from: 0, to: counts.count, by: 8) {
      let cells = (start..<min(start + 8, counts.count)).map { "\($0 + 1): \(counts[$0])" }
      lines.append("  " + cells.joined(separator: "   "))
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
