import Foundation
import Simulation
import Support
import Testing
import Trace

/// Every equation of the model against numbers worked out by hand.
@Suite struct SingleRSUEquationTests {
  /// Three clients with the two-layer DNN and one service vehicle; capacities 5 and 7 GFLOP/s.
  private func environment(_ given: [String: ParameterValue] = [:]) throws -> SingleRSUEnvironment {
    var values: [String: ParameterValue] = [
      "clients": .integer(3), "serviceVehicles": .integer(1), "dnnTypes": .list([.text("pair")]),
      "clientCapacity": .list([.number(5), .number(5)]),
      "serviceCapacity": .list([.number(7), .number(7)]), "slots": .integer(4),
    ]
    values.merge(given) { $1 }
    // Roles are drawn, so all four vehicles stand on one circle around the RSU and on each other's chords.
    let places = [(300.0, 0.0), (0.0, 300.0), (-300.0, 0.0), (0.0, -300.0)]
    let window = TraceWindow(
      startTime: 100, slotLength: 1, slots: 4, vehicles: [0, 1, 2, 3],
      names: ["east", "north", "west", "south"],
      x: (0..<4).flatMap { _ in places.map(\.0) }, y: (0..<4).flatMap { _ in places.map(\.1) },
      speed: [Double](repeating: 0, count: 16))
    var environment = try SingleRSUEnvironment(
      parameters: SingleRSUFixture.parameters(values), profiles: SingleRSUFixture.profiles(),
      seed: 7, windows: EpisodeWindows(train: [window], evaluation: [window]), rsu: (0, 0),
      axis: RoadAxis(originX: 0, originY: 0, directionX: 1, directionY: 0, start: -300, end: 300))
    environment.beginEpisode(0, phase: .eval)
    return environment
  }

  @Test func ratesFollowPathLossAndFading() throws {
    let situation = try #require(try environment().situation)
    for client in 0..<3 {
      for node in 0..<2 {
        let link = situation.link(client: client, node: node)
        #expect(link.fading > 0)
        let a = situation.clientPosition(client)
        let b = situation.nodePosition(node)
        let distance = hypot(a.x - b.x, a.y - b.y)
        #expect(close(link.distance, distance))
        let decibel =
          node == 0 ? -38.4 - 21 * log10(distance) : -44.23 - 16.7 * log10(distance)
        // 23 dBm over -114 dBm is 137 dB.
        let ratio = pow(10, (137 + decibel) / 10) * link.fading
        #expect(close(link.rate, 10e6 * log2(1 + ratio)))
      }
      #expect(situation.link(client: client, node: 0).distance == 300)
    }
  }

  @Test func distancesCountAtLeastOneMetre() throws {
    var values = try SingleRSUFixture.parameters([
      "clients": .integer(1), "serviceVehicles": .integer(0), "slots": .integer(1),
    ])
    let window = TraceWindow(
      startTime: 0, slotLength: 1, slots: 1, vehicles: [0], names: ["a"], x: [0.25], y: [0],
      speed: [0])
    func distance() throws -> Double? {
      var environment = try SingleRSUEnvironment(
        parameters: values, profiles: SingleRSUFixture.profiles(), seed: 1,
        windows: EpisodeWindows(train: [window], evaluation: [window]), rsu: (0, 0),
        axis: RoadAxis(originX: 0, originY: 0, directionX: 1, directionY: 0, start: 0, end: 1))
      environment.beginEpisode(0, phase: .train)
      return environment.situation?.distance(client: 0, node: 0)
    }
    #expect(try distance() == 1)
    values = try SingleRSUFixture.parameters([
      "clients": .integer(1), "serviceVehicles": .integer(0), "slots": .integer(1),
      "minimumDistance": .number(0.1),
    ])
    #expect(try distance() == 0.25)
  }

  @Test func delaysQueuesAndObjectiveAtTheRSU() throws {
    var environment = try environment()
    // Client queues 1, 2, 3; the one type's queue at the RSU 4; the service vehicle's 5 GFLOP.
    environment.setBacklogs([1, 2, 3, 4, 5])
    let outcome = try environment.apply(SlotDecision(cuts: [1, 0, 2], nodes: [0, 0, 1]))
    let tasks = outcome.tasks

    // Client 1: one layer (1.99999) at home, the other (0.99995) at the RSU together with all of client 2.
    #expect(close(tasks[0].localWork, 1.99999) && close(tasks[0].remoteWork, 0.99995))
    #expect(tasks[0].cutBits == 320_000)
    #expect(close(tasks[0].localDelay, (1 + 1.99999) / 5))
    #expect(close(tasks[0].transmitDelay, 320_000 / tasks[0].link.rate))
    #expect(close(tasks[0].edgeDelay, (4 + 0.99995) / 30 + 2.99994 / 60))
    // Client 2: everything at the RSU, no local term at all.
    #expect(tasks[1].localDelay == 0)
    #expect(close(tasks[1].transmitDelay, 3_200_000 / tasks[1].link.rate))
    #expect(close(tasks[1].edgeDelay, (4 + 2.99994) / 30 + 0.99995 / 60))
    // Client 3: everything at home, the node chosen has no effect.
    #expect(!tasks[2].isRemote)
    #expect(close(tasks[2].localDelay, (3 + 2.99994) / 5))
    #expect(tasks[2].transmitDelay == 0 && tasks[2].edgeDelay == 0 && tasks[2].cutBits == 0)
    #expect(tasks[2].edgeBacklog == 5)

    let after = outcome.queues.map(\.backlogAfter)
    // 1 - 5 + 1.99999 and 2 - 5 are below nothing; 3 - 5 + 2.99994; 4 - 30 + 3.99989; 5 - 7.
    #expect(after[0] == 0 && after[1] == 0 && after[3] == 0 && after[4] == 0)
    #expect(close(after[2], 0.99994, 1e-9))
    #expect(outcome.queues.map(\.users) == [1, 0, 1, 2, 0])
    #expect(outcome.queues[3].capacity == 30 && outcome.queues[4].capacity == 7)

    let drift =
      1 * (1.99999 - 5.0) + 2 * (0 - 5.0) + 3 * (2.99994 - 5.0) + 4 * (3.99989 - 30)
      + 5 * (0 - 7.0)
    let delay = tasks.reduce(0) { $0 + $1.delay }
    #expect(close(outcome.objective, 10 * delay + drift, 1e-12))
    #expect(outcome.reward == -outcome.objective)
    #expect(environment.situation?.backlogs == after)
  }

