import Glibc
import Support
import Testing
import Trace

@Suite struct RoadTests {
  /// A two-way road through (100, 50) at an angle; two of three vehicles drive in its direction.
  private func road(angle: Double, vehicles: Int = 30, steps: Int = 60) -> TraceExample {
    var example = TraceExample()
    for step in 0..<steps {
      let rows = (0..<vehicles).map { v in
        let isForward = v % 3 != 0
        let speed = isForward ? 10.0 : -12.0
        let along = Double(v * 37 % 500) - 250 + speed * Double(step)
        let across = (isForward ? -1.0 : 1.0) * (1.75 + 3.5 * Double(v % 2))
        return TraceExample.Sample(
          name: "\(v)", x: 100 + along * cos(angle) - across * sin(angle),
          y: 50 + along * sin(angle) + across * cos(angle))
      }
      example.steps.append((Double(step), rows))
    }
    return example
  }

  @Test(arguments: [0, 0.3, 1.2, 1.5707963, 2, 3, 4, 5.5])
  func axisFollowsMostOfTheTraffic(angle: Double) throws {
    let trace = try road(angle: angle).opened()
    for axis in [
      try RoadAxis(trace: trace), try RoadAxis(trace: trace, nearX: 100, nearY: 50, radius: 200),
    ] {
      #expect(abs(axis.directionX - cos(angle)) < 0.02, "angle \(angle)")
      #expect(abs(axis.directionY - sin(angle)) < 0.02, "angle \(angle)")
      #expect(abs(hypot(axis.directionX, axis.directionY) - 1) < 1e-12)
    }
    let near = try RoadAxis(trace: trace, nearX: 100, nearY: 50, radius: 200)
    #expect(near.originX == 100 && near.originY == 50)
    #expect(near.start < -190 && near.start >= -200 && near.end > 190 && near.end <= 200)
    let whole = try RoadAxis(trace: trace)
    // Forward from -250 to 250 + 590, backward down to -250 - 708.
    #expect(whole.end - whole.start > 1500 && whole.end - whole.start < 1800)
    #expect(abs(whole.across(x: 100, y: 50)) < 10)
  }

  @Test func coordinatesAlongAndAcross() {
    let axis = RoadAxis(
      originX: 10, originY: 20, directionX: 0.6, directionY: 0.8, start: 0, end: 0)
    #expect(abs(axis.along(x: 16, y: 28) - 10) < 1e-12)
    #expect(abs(axis.across(x: 16, y: 28)) < 1e-12)
    // To the left of north-east is north-west.
    #expect(abs(axis.across(x: 10 - 0.8, y: 20 + 0.6) - 1) < 1e-12)
    let point = axis.point(along: 5, across: -2)
    #expect(abs(axis.along(x: point.x, y: point.y) - 5) < 1e-12)
    #expect(abs(axis.across(x: point.x, y: point.y) + 2) < 1e-12)
  }

