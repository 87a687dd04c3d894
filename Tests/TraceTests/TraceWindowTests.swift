import Support
import Testing
import Trace

@Suite struct TraceWindowTests {
  private typealias Sample = TraceExample.Sample

  @Test func interpolatesBetweenNeighboursByHand() throws {
    var example = TraceExample()
    example.steps = [
      (0, [Sample(name: "a", x: 0, y: 10, speed: 4), Sample(name: "b", x: 5, y: 5)]),
      (1.5, [Sample(name: "a", x: 6, y: 4, speed: 7)]),
      (3.5, [Sample(name: "a", x: 10, y: 4, speed: 1), Sample(name: "c", x: 1, y: 1)]),
      (5.6, [Sample(name: "a", x: 20, y: 4, speed: 1), Sample(name: "d", x: 1, y: 1)]),
    ]
    let window = try example.opened().window(startTime: 0, slots: 6, slotLength: 1)
    // d is sampled only between slots.
    #expect(window.names == ["a", "b"])
    #expect(window.vehicles == [0, 1])
    func a(_ values: [Double]) -> [Double] { (0..<6).map { values[$0 * 2] } }
    // Slot 2 and 3 lie between 1.5 and 3.5; slot 4 and 5 in a gap of 2.1 s.
    let x = a(window.x)
    #expect(x[0] == 0 && abs(x[1] - 4) < 1e-12 && x[2] == 7 && x[3] == 9)
    #expect(x[4].isNaN && x[5].isNaN)
    let y = a(window.y)
    #expect(y[0] == 10 && abs(y[1] - 6) < 1e-12 && y[2] == 4 && y[3] == 4 && y[4].isNaN)
    let speed = a(window.speed)
    #expect(speed[0] == 4 && abs(speed[1] - 6) < 1e-12 && speed[2] == 5.5 && speed[3] == 2.5)
    #expect(window.isPresent(slot: 0, vehicle: 1) && !window.isPresent(slot: 1, vehicle: 1))
    // With a larger gap the last two slots are there too.
    let wide = try example.opened().window(
      startTime: 4, slots: 2, slotLength: 1, maximumGap: 2.1)
    #expect(wide.names == ["a"])
    #expect(abs(wide.x[0] - (10 + 10 * 0.5 / 2.1)) < 1e-12)
    #expect(abs(wide.x[1] - (10 + 10 * 1.5 / 2.1)) < 1e-12)
  }

  @Test func aGapOfExactlyTheMaximumIsBridged() throws {
    var example = TraceExample()
    // 0.3 + 2 and 2.3 differ in the last bit as Doubles.
    example.steps = [
      (0.3, [Sample(name: "a", x: 0, y: 0)]), (2.3, [Sample(name: "a", x: 20, y: 0)]),
    ]
    let trace = try example.opened()
    let window = trace.window(startTime: 1.3, slots: 1, slotLength: 0.1)
    #expect(window.x.count == 1 && abs(window.x[0] - 10) < 1e-12)
    #expect(trace.window(startTime: 1.3, slots: 1, slotLength: 0.1, maximumGap: 1.9).x.isEmpty)
    #expect(trace.window(startTime: 2.4, slots: 5, slotLength: 0.1).vehicles.isEmpty)
  }

  @Test func tenthsOfASecondHitEverySample() throws {
    var example = TraceExample()
    for tick in 0..<3000 {
      // The parsed decimal, which is not tick * 0.1 in every last bit.
      let time = Double(tick) / 10
      example.steps.append((time, [Sample(name: "a", x: Double(tick), y: 0)]))
    }
    let trace = try example.opened()
    let window = trace.window(startTime: 0, slots: 3000, slotLength: 0.1)
    #expect(window.x == (0..<3000).map(Double.init))
    #expect((0..<3000).allSatisfy { window.time(slot: $0) == Double($0) / 10 })
    let late = trace.window(startTime: 299.9, slots: 2, slotLength: 0.1)
    #expect(late.x[0] == 2999 && late.x[1].isNaN)
  }

  @Test func missingSpeedIsDistanceByTime() throws {
    var example = TraceExample()
    example.steps = [
      (
        0, [Sample(name: "a", x: 0, y: 0, speed: .nan), Sample(name: "b", x: 0, y: 0, speed: .nan)]
      ),
      (1, [Sample(name: "a", x: 3, y: 4, speed: .nan)]),
      (2, [Sample(name: "a", x: 3, y: 4, speed: .nan)]),
    ]
    let window = try example.opened().window(startTime: 0, slots: 3, slotLength: 1)
    #expect(window.speed[0] == 5 && window.speed[2] == 5 && window.speed[4] == 0)
    #expect(window.speed[1] == 0 && window.speed[3].isNaN)
  }

