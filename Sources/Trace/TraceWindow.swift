/// Positions of vehicles at the starts of consecutive slots.
///
/// Slot `s` starts at `startTime + s * slotLength`. A vehicle is present at that time if it was sampled then, or
/// lies between two neighbouring samples of it at most `maximumGap` apart (linear interpolation); else absent.
/// A teleport is seen as it is in the trace: a gap where the vehicle is missing, else a fast move.
public struct TraceWindow: Sendable {
  public let startTime: Double
  public let slotLength: Double
  public let slots: Int
  /// Indices in the trace, ascending, which is the order of first appearance.
  public let vehicles: [Int]
  /// Ids in the input, one per vehicle.
  public let names: [String]
  /// Metres, row-major `[slot][vehicle]`; NaN where absent.
  public let x: [Double]
  public let y: [Double]
  /// m/s, row-major `[slot][vehicle]`; NaN where absent, derived from positions where the trace has none.
  public let speed: [Double]

  public init(
    startTime: Double, slotLength: Double, slots: Int, vehicles: [Int], names: [String],
    x: [Double], y: [Double], speed: [Double]
  ) {
    let cells = slots * vehicles.count
    precondition(names.count == vehicles.count)
    precondition(x.count == cells && y.count == cells && speed.count == cells)
    self.startTime = startTime
    self.slotLength = slotLength
    self.slots = slots
    self.vehicles = vehicles
    self.names = names
    self.x = x
    self.y = y
    self.speed = speed
  }

  /// Whether the vehicle in a column (not its index in the trace) is present at the start of a slot.
  public func isPresent(slot: Int, vehicle: Int) -> Bool {
    !x[slot * vehicles.count + vehicle].isNaN
  }

  /// The start of a slot in trace time, rounded to a nanosecond.
  public func time(slot: Int) -> Double {
    SlotClock(start: startTime, length: slotLength).time(slot)
  }
}

extension TraceFile {
  /// Every vehicle that is present in at least one slot of a window.
  ///
  /// - Parameters:
  ///   - startTime: Start of the first slot in trace time, seconds.
  ///   - slots: At least 1.
  ///   - slotLength: Seconds, above 0.
  ///   - maximumGap: Largest distance in time of two samples to interpolate between, seconds.
  public func window(
    startTime: Double, slots: Int, slotLength: Double, maximumGap: Double = 2
  ) -> TraceWindow {
    window(
      clock: SlotClock(start: startTime, length: slotLength), slots: slots,
      maximumGap: maximumGap, only: nil)
  }

  /// A window of the given vehicles (ascending indices), or of all that are present in some slot.
  func window(
    clock: SlotClock, slots: Int, maximumGap: Double, only chosen: [Int]?
  ) -> TraceWindow {
    precondition(slots >= 1 && clock.length > 0 && maximumGap >= 0)
    var columns = [Int32](repeating: -1, count: header.vehicles)
    for vehicle in chosen ?? [] { columns[vehicle] = 0 }
    var present: [SlotRow] = []
    forEachSlotRow(clock: clock, slots: slots, maximumGap: maximumGap) { row in
      if chosen == nil { columns[row.vehicle] = 0 }
      if columns[row.vehicle] == 0 { present.append(row) }
    }
    let vehicles = columns.indices.filter { columns[$0] == 0 }
    for (column, vehicle) in vehicles.enumerated() { columns[vehicle] = Int32(column) }

    let width = vehicles.count
    var x = [Double](repeating: .nan, count: slots * width)
    var y = x
    var speed = x
    for row in present {
      let cell = row.slot * width + Int(columns[row.vehicle])
      x[cell] = row.x
      y[cell] = row.y
      speed[cell] = row.speed
    }
    TraceWindow.completeSpeeds(&speed, x: x, slots: slots, width: width)
    return TraceWindow(
      startTime: clock.time(0), slotLength: clock.length, slots: slots, vehicles: vehicles,
      names: vehicles.map { vehicleName($0) }, x: x, y: y, speed: speed)
  }
}

extension TraceWindow {
  /// Where a vehicle is present but even its positions tell no speed (a first sample): that of its next slot,
  /// else of its previous one, else 0.
  fileprivate static func completeSpeeds(
    _ speed: inout [Double], x: [Double], slots: Int, width: Int
  ) {
    for cell in x.indices.reversed() where !x[cell].isNaN && speed[cell].isNaN {
      let next = cell + width
      let previous = cell - width
      if next < x.count, !speed[next].isNaN {
        speed[cell] = speed[next]
      } else if previous >= 0, !speed[previous].isNaN {
        speed[cell] = speed[previous]
      } else {
        speed[cell] = 0
      }
    }
  }
}
