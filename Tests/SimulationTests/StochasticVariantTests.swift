import Simulation
import Support
import Testing

@Suite struct StochasticVariantTests {
  private static let reference: [String: ParameterValue] = [
    "taskProbability": .number(0.8), "initialBacklog": .list([.number(0), .number(60)]),
    "backgroundLoad": .list([.number(0.1), .number(10)]), "slots": .integer(40),
  ]

  /// Tasks, first backlogs and work of others of some episodes under decisions of one kind.
  private func draws(
    _ given: [String: ParameterValue], seed: UInt64 = 3, phase: Phase = .eval, allLocal: Bool
  ) throws -> (tasks: [[Bool]], first: [[Double]], background: [[Double]]) {
    var environment = try SingleRSUFixture.environment(given, seed: seed)
    let scenario = environment.scenario
    let decision = SlotDecision(
      cuts: (0..<scenario.clients).map { allLocal ? scenario.layers(ofClient: $0) : 0 },
      nodes: [Int](repeating: 0, count: scenario.clients))
    var result: (tasks: [[Bool]], first: [[Double]], background: [[Double]]) = ([], [], [])
    for episode in 1...50 {
      environment.beginEpisode(episode, phase: phase)
      result.first.append(environment.situation?.backlogs ?? [])
      while !environment.isEpisodeOver, let situation = environment.situation {
        result.tasks.append(situation.tasks)
        result.background.append(try environment.apply(decision).queues.map(\.background))
      }
    }
    return result
  }

  @Test func drawsDoNotDependOnDecisionsAndHaveTheirMeans() throws {
    let a = try draws(Self.reference, allLocal: true)
    let b = try draws(Self.reference, allLocal: false)
    #expect(a.tasks == b.tasks && a.first == b.first && a.background == b.background)
    let other = try draws(Self.reference, seed: 4, allLocal: true)
    let train = try draws(Self.reference, phase: .train, allLocal: true)
    for x in [other, train] {
      #expect(x.tasks != a.tasks && x.first != a.first && x.background != a.background)
    }
    func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
    // 10,000 draws of tasks, 16,000 of work; bounds of five standard errors.
    #expect(abs(mean(a.tasks.joined().map { $0 ? 1 : 0 }) - 0.8) < 0.02)
    let edge = a.background.flatMap { $0[5...] }
    #expect(abs(mean(edge.map { $0 > 0 ? 1 : 0 }) - 0.1) < 0.012)
    #expect(abs(mean(edge.filter { $0 > 0 }) - 10) < 1.3)
    #expect(a.background.allSatisfy { $0[..<5].allSatisfy { $0 == 0 } })
    let first = a.first.flatMap(\.self)
    #expect(abs(mean(first) - 30) < 4 && first.allSatisfy { (0..<60).contains($0) })
    // Every queue has draws of its own.
    #expect(Set(a.first[0]).count == a.first[0].count)
  }

  /// More vehicles take nothing from those that were there.
  @Test func moreVehiclesKeepTheDrawsOfTheOthers() throws {
    var more = Self.reference
    more["clients"] = .integer(7)
    more["serviceVehicles"] = .integer(6)
    let a = try draws(Self.reference, allLocal: true)
    let b = try draws(more, allLocal: true)
    #expect(a.tasks == b.tasks.map { Array($0[..<5]) })
    // 5 and 7 clients, three types, 5 and 6 service vehicles.
    #expect(a.first == b.first.map { Array($0[..<5] + $0[7..<15]) })
    #expect(a.background.map { $0[5...] } == b.background.map { $0[7..<15] })
  }

  /// By hand: one client of two layers (2 and 1 GFLOP), one service vehicle.
  @Test func aClientWithoutATaskDecidesNothing() throws {
    var environment = try SingleRSUFixture.environment([
      "clients": .integer(1), "serviceVehicles": .integer(1), "dnnTypes": .list([.text("pair")]),
      "taskProbability": .number(0), "initialBacklog": .list([.number(7), .number(7)]),
      "slots": .integer(1),
    ])
    environment.beginEpisode(1, phase: .eval)
    // What stands in its decision is not even looked at.
    let outcome = try environment.apply(SlotDecision(cuts: [99], nodes: [99]))
    #expect(outcome.tasks.isEmpty)
    #expect(outcome.queues.allSatisfy { $0.users == 0 && $0.arrivals == 0 && $0.backlog == 7 })
    var metrics = SingleRSUMetrics()
    metrics.add(outcome)
    let names = SingleRSUMetrics.columns
    for (name, field) in zip(names, metrics.fields) {
      let isOfTasks = name.hasSuffix("_s") || name.hasPrefix("share")
      #expect((field == .missing) == isOfTasks, "\(name)")
    }
  }