  @Test(arguments: UInt64(0)..<40)
  func windowsEqualANaiveSearch(seed: UInt64) throws {
    let example = TraceExample.random(seed: seed)
    let trace = try example.opened()
    var stream = RandomStream(seed: seed, .mobilityWindow)
    let slotLength = [0.1, 1, 0.25][stream.index(below: 3)]
    let gap = [2.0, 0.5, 0][stream.index(below: 3)]
    let start = Double(stream.index(below: 30)) / 10
    let slots = 25
    let window = trace.window(
      startTime: start, slots: slots, slotLength: slotLength, maximumGap: gap)
    var expected: [String] = []
    for name in example.names {
      let places = (0..<slots).map {
        example.place(of: name, at: start + Double($0) * slotLength, maximumGap: gap)
      }
      guard places.contains(where: { $0 != nil }) else { continue }
      expected.append(name)
      let column = try #require(window.names.firstIndex(of: name), "seed \(seed)")
      for (slot, place) in places.enumerated() {
        let cell = slot * window.vehicles.count + column
        #expect(window.isPresent(slot: slot, vehicle: column) == (place != nil), "seed \(seed)")
        if let place {
          #expect(abs(window.x[cell] - place.x) < 1e-9, "seed \(seed)")
          #expect(abs(window.y[cell] - place.y) < 1e-9, "seed \(seed)")
          #expect(window.speed[cell] >= 0)
        }
      }
    }
    #expect(window.names == expected, "seed \(seed)")
  }
}

@Suite struct QualifyingWindowsTests {
  @Test(arguments: UInt64(0)..<30)
  func candidatesEqualANaiveSearch(seed: UInt64) throws {
    let example = TraceExample.random(seed: seed, steps: 40, vehicles: 8)
    let trace = try example.opened()
    let slotLength = [1, 0.5][Int(seed % 2)]
    let slots = 3
    let windows = try QualifyingWindows(
      trace: trace, rsuX: 700, rsuY: 5, coverage: 400, slots: slots, slotLength: slotLength)
    let first = trace.header.firstTime
    let last = trace.header.lastTime
    var count = 0
    while first + Double(count + slots - 1) * slotLength <= last + 1e-7 { count += 1 }
    #expect(windows.candidates.count == count, "seed \(seed)")
    for (n, candidate) in windows.candidates.enumerated() {
      let start = first + Double(n) * slotLength
      #expect(abs(candidate.startTime - start) < 1e-8)
      #expect(abs(candidate.endTime - start - Double(slots) * slotLength) < 1e-8)
      let names = example.names.filter { name in
        (0..<slots).allSatisfy { slot in
          guard
            let place = example.place(
              of: name, at: start + Double(slot) * slotLength, maximumGap: 2)
          else { return false }
          let dx = place.x - 700
          let dy = place.y - 5
          return (dx * dx + dy * dy).squareRoot() <= 400
        }
      }
      #expect(candidate.vehicles == names.count, "seed \(seed), window \(n)")
      if n % 5 == 0 {
        let window = windows.window(candidate)
        #expect(window.names == names, "seed \(seed), window \(n)")
        #expect(window.x.allSatisfy { !$0.isNaN } && window.x.count == slots * names.count)
      }
    }
    #expect(windows.best?.vehicles == windows.candidates.map(\.vehicles).max())
    for (slot, inRange) in windows.vehiclesInRange.enumerated() {
      let covering = windows.stays.count { $0.firstSlot <= slot && slot <= $0.lastSlot }
      #expect(inRange == covering)
    }
  }

  @Test func aShortTraceHasNoWindow() throws {
    let trace = try TraceExample.random(seed: 1, steps: 3).opened()
    let windows = try QualifyingWindows(
      trace: trace, rsuX: 0, rsuY: 0, coverage: 100, slots: 300, slotLength: 1)
    #expect(windows.candidates.isEmpty && windows.best == nil)
  }

  @Test func anAbsurdSpanIsAnErrorNotACrash() throws {
    var example = TraceExample()
    example.steps = [
      (0, [.init(name: "a", x: 0, y: 0)]), (1e300, [.init(name: "a", x: 1, y: 0)]),
    ]
    let trace = try example.opened()
    #expect(throws: InputError.self) {
      try QualifyingWindows(
        trace: trace, rsuX: 0, rsuY: 0, coverage: 100, slots: 30, slotLength: 1)
    }
    _ = trace.window(startTime: 0, slots: 10, slotLength: 1)
  }
}
