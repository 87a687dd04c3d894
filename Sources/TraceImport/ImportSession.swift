import CScanner
import Support
import Trace

/// A vehicle of a timestep as a reader of some format found it; its id and type come beside it.
struct VehicleSample {
  var x: Double
  var y: Double
  /// NaN where the input has none.
  var speed = Double.nan
  var position = Double.nan
  /// Digits after the point, the smaller number of x and y.
  var decimals = 0
}

/// Takes in timesteps and vehicles of any format: filters rows, finds out what their coordinates are, counts, and
/// writes the trace.
///
/// Until the coordinates are known, rows wait in memory: at most `CoordinateDetection.mostRows` and those of the
/// step that passed that number. Errors carry no place in the input: the reader adds it.
struct ImportSession {
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
  /// Rows that are handed to the writer at once.
  private static let batch = 1024

  var summary = ImportSummary()
  private let options: ImportOptions
  private let writer: TraceWriter
  private var types: TypeFilter
  private let filtersTypes: Bool
  private var plane: Plane
  private var detection: CoordinateDetection
  /// Whether the detection still takes rows.
  private var isDetecting = true
  private var waitingSteps: [(time: Double, rows: Int)] = []
  private var waitingRows: [TraceRow] = []
  /// All vehicles that pass the filter of types; per vehicle the last step, and the index in the trace or -1.
  private var seen = VehicleNames()
  private var lastSteps: [Int32] = []
  private var kept: [Int32] = []
  private var keptCount: Int32 = 0
  private var idBytes = 0
  private let circleCentre: (x: Double, y: Double)
  /// Longitudes and latitudes are within the circle in the plane around its centre.
  private let circlePlane: LocalPlane?
  private var batch: [TraceRow] = []
  private var step: Int32 = -1
  private var stepVehicles = 0
  /// Whether a step is open, and wanted.
  private(set) var isInStep = false
  private(set) var isSelected = false
  private(set) var time = -Double.infinity
  private(set) var lastCompleteTime: Double?

  init(options: ImportOptions, writer: TraceWriter) {
    self.options = options
    self.writer = writer
    types = TypeFilter(options.types)
    filtersTypes = !options.types.isEmpty
    detection = CoordinateDetection(network: options.network)
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
    batch.reserveCapacity(ImportSession.batch)
  }

  // MARK: - Steps

  /// Begins a step; the one before must have ended.
  ///
  /// - Returns: False if neither it nor anything after it is wanted.
  /// - Throws: `InputError` if it is no later than the step before.
  mutating func beginStep(time: Double) throws -> Bool {
    guard time > self.time else {
      throw InputError(
        "the time does not come after the step before it", key: "timestep time",
        advice: "Steps must be in order of time, each only once")
    }
    self.time = time
    if let end = options.end, time > end { return false }
    isInStep = true
    stepVehicles = 0
    isSelected = isWanted(time)
    guard isSelected else { return true }
    step += 1
    if summary.timesteps == 0 { summary.firstTime = time }
    summary.lastTime = time
    summary.timesteps += 1
    if waitingRows.isEmpty {
      try writer.beginStep(time: time)
    } else {
      if waitingSteps.count >= CoordinateDetection.mostRows { try resolve(detection.finalVerdict) }
      if case .unknown = plane {
        waitingSteps.append((time, 0))
      } else {
        try writer.beginStep(time: time)
      }
    }
    return true
  }

  /// Ends the step.
  ///
  /// - Returns: False if nothing after it is wanted.
  mutating func endStep() throws -> Bool {
    if !batch.isEmpty { try flush() }
    isInStep = false
    lastCompleteTime = time
    if isSelected && stepVehicles == 0 { summary.emptyTimesteps += 1 }
    guard let end = options.end else { return true }
    return time < end
  }

  private func isWanted(_ time: Double) -> Bool {
    if let begin = options.begin, time < begin { return false }
    if let length = options.step {
      let multiple = (time / length).rounded() * length
      return abs(time - multiple) <= 1e-6
    }
    return true
  }

  // MARK: - Rows

  /// Counts persons and containers of the step.
  mutating func countRiders(persons: Int, containers: Int) {
    guard isSelected else { return }
    summary.persons += persons
    summary.containers += containers
  }

  /// Counts a vehicle of a step that is not wanted.
  mutating func countVehicle() { stepVehicles += 1 }

  /// Takes a vehicle of the step.
  ///
  /// - Parameters:
  ///   - id: Decoded UTF-8, not empty.
  ///   - type: Decoded UTF-8; nil: the input has none.
  /// - Throws: `InputError` if it is in the step twice, or where no vehicle can be.
  mutating func add(
    _ sample: VehicleSample, id: UnsafeRawBufferPointer, type: UnsafeRawBufferPointer?
  ) throws {
    stepVehicles += 1
    guard isSelected else { return }
    if filtersTypes, !types.accepts(type) { return }
    try place(sample, id)
  }

  /// Takes the rows that the scanner found in a part of the step.
  ///
  /// - Parameter current: The row at hand, for errors.
  mutating func add(
    _ rows: UnsafeBufferPointer<VLScanRow>, text: UnsafePointer<UInt8>, current: inout Int
  ) throws {
    stepVehicles += rows.count
    guard isSelected else { return }
    for index in rows.indices {
      current = index
      let row = rows[index]
      if filtersTypes {
        let type = UnsafeRawBufferPointer(start: text + Int(row.type), count: Int(row.type_length))
        if !types.accepts(row.type_length == .max ? nil : type) { continue }
      }
      try place(
        VehicleSample(
          x: row.x, y: row.y, speed: row.speed, position: row.position,
          decimals: Int(row.decimals)),
        UnsafeRawBufferPointer(start: text + Int(row.id), count: Int(row.id_length)))
    }
  }

