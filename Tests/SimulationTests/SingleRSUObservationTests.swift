import Support
import Testing
import Trace

@testable import Simulation

/// Observations and draws of model 1 on three vehicles, against numbers written by hand.
@Suite struct SingleRSUObservationTests {
  /// RSU at (100, 20) on a road along (0.6, 0.8), two clients with the two-layer DNN, one service vehicle.
  private func environment(
    _ given: [String: ParameterValue] = [:], seed: UInt64 = 3
  ) throws -> SingleRSUEnvironment {
    var setting: [String: ParameterValue] = [
      "clients": .integer(2), "serviceVehicles": .integer(1), "slots": .integer(2),
      "dnnTypes": .list([.text("pair"), .text("alexnet")]), "coverage": .number(400),
    ]
    setting.merge(given) { $1 }
    let window = TraceWindow(
      startTime: 7, slotLength: 1, slots: 2, vehicles: [0, 1, 2], names: ["a", "b", "c"],
      x: [100, 160, 40, 106, 172, 40], y: [20, 100, -60, 28, 116, -60],
      speed: Array(repeating: 0, count: 6))
    return try SingleRSUEnvironment(
      parameters: SingleRSUFixture.parameters(setting), profiles: SingleRSUFixture.profiles(),
      seed: seed, windows: EpisodeWindows(train: [window], evaluation: [window]), rsu: (100, 20),
      axis: RoadAxis(
        originX: 0, originY: 0, directionX: 0.6, directionY: 0.8, start: -500, end: 500))
  }

  @Test func theNumbersAreThoseOfTheTrace() throws {
    var environment = try environment()
    environment.beginEpisode(1, phase: .eval)
    // In slot 2, "a" is 10 m and "b" 120 m past the RSU along the road, "c" 100 m before it: over 400 m.
    let along: [String: [Float]] = ["a": [0, 0.025], "b": [0.25, 0.3], "c": [-0.25, -0.25]]
    for slot in 0..<2 {
      // Clients 3 and 6, types at the RSU 9 and 12, service vehicle 15 GFLOP: over 30 GFLOP.
      environment.setBacklogs([3, 6, 9, 12, 15])
      let situation = try #require(environment.situation)
      let service = try #require(along[situation.vehicleName(node: 1)])[slot]
      for (client, queues) in [[0.1, 0.3, 0.5], [0.2, 0.4, 0.5]].enumerated() {
        let own = try #require(along[situation.vehicleName(client: client)])[slot]
        let observation = situation.observation(ofClient: client)
        let expected = queues.map { Float($0) } + [own, service]
        #expect(zip(observation, expected).allSatisfy { abs($0 - $1) < 1e-6 }, "\(observation)")
        #expect(observation.count == 5)
      }
      _ = try environment.apply(SlotDecision(cuts: [2, 2], nodes: [0, 0]))
    }
  }

  /// No two episodes share a draw of fading, whatever their phases and numbers.
  @Test func everyEpisodeOfEitherPhaseFadesAnew() throws {
    var environment = try environment()
    var fading: Set<Double> = []
    for phase in [Phase.train, .eval] {
      for episode in 0..<40 {
        environment.beginEpisode(episode, phase: phase)
        let situation = try #require(environment.situation)
        for client in 0..<2 {
          for node in 0..<2 { fading.insert(situation.link(client: client, node: node).fading) }
        }
      }
    }
    #expect(fading.count == 2 * 40 * 4)
  }

  /// Evaluation goes round the windows by the golden ratio: 618 of 1000 from one episode to the next.
  @Test func evaluationStepsByTheGoldenRatio() {
    let windows = EpisodeWindows.synthetic(vehicles: 1, slots: 1, count: 1000, seed: 1)
    for seed in 1..<4 as Range<UInt64> {
      let indices = (0..<50).map { windows.index(episode: $0, phase: .eval, seed: seed) }
      for (a, b) in zip(indices, indices.dropFirst()) {
        #expect([618, 619].contains((b - a + 1000) % 1000), "\(a) then \(b)")
      }
    }
  }
}
