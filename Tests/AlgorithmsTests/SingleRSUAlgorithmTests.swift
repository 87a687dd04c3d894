import Algorithms
import Simulation
import Support
import Testing

@Suite struct SingleRSUAlgorithmTests {
  private func agent(
    _ name: String, _ environment: SingleRSUEnvironment, seed: UInt64 = 1,
    _ given: [String: ParameterValue] = [:]
  ) throws -> any Agent<SingleRSUEnvironment> {
    let algorithm = try #require(Registry.singleRSU.first { $0.name == name })
    return try algorithm.make(
      environment, ParameterValues(schema: algorithm.parameters, setting: given),
      AgentContext(seed: seed))
  }

  @Test func namesAreUnique() {
    #expect(Set(Registry.singleRSU.map(\.name)).count == Registry.singleRSU.count)
    let modelKeys = SingleRSUEnvironment.parameters.map(\.key)
    for algorithm in Registry.singleRSU {
      let keys = algorithm.parameters.map(\.key) + modelKeys
      #expect(Set(keys).count == keys.count, "\(algorithm.name)")
    }
  }

  @Test(arguments: Registry.singleRSU.filter { !$0.isLearner }.map(\.name))
  func everyAlgorithmDecidesTheSameTwice(_ name: String) throws {
    func run() throws -> [SlotDecision] {
      var environment = try SingleRSUFixture.environment([
        "clients": .integer(4), "serviceVehicles": .integer(3), "slots": .integer(4),
        "v2vRange": .number(150),
      ])
      var agent = try agent(
        name, environment,
        ["generations": .integer(5)].filter { _ in
          name == "genetic"
        })
      var decisions: [SlotDecision] = []
      for episode in 0..<2 {
        environment.beginEpisode(episode, phase: .eval)
        agent.beginEpisode(episode, phase: .eval)
        while !environment.isEpisodeOver, let situation = environment.situation {
          decisions.append(try agent.decide(situation, phase: .eval))
          _ = try environment.apply(decisions[decisions.count - 1])
        }
      }
      return decisions
    }
    #expect(try run() == run())
  }

