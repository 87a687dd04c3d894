import Neural
import Simulation
import Support
import Testing

@testable import Algorithms

/// Conformance of every learner of model 1 in the registry: a new one is tested without a line here.
@Suite struct SingleRSULearnerTests {
  static let names = ["p-qmix", "mad2rl"]

  struct Training {
    var environment: SingleRSUEnvironment
    var agent: any Agent<SingleRSUEnvironment>

    init(
      _ name: String, seed: UInt64 = 3, episodes: Int = 6, _ given: [String: ParameterValue] = [:]
    ) throws {
      let algorithm = try #require(Registry.singleRSU.first { $0.name == name })
      var setting: [String: ParameterValue] = [
        "clients": .integer(2), "serviceVehicles": .integer(2), "slots": .integer(5),
        "dnnTypes": .list([.text("short"), .text("middle")]),
        "hidden": .list([.integer(8), .integer(8)]),
        "batchSize": .integer(4), "warmupEpisodes": .integer(2), "denoisingSteps": .integer(2),
      ]
      setting.merge(given) { $1 }
      let schema = SingleRSUEnvironment.parameters + algorithm.parameters
      let known = Set(schema.map(\.key))
      let values = try ParameterValues(
        schema: schema, setting: setting.filter { known.contains($0.key) })
      environment = try .synthetic(
        parameters: values, profiles: SingleRSUFixture.profiles(), seed: seed)
      agent = try algorithm.make(
        environment, values, AgentContext(seed: seed, episodes: episodes))
    }

    /// Runs an episode; its mean delay in seconds.
    @discardableResult
    mutating func run(_ episode: Int, _ phase: Phase) throws -> Double {
      environment.beginEpisode(episode, phase: phase)
      agent.beginEpisode(episode, phase: phase)
      var delays: [Double] = []
      while !environment.isEpisodeOver {
        let situation = try #require(environment.situation)
        let decision = try agent.decide(situation, phase: phase)
        let outcome = try environment.apply(decision)
        delays += outcome.tasks.map(\.delay)
        if phase == .train {
          try agent.learn(situation, decision, outcome, next: environment.situation)
        }
      }
      return Statistics.mean(delays)
    }

    func state() throws -> [UInt8] {
      var writer = StateWriter()
      try agent.saveState(to: &writer)
      return writer.bytes
    }

    func policy() throws -> [UInt8] {
      var writer = StateWriter()
      try agent.savePolicy(to: &writer)
      return writer.bytes
    }
  }

  @Test(arguments: names)
  func sameSeedGivesTheSameBytesAndAnotherSeedOthers(_ name: String) throws {
    func trained(seed: UInt64) throws -> [UInt8] {
      var training = try Training(name, seed: seed)
      for episode in 0..<4 { try training.run(episode, .train) }
      return try training.state()
    }
    #expect(try trained(seed: 3) == trained(seed: 3))
    #expect(try trained(seed: 3) != trained(seed: 4))
  }

  @Test(arguments: names)
  func resumedTrainingEndsInTheBytesOfAnUninterruptedOne(_ name: String) throws {
    var whole = try Training(name)
    for episode in 0..<6 { try whole.run(episode, .train) }
    for stop in 1..<6 {
      var first = try Training(name)
      for episode in 0..<stop { try first.run(episode, .train) }
      var second = try Training(name)
      var reader = StateReader(try first.state())
      try second.agent.restoreState(from: &reader)
      #expect(reader.isAtEnd)
      for episode in stop..<6 { try second.run(episode, .train) }
      #expect(try second.state() == whole.state(), "interrupted after episode \(stop)")
    }
  }

  @Test(
    .enabled(
      if: (try? Kernels.selected().with(.bf16)) != nil, "this processor has no AVX512-BF16"),
    arguments: ["p-qmix", "mad2rl"])
  func bf16LearnsOtherNumbersAndResumesToTheSameBytes(_ name: String) throws {
    let setting = ["precision": ParameterValue.text("bf16")]
    var whole = try Training(name, setting)
    var plain = try Training(name)
    for episode in 0..<6 {
      try whole.run(episode, .train)
      try plain.run(episode, .train)
    }
    #expect(try whole.policy() != plain.policy())
    for stop in [3, 5] {
      var first = try Training(name, setting)
      for episode in 0..<stop { try first.run(episode, .train) }
      var second = try Training(name, setting)
      var reader = StateReader(try first.state())
      try second.agent.restoreState(from: &reader)
      for episode in stop..<6 { try second.run(episode, .train) }
      #expect(try second.state() == whole.state())
    }
  }