  @Test func stillVehiclesHaveNoDirection() throws {
    var example = TraceExample()
    for step in 0..<5 {
      example.steps.append((Double(step), [.init(name: "a", x: 3, y: 4)]))
    }
    let trace = try example.opened()
    #expect(throws: InputError.self) { try RoadAxis(trace: trace) }
    #expect(throws: InputError.self) {
      try RoadAxis(trace: trace, nearX: 3, nearY: 4, radius: 100)
    }
    #expect(throws: InputError.self) {
      try RSUPlacement.automatic(
        trace: trace, coverage: 500, slots: 3, slotLength: 1, vehicles: 1)
    }
  }

  /// 12 vehicles at 2 m/s along x, sampled every `period` seconds.
  private func sampled(every period: Double) -> TraceExample {
    var example = TraceExample()
    for step in 0..<40 {
      let time = Double(step) * period
      let rows = (0..<12).map { v in
        TraceExample.Sample(
          name: "\(v)", x: 800 + 25 * Double(v) + 2 * time, y: 100, speed: 2)
      }
      example.steps.append((time, rows))
    }
    return example
  }

  @Test(arguments: [3.0, 5, 10])
  func slowSamplingFollowsSlotsAndInterpolation(period: Double) throws {
    let trace = try sampled(every: period).opened()
    #expect(trace.samplingStep() == period)
    let settings = [
      Sampling(slotLength: period, interpolationGap: 2),
      Sampling(slotLength: 2 * period, interpolationGap: 0),
      Sampling(slotLength: 1, interpolationGap: period),
    ]
    for sampling in settings {
      #expect(trace.samplingAdvice(sampling) == nil)
      for axis in [
        try RoadAxis(trace: trace, sampling: sampling),
        try RoadAxis(trace: trace, nearX: 1000, nearY: 90, radius: 500, sampling: sampling),
      ] {
        #expect(axis.directionX == 1 && axis.directionY == 0)
      }
      let place = try RSUPlacement.automatic(
        trace: trace, coverage: 500, slots: 3, slotLength: sampling.slotLength, vehicles: 6,
        maximumGap: sampling.interpolationGap)
      #expect(abs(place.y - 90) < 1e-9)
    }
  }

  @Test func tooSlowSamplingIsNamed() throws {
    let trace = try sampled(every: 1000).opened()
    func problem(_ body: () throws -> Void) -> String {
      do { try body() } catch { return "\(error)" }
      return "none"
    }
    let sampling = Sampling(slotLength: 1, interpolationGap: 2)
    for text in [
      problem { _ = try RoadAxis(trace: trace) },
      problem { _ = try RoadAxis(trace: trace, nearX: 1000, nearY: 90, radius: 500) },
      problem {
        _ = try RSUPlacement.automatic(
          trace: trace, coverage: 500, slots: 3, slotLength: 1, vehicles: 6)
      },
    ] {
      #expect(
        text.contains("sampled every 1000 s, more than the interpolation gap of 2 s"), "\(text)")
      #expect(text.contains("milliseconds") && text.contains(trace.path))
    }
    #expect(trace.samplingAdvice(sampling)?.advice.contains("1000 or more") == true)
    // Samples every 0.4 s fall between slots of 1 s, but are near enough to interpolate.
    #expect(try sampled(every: 0.4).opened().samplingAdvice(sampling) == nil)
  }

  @Test func placementStandsBesideTheRoadAndIsNearlyTheBest() throws {
    // One-way along x at y = 3; vehicles slow down around x = 900, so that is where most stay.
    var example = TraceExample()
    for step in 0..<200 {
      var rows: [TraceExample.Sample] = []
      for v in 0..<40 {
        var x = 0.0
        for _ in 0..<max(0, step - 4 * v) { x += abs(x - 900) < 120 ? 6 : 25 }
        if step >= 4 * v, x < 2000 { rows.append(.init(name: "\(v)", x: x, y: 3)) }
      }
      example.steps.append((Double(step), rows))
    }
    let trace = try example.opened()
    func count(_ x: Double, _ y: Double) throws -> Int {
      try QualifyingWindows(
        trace: trace, rsuX: x, rsuY: y, coverage: 200, slots: 20, slotLength: 1
      ).candidates.count { $0.vehicles >= 5 }
    }
    let place = try RSUPlacement.automatic(
      trace: trace, coverage: 200, slots: 20, slotLength: 1, vehicles: 5)
    #expect(abs(place.y - (3 - 10)) < 1e-9)
    let chosen = try count(place.x, place.y)
    var best = 0
    for x in stride(from: 0.0, through: 2000, by: 20) { best = max(best, try count(x, -7)) }
    #expect(best > 50)
    #expect(Double(chosen) >= 0.95 * Double(best), "\(chosen) of \(best) at \(place)")
    let again = try RSUPlacement.automatic(
      trace: trace, coverage: 200, slots: 20, slotLength: 1, vehicles: 5)
    #expect(again.x == place.x && again.y == place.y)
  }

  /// One vehicle stays in everybody's range, so every point is as good as the other: the busiest square's is taken.
  @Test func equalPlacesGoToTheBusierSquare() throws {
    var example = TraceExample()
    for step in 0..<91 {
      example.steps.append((Double(step), [.init(name: "a", x: Double(step), y: 0, speed: 1)]))
    }
    // Squares of 50 m: 50 steps from 0 to 49 m in the first, 41 in the second.
    let place = try RSUPlacement.automatic(
      trace: example.opened(), coverage: 500, slots: 10, slotLength: 1, vehicles: 1)
    #expect(abs(place.x - 24.5) < 1e-9 && abs(place.y + 10) < 1e-9, "\(place)")
  }

  @Test func placementKnowsBothCarriagewaysOfARoad() throws {
    // The axis is the line y = 0, where squares of the search meet; both directions carry the same.
    var example = TraceExample()
    for step in 0..<100 {
      let rows = (0..<40).map { v in
        let isForward = v % 2 == 0
        let along = Double(v / 2 * 50) + 15 * Double(step)
        return TraceExample.Sample(
          name: "\(v)", x: isForward ? along : 2000 - along, y: isForward ? -5 : 5)
      }
      example.steps.append((Double(step), rows))
    }
    let place = try RSUPlacement.automatic(
      trace: try example.opened(), coverage: 300, slots: 10, slotLength: 1, vehicles: 4)
    #expect(abs(abs(place.y) - 10) < 1.5, "\(place)")
  }
}
