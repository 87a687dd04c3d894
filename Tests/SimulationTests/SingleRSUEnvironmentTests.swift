import Simulation
import Support
import Testing
import Trace

@Suite struct SingleRSUEnvironmentTests {
  private func run(
    _ environment: inout SingleRSUEnvironment, episode: Int, phase: Phase, seed: UInt64
  ) throws -> [SlotOutcome] {
    environment.beginEpisode(episode, phase: phase)
    var stream = RandomStream(seed: seed, .test)
    var outcomes: [SlotOutcome] = []
    while !environment.isEpisodeOver, let situation = environment.situation {
      outcomes.append(try environment.apply(SingleRSUFixture.decision(situation, &stream)))
    }
    return outcomes
  }

  @Test func sameSeedSameEpisodes() throws {
    var one = try SingleRSUFixture.environment(seed: 5)
    var two = try SingleRSUFixture.environment(seed: 5)
    // Episodes in another order give the same: nothing is carried over.
    let first = try run(&one, episode: 0, phase: .train, seed: 1)
    let second = try run(&one, episode: 1, phase: .train, seed: 2)
    let secondAgain = try run(&two, episode: 1, phase: .train, seed: 2)
    let firstAgain = try run(&two, episode: 0, phase: .train, seed: 1)
    #expect(first.map(\.tasks) == firstAgain.map(\.tasks))
    #expect(second.map(\.tasks) == secondAgain.map(\.tasks))
    #expect(second.map(\.queues) == secondAgain.map(\.queues))
    #expect(first.map(\.tasks) != second.map(\.tasks))
    let evaluation = try run(&one, episode: 0, phase: .eval, seed: 1)
    #expect(first.map(\.tasks) != evaluation.map(\.tasks))
  }

