import Foundation
import Simulation
import Support
import Testing

@testable import Algorithms

private let small: [String: [String: ParameterValue]] = [
  "rtd": [
    "batchSize": .integer(16), "hidden": .list([.integer(16), .integer(16)]),
    "warmupTasks": .integer(30),
    "replayCapacity": .integer(100),
  ],
  "disdqn": [
    "batchSize": .integer(8), "hidden": .list([.integer(16)]), "warmupTasks": .integer(10),
    "replayCapacity": .integer(30),
  ],
]

/// A learner with small networks; `episodes` as if planned for 12.
private func learner(
  _ algorithm: Algorithm<RoadRSUEnvironment>, _ environment: RoadRSUEnvironment, seed: UInt64 = 1,
  _ given: [String: ParameterValue] = [:]
) throws -> any Agent<RoadRSUEnvironment> {
  let setting = (small[algorithm.name] ?? [:]).merging(given) { $1 }
  return try algorithm.make(
    environment, ParameterValues(schema: algorithm.parameters, setting: setting),
    AgentContext(seed: seed, episodes: 12))
}

private func train(
  _ environment: inout RoadRSUEnvironment, _ agent: inout some Agent<RoadRSUEnvironment>,
  episodes: ClosedRange<Int>
) throws {
  for episode in episodes {
    environment.beginEpisode(episode, phase: .train)
    agent.beginEpisode(episode, phase: .train)
    var next = environment.situation
    while let situation = next {
      let decision = try agent.decide(situation, phase: .train)
      let outcome = try environment.apply(decision)
      next = environment.situation
      try agent.learn(situation, decision, outcome, next: next)
    }
  }
}

private func evaluate(
  _ environment: inout RoadRSUEnvironment, _ agent: inout some Agent<RoadRSUEnvironment>
) throws -> [TaskDecision] {
  environment.beginEpisode(1, phase: .eval)
  agent.beginEpisode(1, phase: .eval)
  var decisions: [TaskDecision] = []
  while let situation = environment.situation {
    decisions.append(try agent.decide(situation, phase: .eval))
    _ = try environment.apply(decisions[decisions.count - 1])
  }
  return decisions
}

private func state(_ agent: some Agent<RoadRSUEnvironment>) throws -> [UInt8] {
  var writer = StateWriter()
  try agent.saveState(to: &writer)
  return writer.bytes
}

private let learners = Registry.roadRSU.filter(\.isLearner)

/// Each learner, and RTD with rounded cuts.
private let cases: [(name: String, given: [String: ParameterValue])] =
  learners.map { ($0.name, [:]) } + [("rtd", ["actions": .text("rounded")])]

@Suite struct RoadLearnerTests {
  private func algorithm(_ name: String) throws -> Algorithm<RoadRSUEnvironment> {
    try #require(learners.first { $0.name == name })
  }

  @Test func resumedTrainingEndsInTheSameBytes() throws {
    for (name, given) in cases {
      let algorithm = try algorithm(name)
      var environment = try roadEnvironment(["releaseRate": .number(0.1)], seed: 3)
      func straight(_ agent: some Agent<RoadRSUEnvironment>) throws -> [UInt8] {
        var agent = agent
        try train(&environment, &agent, episodes: 1...6)
        return try state(agent)
      }
      func interrupted(
        _ first: some Agent<RoadRSUEnvironment>, _ second: some Agent<RoadRSUEnvironment>
      ) throws -> [UInt8] {
        var first = first
        var second = second
        try train(&environment, &first, episodes: 1...3)
        // An evaluation between two training episodes changes nothing.
        _ = try evaluate(&environment, &first)
        var reader = StateReader(try state(first))
        try second.restoreState(from: &reader)
        #expect(reader.isAtEnd)
        #expect(try state(second) == state(first))
        try train(&environment, &second, episodes: 4...6)
        return try state(second)
      }
      let once = try straight(learner(algorithm, environment, given))
      let again = try straight(learner(algorithm, environment, given))
      // Another seed: everything that counts must come out of the saved state.
      let resumed = try interrupted(
        learner(algorithm, environment, given), learner(algorithm, environment, seed: 9, given))
      #expect(once == again, "\(name)")
      #expect(once == resumed, "\(name)")
      let other = try straight(learner(algorithm, environment, seed: 2, given))
      #expect(once != other, "\(name)")
    }
  }

