import Algorithms
import Simulation
import Support
import Testing

@Suite struct SingleRSUExactTests {
  private func decide(
    _ name: String, _ environment: SingleRSUEnvironment, _ situation: SlotSituation, seed: UInt64,
    _ given: [String: ParameterValue] = [:]
  ) throws -> SlotDecision {
    let algorithm = try #require(Registry.singleRSU.first { $0.name == name })
    var agent = try algorithm.make(
      environment, ParameterValues(schema: algorithm.parameters, setting: given),
      AgentContext(seed: seed))
    agent.beginEpisode(0, phase: .eval)
    return try agent.decide(situation, phase: .eval)
  }

  /// Least P over every decision, by trying them all.
  private func bruteForce(_ objective: inout SlotObjective) -> Double {
    let scenario = objective.scenario
    var cuts = [Int](repeating: 0, count: scenario.clients)
    var nodes = cuts
    var least = Double.infinity
    func descend(_ client: Int) {
      if client == scenario.clients {
        least = min(least, objective.value(cuts: cuts, nodes: nodes))
        return
      }
      let layers = scenario.layers(ofClient: client)
      for cut in 0...layers {
        cuts[client] = cut
        for node in 0..<(cut == layers ? 1 : scenario.nodes)
        where objective.allows(client: client, node: node) {
          nodes[client] = node
          descend(client + 1)
        }
      }
    }
    descend(0)
    return least
  }

  private func settings(
    _ stream: inout RandomStream, clients: Int, names: [String]
  ) -> [String: ParameterValue] {
    [
      "clients": .integer(clients), "serviceVehicles": .integer(stream.index(below: 3)),
      // Few names for many clients: types occur once, twice, three times.
      "dnnTypes": .list((0..<clients).map { _ in .text(names[stream.index(below: names.count)]) }),
      "gamma": .text(stream.index(below: 2) == 0 ? "corrected" : "printed"),
      "V": .number([0.1, 1, 10, 150, 1000][stream.index(below: 5)]),
      "slotLength": .number([0.5, 1, 2][stream.index(below: 3)]), "slots": .integer(1),
      "v2vRange": stream.index(below: 4) == 0 ? .number(150) : .none,
      // From sending that costs more than computing to sending that costs nothing.
      "bandwidth": .number([1e5, 4e5, 1e6, 10e6][stream.index(below: 4)]),
      "rsuCapacity": .number([3, 30, 100][stream.index(below: 3)]),
      "taskProbability": .number([1, 0.6][stream.index(below: 2)]),
      "backgroundLoad": .list([.number(0.5), .number(5)]),
    ]
  }

  /// Compares with brute force, with and without the descents at the start of the search: without them it has
  /// to find the optimum by itself.
  private func compareWithBruteForce(
    _ given: [String: ParameterValue], seed: UInt64, _ stream: inout RandomStream
  ) throws {
    var environment = try SingleRSUFixture.environment(given, seed: seed)
    environment.beginEpisode(0, phase: .eval)
    environment.setBacklogs(SingleRSUFixture.backlogs(environment.scenario.queues, &stream))
    let situation = try #require(environment.situation)
    var objective = SlotObjective(scenario: environment.scenario)
    objective.prepare(situation)
    let least = bruteForce(&objective)
    for warmStart in [false, true] {
      let found = objective.value(
        try decide("exact", environment, situation, seed: seed, ["warmStart": .flag(warmStart)]))
      #expect(
        abs(found - least) <= 1e-9 * max(abs(least), 1e-3),
        "seed \(seed), \(warmStart): \(found) instead of \(least), \(given)")
    }
  }

  @Test func equalsBruteForceOnSmallCases() throws {
    for seed in 0..<400 as Range<UInt64> {
      var stream = RandomStream(seed: seed, .test)
      let clients = 1 + stream.index(below: 3)
      let given = settings(&stream, clients: clients, names: ["short", "middle", "long"])
      try compareWithBruteForce(given, seed: seed, &stream)
    }
  }

  /// Without service vehicles and with clients of one type, all depends on the group at the RSU.
  @Test func equalsBruteForceAtTheRSU() throws {
    for seed in 0..<300 as Range<UInt64> {
      var stream = RandomStream(seed: seed, .test)
      var given = settings(&stream, clients: 4, names: ["short"])
      given["dnnTypes"] = .list(["long", "long", "short", "short"].map { .text($0) })
      given["serviceVehicles"] = .integer(0)
      given["clientCapacity"] = .list([.number(1), .number(20)])
      given["bandwidth"] = .number([2e5, 5e5, 1e6][stream.index(below: 3)])
      try compareWithBruteForce(given, seed: seed, &stream)
    }
  }

  @Test func equalsBruteForceOnTheShippedNetworks() throws {
    for seed in 0..<30 as Range<UInt64> {
      var stream = RandomStream(seed: seed, .test)
      let given = settings(&stream, clients: 2, names: ["alexnet", "resnet18", "vgg16"])
      try compareWithBruteForce(given, seed: seed, &stream)
    }
  }

  @Test func nothingBeatsItOnASlot() throws {
    for seed in 0..<30 as Range<UInt64> {
      var stream = RandomStream(seed: seed, .test)
      let clients = 1 + stream.index(below: 7)
      var given = settings(&stream, clients: clients, names: ["alexnet", "resnet18", "vgg16"])
      given["serviceVehicles"] = .integer(stream.index(below: 6))
      var environment = try SingleRSUFixture.environment(given, seed: seed)
      environment.beginEpisode(0, phase: .eval)
      environment.setBacklogs(SingleRSUFixture.backlogs(environment.scenario.queues, &stream))
      let situation = try #require(environment.situation)
      // The environment's own P, not the fast one that the search uses.
      func value(_ decision: SlotDecision) throws -> (objective: Double, scale: Double) {
        var copy = environment
        let outcome = try copy.apply(decision)
        return (
          outcome.objective,
          outcome.queues.reduce(abs(outcome.objective)) {
            $0 + $1.backlog * abs($1.arrivals - $1.capacity * environment.scenario.slotLength)
          }
        )
      }
      let exact = try value(
        decide(
          "exact", environment, situation, seed: seed, ["warmStart": .flag(seed % 2 == 0)]))
      for algorithm in Registry.singleRSU where algorithm.name != "exact" && !algorithm.isLearner {
        let other = try value(
          decide(
            algorithm.name, environment, situation, seed: seed,
            algorithm.name == "genetic" ? ["generations": .integer(15)] : [:]))
        #expect(
          exact.objective <= other.objective + 1e-11 * exact.scale,
          "seed \(seed): \(algorithm.name) has \(other), exact \(exact)")
      }
    }
  }
}