  @Test(arguments: names)
  func evaluationLeavesTrainingUntouchedAndRepeats(_ name: String) throws {
    var plain = try Training(name)
    var evaluated = try Training(name)
    for episode in 0..<5 {
      try plain.run(episode, .train)
      try evaluated.run(episode, .train)
      let delay = try evaluated.run(7, .eval)
      #expect(try evaluated.run(7, .eval) == delay, "episode \(episode)")
    }
    #expect(try plain.state() == evaluated.state())
  }

  @Test(arguments: names)
  func savedPolicyDecidesTheSame(_ name: String) throws {
    var trained = try Training(name)
    for episode in 0..<4 { try trained.run(episode, .train) }
    var other = try Training(name, seed: 3)
    var reader = StateReader(try trained.policy())
    try other.agent.restorePolicy(from: &reader)
    #expect(reader.isAtEnd)
    for episode in 0..<3 {
      #expect(try other.run(episode, .eval) == trained.run(episode, .eval))
    }
    #expect(try trained.policy().count < trained.state().count)
  }

  @Test(arguments: names)
  func policyOfAnotherShapeIsAClearError(_ name: String) throws {
    let trained = try Training(name)
    var other = try Training(name, ["clients": .integer(3)])
    #expect(throws: InputError.self) {
      var reader = StateReader(try trained.policy())
      try other.agent.restorePolicy(from: &reader)
    }
    let bytes = try trained.state()
    for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 50)) {
      var same = try Training(name)
      #expect(throws: InputError.self, "cut to \(count) bytes") {
        var reader = StateReader(Array(bytes.prefix(count)))
        try same.agent.restoreState(from: &reader)
      }
    }
  }

  @Test(arguments: names)
  func nodesOutOfRangeAreNeverChosen(_ name: String) throws {
    // The environment throws if an agent chooses one.
    var training = try Training(name, ["v2vRange": .number(60)])
    for episode in 0..<6 { try training.run(episode, .train) }
    try training.run(0, .eval)
  }

  @Test(arguments: names)
  func sharedNetworksServeClientsOfOneType(_ name: String) throws {
    let types = ParameterValue.list([.text("short"), .text("short"), .text("middle")])
    let setting = ["clients": ParameterValue.integer(3), "dnnTypes": types]
    var shared = try Training(name, setting.merging(["shared": .flag(true)]) { $1 })
    let own = try Training(name, setting)
    #expect(try shared.policy().count < own.policy().count)
    for episode in 0..<3 { try shared.run(episode, .train) }
  }

  /// A task that a learner must solve: all work goes to queues that only some decisions keep short.
  @Test(arguments: names)
  func learnerBeatsRandomDecisions(_ name: String) throws {
    let episodes = 60
    var training = try Training(
      name, episodes: episodes,
      [
        "discount": .number(0), "learningRate": .number(3e-3),
        "hidden": .list([.integer(24), .integer(24)]),
        "batchSize": .integer(16), "slots": .integer(10), "epsilonDecayShare": .number(0.5),
      ])
    let random = try (0..<5).map { try training.run($0, .train) }
    for episode in 5..<episodes { try training.run(episode, .train) }
    let learnt = try (0..<5).map { try training.run($0, .eval) }
    #expect(Statistics.mean(learnt) < 0.8 * Statistics.mean(random))
  }

  /// With N warm-up episodes exactly the first N take no gradient step, and their rewards make the scale.
  @Test(arguments: names, [1, 3])
  func warmUpLastsAsManyEpisodesAsItSays(_ name: String, warmup: Int) throws {
    var training = try Training(name, ["warmupEpisodes": .integer(warmup)])
    var sum = 0.0
    var count = 0
    for episode in 1...5 {
      training.environment.beginEpisode(episode, phase: .train)
      training.agent.beginEpisode(episode, phase: .train)
      while !training.environment.isEpisodeOver {
        let situation = try #require(training.environment.situation)
        let decision = try training.agent.decide(situation, phase: .train)
        let outcome = try training.environment.apply(decision)
        if episode <= warmup {
          sum += abs(outcome.reward)
          count += 1
        }
        try training.agent.learn(situation, decision, outcome, next: training.environment.situation)
      }
      #expect(training.agent.statistics.steps == (episode <= warmup ? 0 : 5))
      #expect((training.agent.statistics.loss == nil) == (episode <= warmup))
    }
    #expect(training.agent.constants["rewardDivisor"] == .number(sum / Double(count)))
  }

  /// The values of a learner's run of 100 episodes after its rule.
  private func settled(
    _ name: String, _ given: [String: ParameterValue]
  ) throws -> ParameterValues {
    let algorithm = try #require(Registry.singleRSU.first { $0.name == name })
    var values = try ParameterValues(
      schema: algorithm.parameters + TrainingRunSettings.parameters,
      setting: given.merging(["episodes": .integer(100)]) { mine, _ in mine })
    try algorithm.settle(&values, Set(given.keys))
    return values
  }

  @Test func printedSetsEveryPrintedChoice() throws {
    let values = try settled("mad2rl", ["printed": .flag(true), "q": .text("softmax")])
    #expect(values.text("prediction") == "epsilon" && values.text("q") == "softmax")
    #expect(values.text("noiseOutput") == "linear" && values.text("mixer") == "printed")
    #expect(values.optionalNumber("clip") == nil)
    #expect(try settled("mad2rl", [:]).text("prediction") == "x0")
    for (key, value) in [
      ("prediction", ParameterValue.text("x0")), ("clip", .number(1)),
      ("mixer", .text("monotonic")),
    ] {
      let error = #expect(throws: InputError.self) {
        try settled("mad2rl", ["printed": .flag(true), key: value])
      }
      #expect(error?.key == key && error?.value == value.text)
    }
  }

  @Test func settingsThatCannotLearnAreRefused() throws {
    for name in ["mad2rl", "p-qmix"] {
      for given in [
        ["warmupEpisodes": 100], ["episodes": 10], ["warmupEpisodes": 7, "episodes": 6],
      ] {
        let error = #expect(throws: InputError.self) {
          try settled(name, given.mapValues { .integer($0) })
        }
        #expect(error?.key == (given["warmupEpisodes"] == nil ? "episodes" : "warmupEpisodes"))
      }
      #expect(try settled(name, ["episodes": .integer(11)]).integer("warmupEpisodes") == 10)
    }
    let error = #expect(throws: InputError.self) {
      try settled("mad2rl", ["betaMax": .number(1000), "prediction": .text("epsilon")])
    }
    #expect(error?.key == "betaMax")
  }
}

