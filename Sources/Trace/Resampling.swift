import Support

/// The times at which slots start, computed from integers so that 0.1 s slots do not drift.
///
/// A slot's start is rounded to a nanosecond: then it is the Double nearest to the decimal number, like the
/// times that were parsed from the input.
struct SlotClock {
  let start: Double
  let length: Double

  func time(_ slot: Int) -> Double {
    let time = start + Double(slot) * length
    let rounded = (time * 1e9).rounded() / 1e9
    return rounded.isFinite ? rounded : time
  }
}

/// One vehicle at the start of one slot.
struct SlotRow {
  var slot: Int
  var vehicle: Int
  var x: Double
  var y: Double
  var speed: Double
}

extension TraceFile {
  /// Times closer than this (seconds) are the same.
  static let timeTolerance = 1e-6

  /// Calls `body` for every vehicle at every slot start at which it is present, in one pass.
  ///
  /// Present means: sampled at that time, or between two neighbouring samples of the same vehicle at most
  /// `maximumGap` seconds apart, with x, y and speed interpolated linearly. A missing speed is distance by
  /// time between the two samples. For one vehicle the slots come in ascending order.
  func forEachSlotRow(
    clock: SlotClock, slots: Int, maximumGap: Double, _ body: (SlotRow) -> Void
  ) {
    let tolerance = TraceFile.timeTolerance
    let end = clock.time(slots - 1)
    // Per vehicle: its last sample, and the last slot that starts no later than it.
    var lastTimes = [Double](repeating: -.infinity, count: header.vehicles)
    var lastRows = [TraceRow](
      repeating: TraceRow(vehicle: 0, x: 0, y: 0), count: header.vehicles)
    var lastSlots = [Int](repeating: -1, count: header.vehicles)
    // The last slot that starts no later than the step at hand.
    var slot = -1
    forEachStep(from: clock.start - maximumGap - tolerance, to: end + maximumGap + tolerance) {
      time, rows in
      while slot + 1 < slots, clock.time(slot + 1) <= time + tolerance { slot += 1 }
      let isAtSlot = slot >= 0 && clock.time(slot) >= time - tolerance
      for i in rows.indices {
        let row = rows[i]
        let vehicle = row.vehicle
        let gap = time - lastTimes[vehicle]
        let isJoined = gap <= maximumGap + tolerance
        let last = lastRows[vehicle]
        let travelled =
          isJoined && (row.speed.isNaN || last.speed.isNaN)
          ? ((row.x - last.x) * (row.x - last.x) + (row.y - last.y) * (row.y - last.y))
            .squareRoot() / gap : .nan
        let speed = row.speed.isNaN ? travelled : row.speed
        if isJoined {
          let lastSpeed = last.speed.isNaN ? travelled : last.speed
          var between = lastSlots[vehicle] + 1
          let stop = isAtSlot ? slot - 1 : slot
          while between <= stop {
            let weight = (clock.time(between) - lastTimes[vehicle]) / gap
            body(
              SlotRow(
                slot: between, vehicle: vehicle, x: last.x + weight * (row.x - last.x),
                y: last.y + weight * (row.y - last.y),
                speed: lastSpeed + weight * (speed - lastSpeed)))
            between += 1
          }
        }
        if isAtSlot, lastSlots[vehicle] < slot {
          body(SlotRow(slot: slot, vehicle: vehicle, x: row.x, y: row.y, speed: speed))
        }
        lastTimes[vehicle] = time
        lastRows[vehicle] = row
        lastSlots[vehicle] = slot
      }
    }
  }

  /// The number of slots of a length that start within the trace.
  func slotCount(length: Double) throws -> Int {
    let count = ((header.lastTime - header.firstTime + TraceFile.timeTolerance) / length)
      .rounded(.down)
    guard count < 20_000_000 else {
      throw InputError(
        "lasts \(header.lastTime - header.firstTime) s, too many slots of \(length) s", file: path,
        advice: "Import a part of it with --begin and --end, or take longer slots")
    }
    return Int(count) + 1
  }
}
