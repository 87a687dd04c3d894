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
    case geographic(LocalPlane)
  }

  /// Largest projected coordinate in metres: beyond it no plane is local.
  private static let farthest = 1e6

  var summary = ImportSummary()
  private let options: ImportOptions
  private let writer: TraceWriter
  private var plane: Plane
  private var detection = CoordinateDetection()
  private var waitingSteps: [(time: Double, rows: Int)] = []
  private var waitingRows: [TraceRow] = []
  private var firstPoint: (longitude: Double, latitude: Double)?
  /// All vehicles that pass the filter of types; per vehicle the last step, and the index in the trace or -1.
  private var seen = VehicleNames()
  private var lastSteps: [Int] = []
  private var kept: [Int32] = []
  private var circleCentre = (x: 0.0, y: 0.0)
  private var time = 0.0
  private var step = -1

  init(options: ImportOptions, writer: TraceWriter) {
    self.options = options
    self.writer = writer
    plane = options.coordinates == .metres ? .metres : .unknown
    if let circle = options.circle { circleCentre = (circle.x, circle.y) }
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
    let row = TraceRow(vehicle: vehicle, x: x, y: y, speed: speed, position: position)
    if case .unknown = plane {
      if firstPoint == nil { firstPoint = (x, y) }
      waitingRows.append(row)
      waitingSteps[waitingSteps.count - 1].rows += 1
      if options.coordinates == .geo {
        try resolve(.geographic)
      } else {
        detection.add(
          vehicle: vehicle, time: time, x: x, y: y, speed: speed, decimals: decimals)
        let verdict = detection.verdict
        if verdict != .undecided { try resolve(verdict) }
      }
    } else {
      try keep(row)
    }
    return true
  }

  /// Ends the import: the trace file gets its name.
  func finish() throws {
    if case .unknown = plane {
      try resolve(options.coordinates == .geo ? .geographic : detection.finalVerdict)
    }
    summary.ids = writer.names.count
    summary.digest = try writer.finish()
  }

  /// Settles what the coordinates are and lets the waiting rows through.
  private func resolve(_ verdict: CoordinateDetection.Verdict) throws {
    if verdict == .geographic, let point = firstPoint {
      try checkGeographic(x: point.longitude, y: point.latitude)
      let local = LocalPlane(longitude: point.longitude, latitude: point.latitude)
      plane = .geographic(local)
      writer.projection = .localPlane(longitude: point.longitude, latitude: point.latitude)
      summary.isGeographic = true
      if let circle = options.circle {
        circleCentre = local.project(longitude: circle.x, latitude: circle.y)
      }
    } else {
      plane = .metres
    }
    detection = CoordinateDetection()
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
      return
    }
    var placed = row
    if case .geographic(let local) = plane {
      try checkGeographic(x: row.x, y: row.y)
      (placed.x, placed.y) = local.project(longitude: row.x, latitude: row.y)
    }
    if let circle = options.circle {
      let dx = placed.x - circleCentre.x
      let dy = placed.y - circleCentre.y
      // Written so that a place beyond what the projection can do (NaN) is outside.
      guard dx * dx + dy * dy <= circle.radius * circle.radius else { return }
    }
    if case .geographic = plane {
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