  @Test func linksDoNotDependOnDecisions() throws {
    for seed in 0..<20 as Range<UInt64> {
      var one = try SingleRSUFixture.environment(seed: seed)
      var two = one
      let a = try run(&one, episode: 3, phase: .eval, seed: 10)
      let b = try run(&two, episode: 3, phase: .eval, seed: 11)
      for (x, y) in zip(a, b) {
        for client in 0..<5 {
          for node in 0..<6 {
            #expect(
              x.situation.link(client: client, node: node)
                == y.situation.link(client: client, node: node), "seed \(seed)")
          }
        }
      }
    }
  }

  @Test func sweepsOverCountsArePaired() throws {
    func environment(_ clients: Int, _ services: Int) throws -> SingleRSUEnvironment {
      try SingleRSUFixture.environment(
        [
          "clients": .integer(clients), "serviceVehicles": .integer(services),
          "windowVehicles": .integer(14),
        ], seed: 9)
    }
    var small = try environment(3, 4)
    var large = try environment(7, 7)
    #expect(Array(large.scenario.clientCapacity[..<3]) == small.scenario.clientCapacity)
    #expect(Array(large.scenario.serviceCapacity[..<4]) == small.scenario.serviceCapacity)
    small.beginEpisode(2, phase: .eval)
    large.beginEpisode(2, phase: .eval)
    let a = try #require(small.situation)
    let b = try #require(large.situation)
    for client in 0..<3 {
      #expect(a.vehicleName(client: client) == b.vehicleName(client: client))
      for node in 0..<5 {
        #expect(a.link(client: client, node: node) == b.link(client: client, node: node))
      }
    }
    #expect(Set((0..<7).map { b.vehicleName(client: $0) }).count == 7)
    #expect(
      Set((0..<7).map { b.vehicleName(client: $0) } + (1...7).map { b.vehicleName(node: $0) }).count
        == 14)
  }

  @Test func capacitiesLieInTheirRangesAndDependOnTheSeed() throws {
    var seen: [[Double]] = []
    for seed in 0..<50 as Range<UInt64> {
      let scenario = try SingleRSUFixture.environment(seed: seed).scenario
      #expect(scenario.clientCapacity.allSatisfy { (4..<6).contains($0) }, "seed \(seed)")
      #expect(scenario.serviceCapacity.allSatisfy { (6..<8).contains($0) }, "seed \(seed)")
      seen.append(scenario.clientCapacity)
    }
    #expect(Set(seen.map { $0[0] }).count == 50)
    let mean = seen.flatMap { $0 }.reduce(0, +) / 250
    #expect(abs(mean - 5) < 0.15)
  }

  @Test func typesAreDealtRoundRobin() throws {
    let scenario = try SingleRSUFixture.environment(["clients": .integer(7)]).scenario
    #expect(scenario.typeNames == ["alexnet", "resnet18", "vgg16"])
    #expect(scenario.typeOfClient == [0, 1, 2, 0, 1, 2, 0])
    #expect(scenario.actions(ofClient: 2) == 22 * 6)
    let listed = try SingleRSUFixture.environment([
      "clients": .integer(3),
      "dnnTypes": .list([.text("vgg16"), .text("vgg16"), .text("alexnet")]),
    ]).scenario
    #expect(listed.typeNames == ["vgg16", "alexnet"])
    #expect(listed.typeOfClient == [0, 0, 1])
    let two = try SingleRSUFixture.environment(["clients": .integer(2)]).scenario
    #expect(two.typeNames == ["alexnet", "resnet18"])
    #expect(
      try SingleRSUEnvironment.profileNames(
        SingleRSUFixture.parameters(["clients": .integer(2)])) == ["alexnet", "resnet18"])
  }

  @Test func theSituationAfterTheLastSlotIsThere() throws {
    var environment = try SingleRSUFixture.environment(["slots": .integer(3)])
    #expect(environment.situation == nil)
    let outcomes = try run(&environment, episode: 0, phase: .train, seed: 1)
    #expect(outcomes.count == 3)
    #expect(environment.isEpisodeOver)
    let last = try #require(environment.situation)
    #expect(last.slot == 3)
    #expect(last.backlogs == outcomes[2].queues.map(\.backlogAfter))
    #expect(last.clientPosition(0) == outcomes[2].situation.clientPosition(0))
  }

  @Test func episodesStartEmptyAndBacklogsStayNonNegative() throws {
    for seed in 0..<10 as Range<UInt64> {
      var environment = try SingleRSUFixture.environment(seed: seed)
      for episode in 0..<2 {
        let outcomes = try run(&environment, episode: episode, phase: .train, seed: seed)
        #expect(outcomes[0].queues.allSatisfy { $0.backlog == 0 }, "seed \(seed)")
        for outcome in outcomes {
          let sum = outcome.queues[5..<8].reduce(0) { $0 + $1.capacity }
          #expect(abs(sum - 30) < 1e-11, "seed \(seed)")
          #expect(outcome.queues.allSatisfy { $0.backlogAfter >= 0 }, "seed \(seed)")
          #expect(outcome.tasks.allSatisfy { $0.delay.isFinite && $0.delay > 0 }, "seed \(seed)")
        }
      }
    }
  }

  @Test func metricsAgreeWithTheLoggedTasks() throws {
    var environment = try SingleRSUFixture.environment(["slots": .integer(12)])
    let outcomes = try run(&environment, episode: 0, phase: .eval, seed: 3)
    var metrics = SingleRSUMetrics()
    for outcome in outcomes { metrics.add(outcome) }
    let values = Dictionary(
      uniqueKeysWithValues: zip(
        SingleRSUMetrics.columns,
        metrics.fields.map { if case .number(let x) = $0 { x } else { Double.nan } }))
    let tasks = outcomes.flatMap(\.tasks)
    let delays = tasks.map(\.delay).sorted()
    #expect(close(values["return"]!, -outcomes.reduce(0) { $0 + $1.objective }))
    #expect(close(values["mean_delay_s"]!, delays.reduce(0, +) / 60))
    // 60 tasks: order statistic at 0.95 * 59 = 56.05.
    #expect(close(values["p95_delay_s"]!, delays[56] + 0.05 * (delays[57] - delays[56])))
    #expect(
      close(
        values["local_delay_s"]! + values["transmit_delay_s"]! + values["edge_delay_s"]!,
        values["mean_delay_s"]!))
    let remote = tasks.filter(\.isRemote)
    #expect(close(values["share_local"]!, Double(60 - remote.count) / 60))
    #expect(close(values["share_rsu"]!, Double(remote.count { $0.node == 0 }) / 60))
    #expect(
      close(values["share_local"]! + values["share_rsu"]! + values["share_service"]!, 1))
    func backlog(_ queues: Range<Int>) -> Double {
      outcomes.reduce(0) { $0 + $1.queues[queues].reduce(0) { $0 + $1.backlog } } / 12
    }
    #expect(close(values["backlog_client_gflop"]!, backlog(0..<5)))
    #expect(close(values["backlog_rsu_gflop"]!, backlog(5..<8)))
    #expect(close(values["backlog_service_gflop"]!, backlog(8..<13)))

    let table = SingleRSUMetrics.tables[0]
    let rows = table.rows(metrics)
    #expect(rows.map(\.count).allSatisfy { $0 == table.columns.count })
    #expect(
      rows.map { $0[0] }
        == [
          "client:1", "client:2", "client:3", "client:4", "client:5", "rsu:alexnet", "rsu:resnet18",
          "rsu:vgg16", "service:2", "service:3", "service:4", "service:5", "service:6",
        ].map { .text($0) })
    for (i, row) in rows.enumerated() {
      #expect(row[2] == .number(outcomes.reduce(0) { $0 + $1.queues[i].backlog } / 12))
    }
  }

  @Test func theFastObjectiveEqualsTheEnvironments() throws {
    for seed in 0..<150 as Range<UInt64> {
      var stream = RandomStream(seed: seed, .test)
      var environment = try SingleRSUFixture.environment(
        [
          "clients": .integer(1 + stream.index(below: 7)),
          "serviceVehicles": .integer(stream.index(below: 5)),
          "gamma": .text(stream.index(below: 2) == 0 ? "corrected" : "printed"),
          "V": .number([0.1, 10, 1000][stream.index(below: 3)]), "slots": .integer(2),
        ], seed: seed)
      environment.beginEpisode(0, phase: .eval)
      environment.setBacklogs(
        SingleRSUFixture.backlogs(environment.scenario.queues, &stream))
      let situation = try #require(environment.situation)
      var objective = SlotObjective(scenario: environment.scenario)
      objective.prepare(situation)
      for _ in 0..<5 {
        let decision = SingleRSUFixture.decision(situation, &stream)
        var copy = environment
        let outcome = try copy.apply(decision)
        let scale =
          outcome.queues.reduce(abs(outcome.objective)) {
            $0 + abs($1.backlog * ($1.arrivals - $1.capacity * situation.scenario.slotLength))
          }
        let fast = objective.value(decision)
        #expect(abs(fast - outcome.objective) <= 1e-12 * scale, "seed \(seed)")
      }
    }
  }

  @Test func theBestResponseIsTheBestOfAllChoices() throws {
    for seed in 0..<60 as Range<UInt64> {
      var stream = RandomStream(seed: seed, .test)
      var environment = try SingleRSUFixture.environment(
        [
          "clients": .integer(4), "serviceVehicles": .integer(2),
          "gamma": .text(stream.index(below: 2) == 0 ? "corrected" : "printed"),
          "slots": .integer(1),
        ], seed: seed)
      environment.beginEpisode(0, phase: .eval)
      environment.setBacklogs(
        SingleRSUFixture.backlogs(environment.scenario.queues, &stream))
      let situation = try #require(environment.situation)
      var objective = SlotObjective(scenario: environment.scenario)
      objective.prepare(situation)
      let decision = SingleRSUFixture.decision(situation, &stream)
      let present = objective.value(decision)
      let client = stream.index(below: 4)
      let response = objective.bestResponse(
        of: client, cuts: decision.cuts, nodes: decision.nodes)
      var least = Double.infinity
      for cut in 0...environment.scenario.layers(ofClient: client) {
        for node in 0..<3 {
          var other = decision
          other.cuts[client] = cut
          other.nodes[client] = node
          least = min(least, objective.value(other))
        }
      }
      var chosen = decision
      chosen.cuts[client] = response.cut
      chosen.nodes[client] = response.node
      let scale = abs(present) + abs(least) + 1
      #expect(abs(objective.value(chosen) - least) <= 1e-9 * scale, "seed \(seed)")
      #expect(abs(present + response.change - least) <= 1e-9 * scale, "seed \(seed)")
    }
  }

  @Test func evaluationSpreadsOverItsWindows() throws {
    let windows = EpisodeWindows.synthetic(vehicles: 2, slots: 2, count: 100, seed: 1)
    for seed in 0..<20 as Range<UInt64> {
      let indices = (0..<10).map { windows.index(episode: $0, phase: .eval, seed: seed) }.sorted()
      // Ten steps of the golden ratio leave no gap above a fifth of the circle.
      let gaps = zip(indices, indices.dropFirst()).map { $1 - $0 } + [indices[0] + 100 - indices[9]]
      #expect(gaps.allSatisfy { $0 > 0 && $0 <= 20 }, "seed \(seed): \(indices)")
    }
    let drawn = (0..<2000).map { windows.index(episode: $0, phase: .train, seed: 1) }
    #expect(Set(drawn).count == 100)
  }

  @Test func windowsTooSmallAreNamedInTheParameter() throws {
    let found = #expect(throws: InputError.self) {
      _ = try SingleRSUFixture.environment(["windowVehicles": .integer(9)])
    }
    #expect(found?.key == "windowVehicles")
    #expect(throws: InputError.self) {
      _ = try SingleRSUFixture.environment(["clientCapacity": .list([.number(6), .number(4)])])
    }
    #expect(throws: InputError.self) {
      _ = try SingleRSUFixture.environment(["dnnTypes": .list([.text("lenet")])])
    }
  }
}
