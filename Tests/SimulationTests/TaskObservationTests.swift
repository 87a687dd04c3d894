import Foundation
import Simulation
import Support
import Testing
import Trace

/// Two networks of one layer: 9,999,999,900 FLOP and 1,999,000 FLOP.
private let tables = [
  "long": "name,kind,in_features,out_features\nfc,fc,5000,1000100\n",
  "short": "name,kind,in_features,out_features\nfc,fc,1000,1000\n",
]

/// Three vehicles on a road along x from -1000 m to 1000 m: one at 10 m/s past an RSU at 0 m, one at 20 m/s
/// towards it, one that stands out of range. Each releases a task in every slot.
private func environment(
  _ given: [String: ParameterValue] = [:]
) throws -> RoadRSUEnvironment {
  let slots = 40
  let values: [String: ParameterValue] = [
    "dnnTypes": .list([.text("long"), .text("short")]), "vehicles": .integer(3),
    "slots": .integer(slots), "releaseRate": .number(10),
    "rsuPositions": .list([
      .list([.number(0), .number(-12)]), .list([.number(300), .number(-12)]),
    ]),
    "batteryLow": .number(0.5), "batteryHigh": .number(0.5),
  ]
  var profiles: [String: DNNProfile] = [:]
  for (name, table) in tables {
    profiles[name] = try DNNProfile(name: name, table: CSVTable(text: table, file: "table.csv"))
  }
  let start = [0.0, 200, -650]
  let velocity = [10.0, -20, 0]
  func cells(_ value: (_ slot: Int, _ vehicle: Int) -> Double) -> [Double] {
    (0..<slots).flatMap { slot in (0..<3).map { value(slot, $0) } }
  }
  let window = TraceWindow(
    startTime: 0, slotLength: 0.1, slots: slots, vehicles: [0, 1, 2],
    names: ["passing", "coming", "far"],
    x: cells { start[$1] + velocity[$1] * 0.1 * Double($0) }, y: cells { _, _ in -9 },
    speed: cells { _, vehicle in abs(velocity[vehicle]) })
  return try RoadRSUEnvironment(
    parameters: ParameterValues(
      schema: RoadRSUEnvironment.parameters, setting: values.merging(given) { $1 }),
    profiles: profiles, seed: 1,
    axis: RoadAxis(
      originX: 0, originY: 0, directionX: 1, directionY: 0, start: -1000, end: 1000),
    windows: [window])
}

@Suite struct TaskObservationTests {
  /// ln(1 + w) and so on by hand; the fading is drawn, so the rate is recomputed from it.
  private func expected(
    vehicle: String, slot: Double, dnn: String, fading: [Double]
  ) -> [Float] {
    // Along the road from the middle of the RSUs, 150 m, in half lengths of the road, 1000 m; speed / 30 m/s.
    let trip: [Double] =
      switch vehicle {
      case "passing": [-0.15 + 0.001 * slot, 10.0 / 30]
      case "coming": [0.05 - 0.002 * slot, 20.0 / 30]
      default: [-0.8, 0]
      }
    // Deadlines of 1.2 times 9,999,999,000 and 1,999,000 FLOP at 3 GHz, over the longest.
    let type: [Double] = dnn == "long" ? [1, 0, 1] : [0, 1, 1_999_000 / 9_999_999_900.0]
    // α of a battery of one half is 2, over 3; 3 GHz and 7 GHz over 10 GHz; the own processor is free.
    var values: [Double] = trip + type
    values.append(contentsOf: [2.0 / 3, 0.3, 0.7, 0])
    guard vehicle != "far" else { return (values + Array(repeating: 0, count: 12)).map(Float.init) }
    let x = vehicle == "passing" ? slot : 200 - 2 * slot
    for (rsu, rsuX) in [0.0, 300].enumerated() {
      // 3 m across, 4 m up: 5 m from the RSU's foot line.
      let across = x - rsuX
      let distance = (across * across + 25).squareRoot()
      let gain = pow(10, -(38.4 + 21 * log10(distance)) / 10)
      let rate = 20e6 * log2(1 + 0.2 * gain * fading[rsu] / 3e-13)
      values.append(contentsOf: [1, across / 500, distance / 500, rate / 200e6, 0, 0])
    }
    return values.map(Float.init)
  }