  @Test func loadIsWorkOverCapacity() throws {
    // 2 x 2.99994 GFLOP, half of the time, and 0.25 x 8 for the RSU's one type and each of two vehicles.
    let environment = try SingleRSUFixture.environment([
      "clients": .integer(2), "serviceVehicles": .integer(2), "dnnTypes": .list([.text("pair")]),
      "taskProbability": .number(0.5), "backgroundLoad": .list([.number(0.25), .number(8)]),
      "clientCapacity": .list([.number(5), .number(5)]),
      "serviceCapacity": .list([.number(7), .number(7)]), "slotLength": .number(2),
    ])
    let constants = environment.constants
    let offered = constants["offered_gflop_per_slot"]?.numberValue ?? .nan
    #expect(abs(offered - (2.99994 + 6)) < 1e-9)
    #expect(constants["capacity_gflops"] == .number(54))
    #expect(abs((constants["load"]?.numberValue ?? .nan) - offered / 108) < 1e-12)
  }

  @Test func rotatedTypesKeepTheMixAndEachClientsType() throws {
    func types(_ seed: UInt64, _ clients: Int) throws -> [String] {
      let scenario = try SingleRSUFixture.environment(
        ["clients": .integer(clients), "dnnTypes": .text("rotate")], seed: seed
      ).scenario
      #expect(scenario.typeNames == ["alexnet", "resnet18", "vgg16"])
      return scenario.typeOfClient.map { scenario.typeNames[$0] }
    }
    #expect(try types(1, 4) == ["alexnet", "resnet18", "vgg16", "alexnet"])
    #expect(try types(2, 4) == ["resnet18", "vgg16", "alexnet", "resnet18"])
    #expect(try types(6, 4) == ["vgg16", "alexnet", "resnet18", "vgg16"])
    for clients in 1...7 {
      let all = try (1...3).flatMap { try types(UInt64($0), clients) }
      #expect(
        Set(["alexnet", "resnet18", "vgg16"].map { name in all.count { $0 == name } }).count == 1)
      #expect(try types(2, clients) == Array(types(2, 7)[..<clients]))
    }
  }

  /// The fast P of a slot is the environment's, and the costs of a client's actions are differences of it.
  @Test func objectiveFollowsTheTasks() throws {
    for seed in 1..<20 as Range<UInt64> {
      var stream = RandomStream(seed: seed, .test)
      var environment = try SingleRSUFixture.environment(
        Self.reference.merging(
          [
            "taskProbability": .number(0.5),
            "gamma": .text(seed % 2 == 0 ? "printed" : "corrected"),
            "v2vRange": seed % 3 == 0 ? .number(200) : .none,
          ]) { $1 }, seed: seed)
      let scenario = environment.scenario
      environment.beginEpisode(1, phase: .eval)
      var objective = SlotObjective(scenario: scenario)
      for _ in 0..<5 {
        let situation = try #require(environment.situation)
        let decision = SingleRSUFixture.decision(situation, &stream)
        objective.prepare(situation)
        let value = objective.value(decision)
        for client in 0..<scenario.clients where situation.tasks[client] {
          let costs = objective.costs(
            ofClient: client, cuts: decision.cuts, nodes: decision.nodes)
          var other = decision
          let own = costs[decision.cuts[client] * scenario.nodes + decision.nodes[client]]
          for action in 0..<costs.count {
            other.cuts[client] = action / scenario.nodes
            other.nodes[client] = action % scenario.nodes
            if !situation.allows(client: client, node: other.nodes[client]) {
              // Out of range nothing is sent; all local is not sent either.
              let isLocal = other.cuts[client] == scenario.layers(ofClient: client)
              #expect(isLocal || costs[action] == .infinity)
              continue
            }
            let change = objective.value(other) - value
            #expect(abs(costs[action] - own - change) < 1e-9 * (1 + abs(value)))
          }
        }
        let outcome = try environment.apply(decision)
        #expect(abs(outcome.objective - value) < 1e-9 * (1 + abs(value)))
      }
    }
  }

  /// The sum of the reward's drift over an episode is half the last squares less the first.
  @Test func driftOfTheRewardTelescopes() throws {
    var given = Self.reference
    given["reward"] = .text("drift")
    var environment = try SingleRSUFixture.environment(given, seed: 5)
    var stream = RandomStream(seed: 1, .test)
    environment.beginEpisode(1, phase: .train)
    func half(_ backlogs: [Double]) -> Double { backlogs.reduce(0) { $0 + $1 * $1 } / 2 }
    let first = half(try #require(environment.situation).backlogs)
    var rewards = 0.0
    var delays = 0.0
    while !environment.isEpisodeOver, let situation = environment.situation {
      let outcome = try environment.apply(SingleRSUFixture.decision(situation, &stream))
      rewards += outcome.reward
      delays += outcome.tasks.reduce(0) { $0 + $1.delay }
    }
    let last = half(try #require(environment.situation).backlogs)
    #expect(abs(-rewards - (10 * delays + last - first)) < 1e-9 * last)
  }
}
