import Algorithms
import Simulation
import Support
import Testing

/// The learners of ours: what they learn, and what they must not look at.
@Suite struct SlotLearnerTests {
  static let names = ["imitation", "imitation-diffusion", "counterfactual"]

  private static let small: [String: ParameterValue] = [
    "clients": .integer(3), "serviceVehicles": .integer(2), "slots": .integer(20),
    "dnnTypes": .list(["short", "middle", "long"].map { .text($0) }),
    "rsuCapacity": .number(15),
  ]

  /// Mean delay of an algorithm over evaluation episodes, after some of training.
  private func meanDelay(
    _ name: String, _ given: [String: ParameterValue] = [:], _ own: [String: ParameterValue] = [:],
    episodes: Int = 0
  ) throws -> Double {
    var environment = try SingleRSUFixture.environment(
      Self.small.merging(given) { $1 }, seed: 1)
    let algorithm = try #require(Registry.singleRSU.first { $0.name == name })
    func run(_ agent: some Agent<SingleRSUEnvironment>) throws -> Double {
      var agent = agent
      for episode in 1..<(episodes + 1) {
        _ = try environment.runEpisode(episode, phase: .train, agent: &agent, learns: true)
      }
      var delays: [Double] = []
      for episode in 1...10 {
        agent.beginEpisode(episode, phase: .eval)
        environment.beginEpisode(episode, phase: .eval)
        while !environment.isEpisodeOver, let situation = environment.situation {
          let outcome = try environment.apply(try agent.decide(situation, phase: .eval))
          delays += outcome.tasks.map(\.delay)
        }
      }
      return delays.reduce(0, +) / Double(delays.count)
    }
    return try run(
      algorithm.make(
        environment, ParameterValues(schema: algorithm.parameters, setting: own),
        AgentContext(seed: 1, episodes: episodes)))
  }

  /// On P1's benchmark a blind schedule and planning by belief are as good as the exact minimiser.
  @Test func aBlindScheduleIsEnoughWithoutRandomness() throws {
    let exact = try meanDelay("exact")
    for name in ["fixed-schedule", "belief-planner"] {
      #expect(abs(try meanDelay(name) / exact - 1) < 0.01, "\(name)")
    }
    // With tasks and backlogs drawn, looking pays.
    let drawn: [String: ParameterValue] = [
      "taskProbability": .number(0.6), "initialBacklog": .list([.number(0), .number(60)]),
    ]
    #expect(try meanDelay("fixed-schedule", drawn) > 1.05 * meanDelay("exact", drawn))
  }

  @Test(arguments: names) func learnersComeNearTheMinimiser(_ name: String) throws {
    let exact = try meanDelay("exact")
    let own: [String: ParameterValue] = [
      "hidden": .list([.integer(32), .integer(32)]), "warmupSlots": .integer(100),
    ]
    let learnt = try meanDelay(name, [:], own, episodes: 40)
    #expect(learnt < 1.15 * exact, "\(learnt) against \(exact)")
    let random = try meanDelay("random")
    #expect(
      random > 1.3 * exact, "\(random) against \(exact): the task is too easy to show anything")
  }

  /// Nothing is learnt before `warmupSlots` are kept, nor after `learnEpisodes`.
  @Test(arguments: names) func learningBeginsAndEndsWhenItIsSaid(_ name: String) throws {
    var environment = try SingleRSUFixture.environment(Self.small, seed: 1)
    let algorithm = try #require(Registry.singleRSU.first { $0.name == name })
    let own: [String: ParameterValue] = [
      "hidden": .list([.integer(8)]), "warmupSlots": .integer(30), "learnEpisodes": .integer(3),
      "stepsPerSlot": .integer(2), "batchSize": .integer(4),
    ]
    func steps(_ agent: some Agent<SingleRSUEnvironment>) throws -> [Int] {
      var agent = agent
      return try (1...5).map { episode in
        _ = try environment.runEpisode(episode, phase: .train, agent: &agent, learns: true)
        return agent.statistics.steps
      }
    }
    let found = try steps(
      algorithm.make(
        environment, ParameterValues(schema: algorithm.parameters, setting: own),
        AgentContext(seed: 1, episodes: 5)))
    // 20 slots an episode: the 30th is the 10th of the second.
    #expect(found == [0, 22, 40, 0, 0])
  }

  /// A client decides by its own queue, its type's at the RSU and those of the service vehicles, wherever it is.
  @Test(arguments: names + ["belief-planner"])
  func decisionsDoNotDependOnPositionsAndFading(_ name: String) throws {
    var environment = try SingleRSUFixture.environment(Self.small, seed: 1)
    let algorithm = try #require(Registry.singleRSU.first { $0.name == name })
    var agent = try algorithm.make(
      environment, ParameterValues(schema: algorithm.parameters), AgentContext(seed: 1))
    var stream = RandomStream(seed: 9, .test)
    let backlogs = SingleRSUFixture.backlogs(environment.scenario.queues, &stream)
    var decisions: [SlotDecision] = []
    for episode in 1...4 {
      environment.beginEpisode(episode, phase: .eval)
      agent.beginEpisode(episode, phase: .eval)
      environment.setBacklogs(backlogs)
      decisions.append(try agent.decide(try #require(environment.situation), phase: .eval))
    }
    #expect(decisions.allSatisfy { $0 == decisions[0] })
  }
}
