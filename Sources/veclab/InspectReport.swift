import Foundation
import Support
import Trace
import TraceImport

/// The figures of `veclab inspect`.
struct InspectReport {
  /// What the trace is called.
  let trace: String
  let header: TraceHeader
  let digest: String
  let warnings: [String]
  let place: (x: Double, y: Double)
  /// Nil for a trace without rows.
  let extent: TraceExtent?
  let map: (side: Double, cells: [MapCell])
  /// Median time between samples of a vehicle, seconds; nil if none has two.
  let samplingStep: Double?
  let coverage: Double
  let axis: RoadAxis?
  let needed: Int
  let slots: Int
  let slotLength: Double
  let candidates: [QualifyingWindows.Candidate]
  let trainShare: Double
  let training, evaluation: [QualifyingWindows.Candidate]
  let best: QualifyingWindows.Candidate?
  let bestNames: [String]
  let slotTimes: [Double]
  let inRange: [Int]
  /// Seconds, ascending.
  let dwells: [Double]

  /// Squares along the longer side of the map.
  private static let mapCells = 240

  init(
    file: TraceFile, place: (x: Double, y: Double), coverage: Double, windows: QualifyingWindows,
    needed: Int, trainShare: Double
  ) throws {
    trace = file.path
    header = file.header
    digest = file.digest
    self.place = place
    self.coverage = coverage
    let sampling = Sampling(
      slotLength: windows.slotLength, interpolationGap: windows.maximumGap)
    var warnings = file.notes
    do {
      axis = try RoadAxis(
        trace: file, nearX: place.x, nearY: place.y, radius: coverage, sampling: sampling)
    } catch let error as InputError {
      axis = nil
      warnings.append(
        "the trace \(error.problem)" + (error.advice.map { ". \($0)" } ?? ""))
    }
    samplingStep = file.samplingStep()
    if let cause = file.samplingAdvice(sampling), axis != nil {
      warnings.append("\(cause.problem). \(cause.advice)")
    }
    self.warnings = warnings
    let extent = file.extent()
    self.extent = extent
    map = extent.map { file.map(of: $0, cells: InspectReport.mapCells) } ?? (1, [])
    self.needed = needed
    slots = windows.slots
    slotLength = windows.slotLength
    candidates = windows.candidates
    self.trainShare = trainShare
    (training, evaluation) = windows.split(trainShare: trainShare)
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

  func enough(_ windows: [QualifyingWindows.Candidate]) -> Int {
    windows.count { $0.vehicles >= needed }
  }

  /// Longitude and latitude of a place; nil in a trace of metres.
  func position(x: Double, y: Double) -> (longitude: Double, latitude: Double)? {
    guard case .localPlane(let longitude, let latitude) = header.projection else { return nil }
    return LocalPlane(longitude: longitude, latitude: latitude).position(x: x, y: y)
  }

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
      "windowsWithEnoughVehicles": .integer(enough(candidates)),
      "trainShare": .number(trainShare), "training": json(training),
      "evaluation": json(evaluation), "samplingStep": samplingStep.map { .number($0) } ?? .null,
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
    if let extent {
      members["boundingBox"] = .list(
        [extent.x0, extent.y0, extent.x1, extent.y1].map { .number($0) })
    }
    if let position = position(x: place.x, y: place.y) {
      members["rsuLongitude"] = .number(position.longitude)
      members["rsuLatitude"] = .number(position.latitude)
    }
    if let axis {
      members["directionX"] = .number(axis.directionX)
      members["directionY"] = .number(axis.directionY)
    }
    return .object(members)
  }

  private func json(_ part: [QualifyingWindows.Candidate]) -> JSONValue {
    .object([
      "windows": .integer(part.count), "windowsWithEnoughVehicles": .integer(enough(part)),
      "mostVehicles": .integer(part.map(\.vehicles).max() ?? 0),
    ])
  }

  var text: String {
    func tenths(_ value: Double) -> String { String(format: "%.1f", value) }
    func time(_ value: Double) -> String { "\(short(value, digits: 7)) s" }
    var lines = [
      "\(trace): \(header.steps) steps from \(time(header.firstTime)) to \(time(header.lastTime)), "
        + "\(header.rows) rows of \(header.vehicles) vehicles"
    ]
    if let samplingStep { lines[0] += ", sampled every \(CSVWriter.text(of: samplingStep)) s" }
    if let extent {
      lines.append(
        "x from \(tenths(extent.x0)) to \(tenths(extent.x1)) m, y from \(tenths(extent.y0)) to "
          + "\(tenths(extent.y1)) m")
    }
    let position = position(x: place.x, y: place.y).map {
      String(format: ", longitude %.6f, latitude %.6f", $0.longitude, $0.latitude)
    }
    lines.append(
      "RSU at (\(tenths(place.x)), \(tenths(place.y)))\(position ?? ""), coverage \(short(coverage, digits: 4)) m"
    )
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
      "windows of \(slots) slots of \(short(slotLength)) s: \(candidates.count), "
        + "\(enough(candidates)) with at least \(needed) qualifying vehicles")
    let percent = CSVWriter.text(of: (trainShare * 1000).rounded() / 10)
    for (name, part) in [
      ("training (first \(percent) % of the time)", training),
      ("evaluation (the rest)", evaluation),
    ] {
      lines.append(
        "  \(name): \(part.count), \(enough(part)) with enough vehicles, at most "
          + "\(part.map(\.vehicles).max() ?? 0)")
    }
    if let best {
      lines.append(
        "best window: \(time(best.startTime)) to \(time(best.endTime)), \(best.vehicles) vehicles")
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
