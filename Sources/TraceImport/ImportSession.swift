import Support
import Trace

/// Filters rows, finds out what their coordinates are, counts, and writes the trace.
///
/// Until the coordinates are known, rows wait in memory: at most `CoordinateDetection.mostRows` and those of the
/// step that passed that number.
final class ImportSession {
  private enum Plane {
    case unknown
    case metres
    /// Around the first vehicle that is kept: nil until it comes.
    case geographic(LocalPlane?)
  }

  /// SUMO's placeholder for a coordinate that a vehicle does not have, -2^30.
  private static let placeholder = -1_073_741_824.0

  /// Largest projected coordinate in metres: beyond it no plane is local.
  private static let farthest = 1e6

  var summary = ImportSummary()
  private let options: ImportOptions
  private let writer: TraceWriter
  private var plane: Plane
  private var detection: CoordinateDetection
  /// Whether the detection still takes rows.
  private var isDetecting = true
  var types: TypeFilter
  private var waitingSteps: [(time: Double, rows: Int)] = []
  private var waitingRows: [TraceRow] = []
  /// All vehicles that pass the filter of types; per vehicle the last step, and the index in the trace or -1.
  private var seen = VehicleNames()
  private var lastSteps: [Int] = []
  private var kept: [Int32] = []
  private let circleCentre: (x: Double, y: Double)
  /// Longitudes and latitudes are within the circle in the plane around its centre.
  private let circlePlane: LocalPlane?
  private var time = 0.0
  private var step = -1

  init(options: ImportOptions, writer: TraceWriter) {
    self.options = options
    self.writer = writer
    detection = CoordinateDetection(network: options.network)
    types = TypeFilter(options.types)
    circleCentre = options.circle.map { ($0.x, $0.y) } ?? (0, 0)
    circlePlane = options.circle.flatMap {
      CoordinateDetection.isGeographic($0.x, $0.y)
        ? LocalPlane(longitude: $0.x, latitude: $0.y) : nil
    }
    switch options.coordinates {
    case .metres: plane = .metres
    case .geo:
      plane = .geographic(nil)
      summary.isGeographic = true
    case .auto: plane = .unknown
    }
  }

  /// Whether a step of this time is to be kept.
  func isSelected(_ time: Double) -> Bool {
    if let begin = options.begin, time < begin { return false }
    if let end = options.end, time > end { return false }
    if let length = options.step {
      let multiple = (time / length).rounded() * length
      return abs(time - multiple) <= 1e-6
    }
    return true
  }

  /// Whether nothing at this time or later is wanted.
  func isPastEnd(_ time: Double, after: Bool) -> Bool {
    guard let end = options.end else { return false }
    return after ? time >= end : time > end
  }

  func beginStep(time: Double) throws {
    self.time = time
    step += 1
    if summary.timesteps == 0 { summary.firstTime = time }
    summary.lastTime = time
    summary.timesteps += 1
    if case .unknown = plane {
      waitingSteps.append((time, 0))
    } else {
      try writer.beginStep(time: time)
    }
  }

  /// Takes a vehicle element of the step.
  ///
  /// - Returns: False if the vehicle has been in this step before.
  func add(
    id: UnsafeRawBufferPointer, x: Double, y: Double, speed: Double, position: Double,
    decimals: Int
  ) throws -> Bool {
    let vehicle = seen.index(of: id)
    if vehicle == lastSteps.count {
      lastSteps.append(-1)
      kept.append(-1)
    }
    guard lastSteps[vehicle] != step else { return false }
    lastSteps[vehicle] = step
    if x == ImportSession.placeholder || y == ImportSession.placeholder {
      summary.rowsWithoutPosition += 1
      return true
    }
    if isDetecting {
      detection.add(vehicle: vehicle, time: time, x: x, y: y, speed: speed, decimals: decimals)
    }
    let row = TraceRow(vehicle: vehicle, x: x, y: y, speed: speed, position: position)
    if case .unknown = plane {
      waitingRows.append(row)
      waitingSteps[waitingSteps.count - 1].rows += 1
    } else {
      try keep(row)
    }
    if isDetecting {
      let verdict = detection.verdict
      if verdict != .undecided { try resolve(verdict) }
    }
    return true
  }

  /// Ends the import of rows: what is left to do is to finish the writer.
  func finish() throws {
    if isDetecting { try resolve(detection.finalVerdict) }
    summary.ids = writer.names.count
    summary.warnings += types.warnings + countWarnings
    writer.notes = summary.warnings
  }