  @Test func delaysAtAServiceVehicle() throws {
    var environment = try environment()
    environment.setBacklogs([0, 0, 0, 4, 5])
    let outcome = try environment.apply(SlotDecision(cuts: [1, 0, 0], nodes: [1, 1, 1]))
    let own = [0.99995, 2.99994, 2.99994]
    let sum = own.reduce(0, +)
    for i in 0..<3 {
      #expect(close(outcome.tasks[i].edgeDelay, (5 + own[i]) / 7 + (sum - own[i]) / 14))
    }
    #expect(close(outcome.queues[4].arrivals, sum))
    #expect(close(outcome.queues[4].backlogAfter, 5 - 7 + sum))
    // Nobody uses the RSU: its one type serves its backlog with all capacity.
    #expect(outcome.queues[3].capacity == 30 && outcome.queues[3].users == 0)
    #expect(outcome.queues[3].backlogAfter == 0)
  }

  @Test func capacityOfTheRSUIsDividedByTheWeightsOfTheSlot() throws {
    // Three types with one user each and no backlog: shares follow the roots of the work.
    var environment = try SingleRSUFixture.environment(["clients": .integer(3)])
    environment.beginEpisode(0, phase: .eval)
    let outcome = try environment.apply(SlotDecision(cuts: [0, 0, 0], nodes: [0, 0, 0]))
    let roots = [4.533067928, 7.53394588, 37.967567896].map { $0.squareRoot() }
    for k in 0..<3 {
      #expect(close(outcome.queues[3 + k].capacity, 30 * roots[k] / roots.reduce(0, +)))
    }
  }

  @Test func slotLengthScalesWhatIsServed() throws {
    var environment = try environment(["slotLength": .number(0.5)])
    environment.setBacklogs([4, 0, 0, 0, 20])
    let outcome = try environment.apply(SlotDecision(cuts: [2, 2, 2], nodes: [0, 0, 0]))
    #expect(close(outcome.queues[0].backlogAfter, 4 - 2.5 + 2.99994))
    #expect(close(outcome.queues[4].backlogAfter, 20 - 3.5))
    #expect(environment.situation?.time == 100.5)
  }

  @Test func observationsHoldScaledBacklogsAndPositions() throws {
    var environment = try environment()
    environment.setBacklogs([3, 6, 9, 12, 15])
    let situation = try #require(environment.situation)
    #expect(situation.scenario.observationSize == 5)
    for client in 0..<3 {
      let observation = situation.observation(ofClient: client)
      let own = Float(situation.clientPosition(client).x / 500)
      let service = Float(situation.nodePosition(1).x / 500)
      #expect(observation == [Float(3 * (client + 1)) / 30, 0.4, 0.5, own, service])
    }
    #expect(situation.jointState().count == 15)
    #expect(Array(situation.jointState()[5..<10]) == situation.observation(ofClient: 1))
  }

  @Test func actionsAreCutsTimesNodes() {
    let decision = SlotDecision(actions: [0, 5, 6, 131], nodes: 6)
    #expect(decision.cuts == [0, 0, 1, 21])
    #expect(decision.nodes == [0, 5, 0, 5])
    #expect(decision.actions(nodes: 6) == [0, 5, 6, 131])
  }

  @Test func decisionsThatDoNotExistAreErrors() throws {
    var environment = try environment()
    for decision in [
      SlotDecision(cuts: [0, 0], nodes: [0, 0, 0]),
      SlotDecision(cuts: [3, 0, 0], nodes: [0, 0, 0]),
      SlotDecision(cuts: [-1, 0, 0], nodes: [0, 0, 0]),
      SlotDecision(cuts: [0, 0, 0], nodes: [2, 0, 0]),
      SlotDecision(cuts: [0, 0, 0], nodes: [0, -1, 0]),
    ] {
      #expect(throws: InputError.self) { try environment.apply(decision) }
    }
    #expect(environment.situation?.slot == 0)
  }

  @Test func nodesBeyondTheV2VRangeAreMasked() throws {
    // All vehicles are at least 424 m apart.
    var environment = try environment(["v2vRange": .number(150)])
    let situation = try #require(environment.situation)
    for client in 0..<3 {
      #expect(situation.allows(client: client, node: 0))
      #expect(!situation.allows(client: client, node: 1))
      #expect(situation.shortestQueue(client: client) == 0)
    }
    #expect(throws: InputError.self) {
      try environment.apply(SlotDecision(cuts: [0, 0, 0], nodes: [0, 0, 1]))
    }
    #expect(
      try environment.apply(SlotDecision(cuts: [0, 0, 0], nodes: [0, 0, 0])).tasks.count == 3)
  }
}