  @Test func aSavedPolicyDecidesTheSame() throws {
    for (name, given) in cases {
      let algorithm = try algorithm(name)
      var environment = try roadEnvironment(["releaseRate": .number(0.1)], seed: 3)
      func check(
        _ trained: some Agent<RoadRSUEnvironment>, _ fresh: some Agent<RoadRSUEnvironment>
      ) throws {
        var trained = trained
        var fresh = fresh
        try train(&environment, &trained, episodes: 1...4)
        var writer = StateWriter()
        try trained.savePolicy(to: &writer)
        let decisions = try evaluate(&environment, &trained)
        #expect(try evaluate(&environment, &fresh) != decisions, "\(name)")
        var reader = StateReader(writer.bytes)
        try fresh.restorePolicy(from: &reader)
        #expect(reader.isAtEnd)
        #expect(try evaluate(&environment, &fresh) == decisions, "\(name)")
        #expect(try evaluate(&environment, &fresh) == decisions, "\(name)")
      }
      try check(
        learner(algorithm, environment, given), learner(algorithm, environment, seed: 9, given))
    }
  }

  @Test func damagedStatesAreRefused() throws {
    for (name, given) in cases {
      let algorithm = try algorithm(name)
      var environment = try roadEnvironment(["releaseRate": .number(0.1)], seed: 3)
      func check(_ agent: some Agent<RoadRSUEnvironment>) throws {
        var agent = agent
        try train(&environment, &agent, episodes: 1...2)
        let bytes = try state(agent)
        var stream = RandomStream(seed: 1, .test)
        for _ in 0..<30 {
          var reader = StateReader(Array(bytes.prefix(stream.index(below: bytes.count))))
          #expect(throws: InputError.self) { try agent.restoreState(from: &reader) }
        }
      }
      try check(learner(algorithm, environment, given))
    }
  }

  @Test func explorationEndsAndLearningIsReported() throws {
    var environment = try roadEnvironment(["releaseRate": .number(0.2)], seed: 3)
    var agent = try DisDQN(
      environment: environment,
      settings: DisDQNSettings(
        ParameterValues(schema: DisDQNSettings.parameters, setting: small["disdqn"] ?? [:])),
      context: AgentContext(seed: 1, episodes: 12))
    var epsilons: [Double] = []
    for episode in 1...6 {
      try train(&environment, &agent, episodes: episode...episode)
      epsilons.append(try #require(agent.statistics.epsilon))
      if episode > 2 { #expect(try #require(agent.statistics.loss) > 0) }
    }
    // From 1 to 0.05 over the first four of twelve episodes.
    #expect(epsilons[0] == 1 && abs(epsilons[2] - 0.525) < 1e-12 && epsilons[5] == 0.05)
  }

  @Test func transitionsAreReplacedInOrder() throws {
    func transition(_ i: Int) -> Transition {
      Transition(
        state: [Float(i), 1], allowed: 9, choice: i, actions: [Float(-i)], reward: Double(i),
        next: i % 2 == 0 ? nil : Transition.Successor(state: [Float(i + 1), 2], allowed: 5))
    }
    var buffer = TransitionBuffer(capacity: 3, stateCount: 2, actionCount: 1)
    for i in 0..<5 { buffer.append(transition(i)) }
    #expect(buffer.count == 3)
    #expect((0..<3).map { buffer[$0] } == [3, 4, 2].map(transition))
  }
}