@Suite struct LearningPartsTests {
  @Test func epsilonFallsLinearlyAndStays() {
    let schedule = ExplorationSchedule(start: 1, end: 0.05, steps: 100)
    #expect(schedule.epsilon(step: 0) == 1)
    #expect(abs(schedule.epsilon(step: 50) - 0.525) < 1e-15)
    #expect(schedule.epsilon(step: 100) == 0.05)
    #expect(schedule.epsilon(step: 10_000) == 0.05)
    #expect(ExplorationSchedule(start: 1, end: 0.1, steps: 0).epsilon(step: 0) == 0.1)
  }

  @Test func rewardScaleIsTheMeanAbsoluteReward() {
    var scale = RewardScale()
    #expect(scale.divisor == 1)
    scale.add(-4)
    scale.add(2)
    #expect(scale.divisor == 3)
  }

  @Test func replayBufferKeepsTheLastTransitions() throws {
    var buffer = JointReplayBuffer(capacity: 3, agents: 2, stateSize: 2, maskSize: 2)
    for i in 0..<5 {
      let x = Float(i)
      buffer.append(
        state: [x, -x], actions: [i, i + 10], reward: Double(i) * 4, nextState: [x + 1, -x - 1],
        nextAllowed: [i % 2 == 0, true])
    }
    #expect(buffer.count == 3)
    var settings = QMIXSettings(actions: [20, 20], observation: 1)
    settings.training.batchSize = 64
    let batch = JointBatch(settings)
    var stream = RandomStream(seed: 1, .replay)
    buffer.sample(into: batch, rewardScale: 2, using: &stream)
    var seen: Set<Int> = []
    for b in 0..<64 {
      let i = batch.actions[2 * b]
      seen.insert(i)
      #expect(batch.actions[2 * b + 1] == i + 10)
      #expect(batch.states[b, 0] == Float(i) && batch.states[b, 1] == -Float(i))
      #expect(batch.nextStates[b, 0] == Float(i) + 1)
      #expect(batch.rewards[b] == Float(i) * 2)
      #expect(batch.nextAllowed?[2 * b] == (i % 2 == 0))
    }
    #expect(seen == [2, 3, 4])

    var writer = StateWriter()
    buffer.save(to: &writer)
    var copy = JointReplayBuffer(capacity: 3, agents: 2, stateSize: 2, maskSize: 2)
    var reader = StateReader(writer.bytes)
    try copy.restore(from: &reader)
    var second = StateWriter()
    copy.save(to: &second)
    #expect(second.bytes == writer.bytes)
  }
}