  @Test func fixedAndGreedyPoliciesByHand() throws {
    var environment = try SingleRSUFixture.environment([
      "clients": .integer(3), "serviceVehicles": .integer(2),
    ])
    environment.beginEpisode(0, phase: .eval)
    // Clients; alexnet, resnet18, vgg16 at the RSU; two service vehicles.
    environment.setBacklogs([9, 9, 9, 1, 5, 7, 6, 2])
    let situation = try #require(environment.situation)
    func decide(_ name: String) throws -> SlotDecision {
      var agent = try agent(name, environment)
      return try agent.decide(situation, phase: .eval)
    }
    #expect(try decide("local-only") == SlotDecision(cuts: [11, 20, 21], nodes: [0, 0, 0]))
    #expect(try decide("rsu-only") == SlotDecision(cuts: [0, 0, 0], nodes: [0, 0, 0]))
    // Least data: AlexNet's fc7 (4096 elements, before fc8 as well), ResNet18's fc (512), VGG16's fc7 (4096).
    #expect(try decide("greedy") == SlotDecision(cuts: [9, 19, 19], nodes: [0, 2, 2]))
    #expect(
      try decide("greedy-shortest-queue") == SlotDecision(cuts: [0, 0, 0], nodes: [0, 2, 2]))
  }

  @Test func shortestQueueOfEqualOnesIsTheFirst() throws {
    var environment = try SingleRSUFixture.environment(["clients": .integer(1)])
    environment.beginEpisode(0, phase: .eval)
    #expect(environment.situation?.shortestQueue(client: 0) == 0)
    environment.setBacklogs([0, 4, 9, 3, 5, 3, 8])
    #expect(environment.situation?.shortestQueue(client: 0) == 2)
  }

  @Test func randomDecisionsAreUniform() throws {
    var environment = try SingleRSUFixture.environment([
      "clients": .integer(1), "serviceVehicles": .integer(2), "dnnTypes": .list([.text("short")]),
    ])
    environment.beginEpisode(0, phase: .eval)
    let situation = try #require(environment.situation)
    var agent = try agent("random", environment)
    var counts = [Int](repeating: 0, count: 12)
    for _ in 0..<12_000 {
      counts[try agent.decide(situation, phase: .eval).actions(nodes: 3)[0]] += 1
    }
    // Chi-square with 11 degrees of freedom: 31.3 at 0.1 %.
    let chi = counts.reduce(0) { $0 + Double(($1 - 1000) * ($1 - 1000)) / 1000 }
    #expect(chi < 31.3, "\(counts)")
  }

  @Test func coordinateDescentEndsWhereNobodyGains() throws {
    for seed in 0..<12 as Range<UInt64> {
      var stream = RandomStream(seed: seed, .test)
      var environment = try SingleRSUFixture.environment(
        ["clients": .integer(4), "serviceVehicles": .integer(3)], seed: seed)
      environment.beginEpisode(0, phase: .eval)
      environment.setBacklogs(
        SingleRSUFixture.backlogs(environment.scenario.queues, &stream))
      let situation = try #require(environment.situation)
      var agent = try agent("coordinate-descent", environment)
      let decision = try agent.decide(situation, phase: .eval)
      var objective = SlotObjective(scenario: environment.scenario)
      objective.prepare(situation)
      let value = objective.value(decision)
      for client in 0..<4 {
        for cut in 0...environment.scenario.layers(ofClient: client) {
          for node in 0..<4 {
            var other = decision
            other.cuts[client] = cut
            other.nodes[client] = node
            #expect(objective.value(other) >= value - 1e-9 * (1 + abs(value)), "seed \(seed)")
          }
        }
      }
    }
  }

  @Test func geneticSearchImprovesOnItsFirstGeneration() throws {
    var better = 0
    for seed in 0..<6 as Range<UInt64> {
      var environment = try SingleRSUFixture.environment(
        ["clients": .integer(5), "serviceVehicles": .integer(3)], seed: seed)
      environment.beginEpisode(0, phase: .eval)
      let situation = try #require(environment.situation)
      var objective = SlotObjective(scenario: environment.scenario)
      objective.prepare(situation)
      func value(_ generations: Int) throws -> Double {
        var agent = try agent(
          "genetic", environment, seed: seed,
          ["generations": .integer(generations), "population": .integer(20)])
        return objective.value(try agent.decide(situation, phase: .eval))
      }
      // The first generations are the same draws, and elites never get lost.
      let (first, last) = (try value(1), try value(30))
      #expect(last <= first, "seed \(seed)")
      if last < first { better += 1 }
    }
    #expect(better >= 5)
  }

  @Test func unfitParametersAreErrors() throws {
    let environment = try SingleRSUFixture.environment(["clients": .integer(13)])
    let found = #expect(throws: InputError.self) { _ = try agent("exact", environment) }
    #expect(found?.key == "clients")
    #expect(throws: InputError.self) {
      _ = try agent(
        "genetic", environment, ["elites": .integer(10), "population": .integer(10)])
    }
  }

  @Test(
    "Where no link has a rate no node is allowed: every search ends all the same",
    .timeLimit(.minutes(1)))
  func searchesEndWhereNothingIsAllowed() throws {
    for algorithm in Registry.singleRSU where !algorithm.isLearner {
      let values = try ParameterValues(
        schema: SingleRSUEnvironment.parameters + algorithm.parameters,
        setting: [
          "clients": .integer(2), "serviceVehicles": .integer(1), "slots": .integer(2),
          "transmitPower": .number(-200), "noisePower": .number(200),
          "dnnTypes": .list([.text("short"), .text("middle")]),
        ])
      var environment = try SingleRSUEnvironment.synthetic(
        parameters: values, profiles: SingleRSUFixture.profiles(), seed: 1)
      var agent = try algorithm.make(environment, values, AgentContext(seed: 1))
      environment.beginEpisode(1, phase: .eval)
      agent.beginEpisode(1, phase: .eval)
      let situation = try #require(environment.situation)
      let decision = try agent.decide(situation, phase: .eval)
      #expect(decision.nodes.allSatisfy { (0..<2).contains($0) }, "\(algorithm.name)")
    }
  }
}
