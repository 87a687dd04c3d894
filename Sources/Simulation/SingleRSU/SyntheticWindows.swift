public import Support
internal import Trace

extension EpisodeWindows {
  /// Windows of made-up traffic on a straight road past an RSU at (0, 0): for benchmarks and tests.
  ///
  /// Vehicles drive along x on lanes 8 to 18 m beside the RSU at 5 to 10 m/s and stay within 450 m.
  public static func synthetic(
    vehicles: Int, slots: Int, slotLength: Double = 1, count: Int = 4, seed: UInt64
  ) -> EpisodeWindows {
    func window(_ stream: inout RandomStream, startTime: Double) -> TraceWindow {
      let cells = slots * vehicles
      var x = [Double](repeating: 0, count: cells)
      var y = x
      var speed = x
      let duration = Double(slots) * slotLength
      for vehicle in 0..<vehicles {
        let pace = min(stream.uniform(5, 10), 800 / duration)
        let start = stream.uniform(-440, 440 - pace * duration)
        let lane = 8 + 3.5 * Double(stream.index(below: 4))
        for slot in 0..<slots {
          x[slot * vehicles + vehicle] = start + pace * Double(slot) * slotLength
          y[slot * vehicles + vehicle] = lane
          speed[slot * vehicles + vehicle] = pace
        }
      }
      return TraceWindow(
        startTime: startTime, slotLength: slotLength, slots: slots,
        vehicles: Array(0..<vehicles), names: (0..<vehicles).map { "vehicle\($0)" }, x: x, y: y,
        speed: speed)
    }
    var stream = RandomStream(seed: seed, .test)
    let train = (0..<count).map { window(&stream, startTime: Double($0 * slots)) }
    let evaluation = (count..<2 * count).map { window(&stream, startTime: Double($0 * slots)) }
    return EpisodeWindows(train: train, evaluation: evaluation)
  }
}

extension SingleRSUEnvironment {
  /// An environment on made-up traffic, with the RSU at (0, 0) and positions along x.
  public static func synthetic(
    parameters: ParameterValues, profiles: [String: DNNProfile], seed: UInt64
  ) throws -> SingleRSUEnvironment {
    let settings = SingleRSUSettings(parameters)
    return try SingleRSUEnvironment(
      settings: settings, profiles: profiles, seed: seed,
      windows: .synthetic(
        vehicles: settings.neededVehicles(), slots: settings.slots,
        slotLength: settings.slotLength, seed: seed),
      rsu: (0, 0),
      axis: RoadAxis(originX: 0, originY: 0, directionX: 1, directionY: 0, start: -500, end: 500))
  }
}