  @inline(__always)
  private mutating func place(_ sample: VehicleSample, _ id: UnsafeRawBufferPointer) throws {
    let vehicle = seen.index(of: id)
    if vehicle == lastSteps.count { try register(id) }
    guard lastSteps[vehicle] != step else {
      throw InputError(
        "is in the timestep of \(time) s twice",
        key: "vehicle \(String(decoding: id.prefix(200), as: UTF8.self))")
    }
    lastSteps[vehicle] = step
    if sample.x == ImportSession.placeholder || sample.y == ImportSession.placeholder {
      summary.rowsWithoutPosition += 1
      return
    }
    let row = TraceRow(
      vehicle: vehicle, x: sample.x, y: sample.y, speed: sample.speed, position: sample.position)
    if isDetecting {
      try detect(row, sample.decimals)
    } else {
      try keep(row)
    }
  }

  private mutating func register(_ id: UnsafeRawBufferPointer) throws {
    lastSteps.append(-1)
    kept.append(-1)
    idBytes += id.count + 24
    guard idBytes <= options.limits.ids else {
      throw InputError(
        "has \(seen.count) distinct vehicles, whose ids pass the limit of \(options.limits.ids) bytes",
        advice: "If the input is sound, raise it: --limit ids=\(2 * options.limits.ids)")
    }
  }

  /// Takes a row while the detection goes on: until the coordinates are known it waits.
  private mutating func detect(_ row: TraceRow, _ decimals: Int) throws {
    detection.add(
      vehicle: row.vehicle, time: time, x: row.x, y: row.y, speed: row.speed, decimals: decimals)
    if case .unknown = plane {
      // The writer has the step already if no row was waiting when it began.
      if waitingSteps.isEmpty { waitingSteps.append((time, 0)) }
      waitingRows.append(row)
      waitingSteps[waitingSteps.count - 1].rows += 1
    } else {
      try keep(row)
    }
    let verdict = detection.verdict
    if verdict != .undecided { try resolve(verdict) }
  }

  private mutating func flush() throws {
    try writer.add(contentsOf: batch)
    batch.removeAll(keepingCapacity: true)
  }

  /// Ends the import of rows: what is left to do is to finish the writer.
  mutating func finish() throws {
    if isDetecting { try resolve(detection.finalVerdict) }
    if !batch.isEmpty { try flush() }
    summary.ids = Int(keptCount)
    writer.names = seen.selected(kept, count: Int(keptCount))
    seen = VehicleNames()
    summary.warnings += types.warnings + countWarnings + summary.leftOutWarnings
    // They hold names of the input.
    summary.warnings = summary.warnings.map(InputError.visible)
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
  private mutating func resolve(_ verdict: CoordinateDetection.Verdict) throws {
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
    for (index, waiting) in waitingSteps.enumerated() {
      if index > 0 { try writer.beginStep(time: waiting.time) }
      for row in waitingRows[next..<next + waiting.rows] { try keep(row) }
      if !batch.isEmpty { try flush() }
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
  @inline(__always)
  private mutating func keep(_ row: TraceRow) throws {
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
      guard try isInside(circle, row) else { return }
    }
    var placed = row
    if summary.isGeographic { try project(&placed) }
    if kept[row.vehicle] < 0 {
      kept[row.vehicle] = keptCount
      keptCount += 1
    }
    placed.vehicle = Int(kept[row.vehicle])
    batch.append(placed)
    if batch.count == ImportSession.batch { try flush() }
    summary.vehicles += 1
    summary.sumX += row.x
    summary.sumY += row.y
    if row.speed.isNaN { summary.rowsWithoutSpeed += 1 } else { summary.sumSpeed += row.speed }
  }

  private func isInside(_ circle: ImportOptions.Circle, _ row: TraceRow) throws -> Bool {
    var place = (x: row.x, y: row.y)
    var centre = circleCentre
    if summary.isGeographic {
      try checkGeographic(x: circle.x, y: circle.y)
      place = circlePlane?.project(longitude: row.x, latitude: row.y) ?? (.nan, .nan)
      centre = (0, 0)
    }
    let dx = place.x - centre.x
    let dy = place.y - centre.y
    // A place beyond what the projection can do (NaN) is outside.
    return dx * dx + dy * dy <= circle.radius * circle.radius
  }

  /// Puts a longitude and latitude into the plane around the first vehicle that is kept.
  private mutating func project(_ row: inout TraceRow) throws {
    let (longitude, latitude) = (row.x, row.y)
    guard case .geographic(let known) = plane else { return }
    let local = known ?? LocalPlane(longitude: longitude, latitude: latitude)
    if known == nil {
      plane = .geographic(local)
      writer.projection = .localPlane(longitude: longitude, latitude: latitude)
    }
    (row.x, row.y) = local.project(longitude: longitude, latitude: latitude)
    guard abs(row.x) <= ImportSession.farthest, abs(row.y) <= ImportSession.farthest else {
      throw InputError(
        "a vehicle at (\(longitude), \(latitude)) is too far from the first one for a plane of metres",
        advice: "Leave it out with --rect; if the coordinates are metres, add --coordinates metres")
    }
  }
}