  @Test func theNumbersAreThoseOfTheTrace() throws {
    var environment = try environment()
    environment.beginEpisode(1, phase: .eval)
    var seen: Set<String> = []
    while let situation = environment.situation {
      var values: [Float] = []
      environment.observation.appendRequest(situation, to: &values)
      for rsu in 1...2 { environment.observation.appendLink(situation.link(to: rsu), to: &values) }
      let decided = try environment.apply(environment.model.local(situation))
      seen.insert(decided.vehicleName + decided.dnn)
      let expected = expected(
        vehicle: decided.vehicleName, slot: Double(situation.slot), dnn: decided.dnn,
        fading: situation.links.map(\.fading))
      #expect(values.count == environment.observation.requestCount + 2 * TaskObservation.linkCount)
      #expect(values.count == expected.count)
      for (i, (value, number)) in zip(values, expected).enumerated() {
        #expect(abs(value - number) < 2e-6, "\(decided.vehicleName) \(i): \(value), \(number)")
      }
    }
    #expect(seen.count == 6)
  }

  @Test func waitAndLengthEnterByTheirLogarithms() throws {
    let observation = try environment().observation
    let link = RSULink(
      rsu: 1, distance: 250, along: -100, fading: 1, rate: 50e6, queueWait: exp(1) - 1,
      queueLength: 3, broadcastWait: 9)
    var values: [Float] = []
    observation.appendLink(link, to: &values)
    #expect(values == [1, -0.2, 0.5, 0.25, 1, 1.3862944])
    let situation = TaskSituation(
      along: 0, speed: 0, type: 1, deadline: 1, battery: 1, alpha: 1, localWait: exp(2) - 1,
      links: [], diverted: nil)
    values = []
    observation.appendRequest(situation, to: &values)
    #expect(abs(values[8] - 2) < 1e-6)
  }
}

@Suite struct EpisodeDrawTests {
  /// Battery, fading and DNN of every task of an episode.
  private func draws(
    _ environment: inout RoadRSUEnvironment, _ episode: Int, _ phase: Phase
  ) throws -> (batteries: Set<Double>, fading: Set<Double>, types: [Int]) {
    environment.beginEpisode(episode, phase: phase)
    var batteries: Set<Double> = []
    var fading: Set<Double> = []
    var types: [Int] = []
    while let situation = environment.situation {
      batteries.insert(situation.battery)
      fading.formUnion(situation.links.map(\.fading))
      types.append(situation.type)
      _ = try environment.apply(environment.model.local(situation))
    }
    return (batteries, fading, types)
  }

  @Test func everyEpisodeOfEitherPhaseDrawsAnew() throws {
    var environment = try environment(["batteryLow": .number(0.05), "batteryHigh": .number(1)])
    var batteries: Set<Double> = []
    var fading: Set<Double> = []
    var types: Set<[Int]> = []
    for phase in [Phase.train, .eval] {
      for episode in 0...3 {
        let drawn = try draws(&environment, episode, phase)
        // Three vehicles; two of them in range of two RSUs through 40 slots.
        #expect(drawn.batteries.count == 3 && drawn.fading.count == 160)
        batteries.formUnion(drawn.batteries)
        fading.formUnion(drawn.fading)
        types.insert(drawn.types)
      }
    }
    #expect(batteries.count == 8 * 3)
    #expect(fading.count == 8 * 160)
    #expect(types.count == 8)
    #expect(batteries.allSatisfy { (0.05..<1).contains($0) })
  }

  @Test func theSameEpisodeDrawsTheSame() throws {
    var first = try environment(["batteryLow": .number(0.05), "batteryHigh": .number(1)])
    var second = first
    _ = try draws(&second, 7, .train)
    let a = try draws(&first, 2, .train)
    let b = try draws(&second, 2, .train)
    #expect(a.batteries == b.batteries && a.fading == b.fading && a.types == b.types)
  }
}