  private var countWarnings: [String] {
    var warnings: [String] = []
    if summary.vehicles == 0 { warnings.append("no vehicle was kept, the trace is empty") }
    if summary.rowsWithoutSpeed > 0 {
      warnings.append(
        "\(summary.rowsWithoutSpeed) rows have no speed; it will be derived from positions")
    }
    if summary.rowsWithoutPosition > 0 {
      warnings.append(
        "\(summary.rowsWithoutPosition) rows were left out: they hold SUMO's placeholder for no "
          + "position, \(CSVWriter.text(of: ImportSession.placeholder))")
    }
    if summary.impossibleRowsOutside > 0 {
      warnings.append(
        "\(summary.impossibleRowsOutside) rows outside --rect are no longitude and latitude at all")
    }
    return warnings
  }

  /// Settles what the coordinates are and lets the waiting rows through.
  private func resolve(_ verdict: CoordinateDetection.Verdict) throws {
    isDetecting = false
    let isUnknown = if case .unknown = plane { true } else { false }
    if isUnknown && verdict == .exchanged {
      throw InputError(
        "x and y look like latitude and longitude exchanged: only so do the vehicles move as their "
          + "speeds say",
        advice:
          "Exchange x (longitude) and y (latitude), or take them for metres with --coordinates "
          + "metres (in an experiment file 'coordinates: metres')")
    }
    let taken: CoordinateDetection.Verdict =
      isUnknown ? verdict : summary.isGeographic ? .geographic : .metres
    summary.warnings += detection.warnings(taken)
    detection = CoordinateDetection()
    guard isUnknown else { return }
    summary.isGeographic = verdict == .geographic
    plane = verdict == .geographic ? .geographic(nil) : .metres
    var next = 0
    for waiting in waitingSteps {
      try writer.beginStep(time: waiting.time)
      for row in waitingRows[next..<next + waiting.rows] { try keep(row) }
      next += waiting.rows
    }
    waitingSteps = []
    waitingRows = []
  }

  private func checkGeographic(x: Double, y: Double) throws {
    guard abs(x) <= 180, abs(y) <= 90 else {
      throw InputError(
        "(\(x), \(y)) is no longitude and latitude in degrees",
        advice: "If the coordinates are metres, add --coordinates metres")
    }
  }

  /// Writes a row of the current step unless a filter of place leaves it out.
  private func keep(_ row: TraceRow) throws {
    if let rectangle = options.rectangle,
      row.x < rectangle.x0 || row.x > rectangle.x1 || row.y < rectangle.y0 || row.y > rectangle.y1
    {
      if summary.isGeographic, !CoordinateDetection.isGeographic(row.x, row.y) {
        summary.impossibleRowsOutside += 1
      }
      return
    }
    if summary.isGeographic { try checkGeographic(x: row.x, y: row.y) }
    if let circle = options.circle {
      var place = (x: row.x, y: row.y)
      var centre = circleCentre
      if summary.isGeographic {
        try checkGeographic(x: circle.x, y: circle.y)
        place = circlePlane?.project(longitude: row.x, latitude: row.y) ?? (.nan, .nan)
        centre = (0, 0)
      }
      let dx = place.x - centre.x
      let dy = place.y - centre.y
      // Written so that a place beyond what the projection can do (NaN) is outside.
      guard dx * dx + dy * dy <= circle.radius * circle.radius else { return }
    }
    var placed = row
    if case .geographic(let known) = plane {
      let local = known ?? LocalPlane(longitude: row.x, latitude: row.y)
      if known == nil {
        plane = .geographic(local)
        writer.projection = .localPlane(longitude: row.x, latitude: row.y)
      }
      (placed.x, placed.y) = local.project(longitude: row.x, latitude: row.y)
      guard abs(placed.x) <= ImportSession.farthest, abs(placed.y) <= ImportSession.farthest
      else {
        throw InputError(
          "a vehicle at (\(row.x), \(row.y)) is too far from the first one for a plane of metres",
          advice: "Leave it out with --rect")
      }
    }
    if kept[row.vehicle] < 0 {
      let name = seen.bytes(row.vehicle)
      kept[row.vehicle] = Int32(name.withUnsafeBytes { writer.names.index(of: $0) })
    }
    placed.vehicle = Int(kept[row.vehicle])
    writer.add(placed)
    summary.vehicles += 1
    summary.sumX += row.x
    summary.sumY += row.y
    if row.speed.isNaN { summary.rowsWithoutSpeed += 1 } else { summary.sumSpeed += row.speed }
  }
}
