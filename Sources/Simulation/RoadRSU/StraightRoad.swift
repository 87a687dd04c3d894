public import Support
public import Trace

/// Made-up traffic for measurements and tests: vehicles at constant speeds on a straight two-way road.
public struct StraightRoad: Sendable {
  /// Length of the road along x, in metres; a vehicle that leaves at one end enters again at the other.
  public var length: Double
  public var vehicles: Int

  public init(length: Double = 2000, vehicles: Int) {
    self.length = length
    self.vehicles = vehicles
  }

  public var axis: RoadAxis {
    RoadAxis(
      originX: 0, originY: 0, directionX: 1, directionY: 0, start: 0, end: length)
  }

  /// A window of the traffic: speeds of 8 to 16 m/s, three lanes of 3.5 m each way.
  public func window(
    slots: Int = 600, slotLength: Double = 0.1, startTime: Double = 0,
    using generator: inout RandomStream
  ) -> TraceWindow {
    var x = [Double](repeating: 0, count: slots * vehicles)
    var y = x
    var speed = x
    for vehicle in 0..<vehicles {
      let start = generator.uniform(0, length)
      let velocity = generator.uniform(8, 16)
      let lane = Double(generator.index(below: 3)) * 3.5 + 1.75
      let direction = generator.index(below: 2) == 0 ? 1.0 : -1.0
      for slot in 0..<slots {
        let travelled = start + direction * velocity * Double(slot) * slotLength
        let rest = travelled.truncatingRemainder(dividingBy: length)
        x[slot * vehicles + vehicle] = rest < 0 ? rest + length : rest
        y[slot * vehicles + vehicle] = -direction * lane
        speed[slot * vehicles + vehicle] = velocity
      }
    }
    return TraceWindow(
      startTime: startTime, slotLength: slotLength, slots: slots, vehicles: Array(0..<vehicles),
      names: (0..<vehicles).map { "v\($0)" }, x: x, y: y, speed: speed)
  }
}
