import Support
import Testing
import Trace

@testable import Algorithms
@testable import Simulation

/// A network of two fully connected layers: 2,999,995,000 FLOP on 9.6 Mbit, then 6,999,300,000 FLOP on 160 kbit.
private let pair = """
  name,kind,in_features,out_features
  first,fc,300000,5000
  second,fc,5000,700000
  """

/// 2 km of road with RSUs at -250 m and 250 m; one vehicle that stands at 0 m.
private func environment() throws -> RoadRSUEnvironment {
  let parameters = try ParameterValues(
    schema: RoadRSUEnvironment.parameters,
    setting: [
      "dnnTypes": .list([.text("pair")]), "vehicles": .integer(1), "slots": .integer(10),
      "rsuCount": .integer(2),
    ])
  let profile = try DNNProfile(name: "pair", table: CSVTable(text: pair, file: "pair.csv"))
  let window = TraceWindow(
    startTime: 0, slotLength: 0.1, slots: 10, vehicles: [0], names: ["car"],
    x: Array(repeating: 0, count: 10), y: Array(repeating: 0, count: 10),
    speed: Array(repeating: 0, count: 10))
  return try RoadRSUEnvironment(
    parameters: parameters, profiles: ["pair": profile], seed: 1,
    axis: RoadAxis(
      originX: 0, originY: 0, directionX: 1, directionY: 0, start: -1000, end: 1000),
    windows: [window])
}

private func learner<Learner: Agent>(
  _ type: Learner.Type, _ algorithm: Algorithm<RoadRSUEnvironment>,
  _ given: [String: ParameterValue], seed: UInt64 = 1
) throws -> Learner {
  let agent = try algorithm.make(
    environment(), ParameterValues(schema: algorithm.parameters, setting: given),
    AgentContext(seed: seed, episodes: 100))
  return try #require(agent as? Learner)
}

/// An RSU 100 m per number away, at 16 Mbit/s per number; an empty queue, or ten tasks and e^2 - 1 s of waiting.
private func link(_ rsu: Int, busy: Bool = false) -> RSULink {
  RSULink(
    rsu: rsu, distance: 100 * Double(rsu), along: -50 * Double(rsu), fading: 1,
    rate: 16e6 * Double(rsu), queueWait: busy ? 6.389056098930650 : 0,
    queueLength: busy ? 10 : 0, broadcastWait: 0)
}

private func situation(
  at along: Double, alpha: Double = 1, links: [RSULink], diverted: Int? = 0
) -> TaskSituation {
  TaskSituation(
    along: along, speed: 15, type: 0, deadline: 1.2 * 9_999_295_000 / 3e9, battery: 1 / alpha,
    alpha: alpha, links: links, diverted: links.isEmpty ? nil : diverted)
}

/// The numbers of the observation, by hand: along / 1000 m, speed / 30 m/s, one-hot DNN, deadline as a share of
/// the longest, α / 3, 3 GHz and 7 GHz over 10 GHz, ln(1 + own processor's wait).
private func request(_ along: Float, alpha: Float = 1) -> [Float] {
  [along / 1000, 0.5, 1, 1, alpha / 3, 0.3, 0.7, 0]
}

/// In range, along / 500 m, distance / 500 m, rate / 200 Mbit/s, ln(1 + wait), ln(1 + length).
private let firstLink: [Float] = [1, -0.1, 0.2, 0.08, 0, 0]
private let secondLink: [Float] = [1, -0.2, 0.4, 0.16, 0, 0]
private let secondBusy: [Float] = [1, -0.2, 0.4, 0.16, 2, 2.3978953]
private let outOfRange: [Float] = [0, 0, 0, 0, 0, 0]

/// One request of a script, the decision on it and its cost.
private struct Scripted {
  var situation: TaskSituation
  var cut: Int
  var rsu: Int
  var drawn: [Float] = []
  var cost: Double
}

extension Agent where Model == RoadRSUEnvironment {
  /// Learns from an episode in which everything that happened is given.
  fileprivate mutating func learn(
    _ script: [Scripted], episode: Int, model: TaskModel
  ) throws {
    beginEpisode(episode, phase: .train)
    for (i, task) in script.enumerated() {
      let decision = TaskDecision(
        cut: task.cut, rsu: task.rsu, vehicleFrequency: 3e9, rsuFrequency: 7e9,
        drawn: task.drawn)
      var costs = try model.cost(of: decision, in: task.situation)
      costs.cost = task.cost
      try learn(
        task.situation, decision,
        DecidedTask(
          situation: task.situation, decision: decision, costs: costs, vehicleName: "car",
          dnn: "pair", link: task.situation.link(to: task.rsu), meanQueueLength: 0),
        next: i + 1 < script.count ? script[i + 1].situation : nil)
    }
  }
}

@Suite struct RTDTransitionTests {
  /// Two episodes: requests at RSU 1, 2, 1, out of range, 2; then at RSU 1 twice.
  private let first = [
    Scripted(
      situation: situation(at: 100, links: [link(1), link(2)]), cut: 0, rsu: 1,
      drawn: [0.5, -0.25], cost: 2),
    Scripted(
      situation: situation(at: 200, alpha: 3, links: [link(1), link(2)], diverted: 1), cut: 2,
      rsu: 0, drawn: [-1, 0.75], cost: 3),
    Scripted(
      situation: situation(at: 300, links: [link(1)]), cut: 1, rsu: 1, drawn: [0, 0.125], cost: 5),
    Scripted(situation: situation(at: 400, links: []), cut: 2, rsu: 0, cost: 100),
    Scripted(
      situation: situation(at: 500, links: [link(1), link(2, busy: true)], diverted: 1), cut: 0,
      rsu: 2, drawn: [0.25, 1], cost: 7),
  ]
  private let second = [
    Scripted(
      situation: situation(at: 600, links: [link(1)]), cut: 2, rsu: 0, drawn: [1, 1], cost: 11),
    Scripted(
      situation: situation(at: 700, links: [link(1)]), cut: 1, rsu: 1, drawn: [-0.5, 0], cost: 13),
  ]

  private func stored(_ given: [String: ParameterValue]) throws -> [Transition] {
    var agent = try learner(RTD.self, RTD.algorithm, given)
    let model = try environment().model
    try agent.learn(first, episode: 1, model: model)
    try agent.learn(second, episode: 2, model: model)
    return (0..<agent.buffer.count).map { agent.buffer[$0] }
  }

  @Test func withADiscountATransitionLeadsToTheNextRequestAtTheSameRSU() throws {
    let stored = try stored(["discount": .number(0.99), "rewardBaseline": .text("none")])
    #expect(
      stored == [
        Transition(
          state: request(100) + firstLink, allowed: 3, choice: 0, actions: [0.5, -0.25], reward: -2,
          next: .init(state: request(300) + firstLink, allowed: 3)),
        Transition(
          state: request(200, alpha: 3) + secondLink, allowed: 3, choice: 2, actions: [-1, 0.75],
          reward: -3, next: .init(state: request(500) + secondBusy, allowed: 3)),
        Transition(
          state: request(600) + firstLink, allowed: 3, choice: 2, actions: [1, 1], reward: -11,
          next: .init(state: request(700) + firstLink, allowed: 3)),
      ])
  }

  @Test func withoutADiscountEveryRequestIsATransitionByItself() throws {
    let stored = try stored(["discount": .number(0), "rewardBaseline": .text("none")])
    #expect(stored.map(\.reward) == [-2, -3, -5, -7, -11, -13])
    #expect(stored.map(\.choice) == [0, 2, 1, 0, 2, 1])
    #expect(
      stored.map(\.actions) == [
        [0.5, -0.25], [-1, 0.75], [0, 0.125], [0.25, 1], [1, 1], [-0.5, 0],
      ])
    #expect(stored.allSatisfy { $0.next == nil })
    #expect(stored[3].state == request(500) + secondBusy)
  }

  @Test func theBaselineIsTheCostOfRunningLocally() throws {
    // 9.999295 GFLOP at 3 GHz: 3.3330983... s and 899.93655 J, times α and 3e-4 s/J.
    let stored = try stored(["rewardBaseline": .text("local")])
    let local = { (alpha: Double) in 9_999_295_000 / 3e9 + 3e-4 * alpha * 899.93655 }
    let expected = [
      local(1) - 2, local(3) - 3, local(1) - 5, local(1) - 7, local(1) - 11, local(1) - 13,
    ]
    for (transition, expected) in zip(stored, expected) {
      #expect(abs(transition.reward - expected) < 1e-12)
    }
  }

  @Test func roundedActionsStoreAllThreeGaussians() throws {
    var agent = try learner(
      RTD.self, RTD.algorithm, ["actions": .text("rounded"), "rewardBaseline": .text("none")])
    var script = first
    script.removeAll { $0.situation.links.isEmpty }
    for i in script.indices { script[i].drawn.append(0.25 * Float(i)) }
    try agent.learn(script, episode: 1, model: environment().model)
    #expect(agent.buffer.count == 4)
    #expect(agent.buffer[1].actions == [-1, 0.75, 0.25])
    #expect(agent.buffer[1].choice == 0 && agent.buffer[1].allowed == 1)
  }

  @Test func rewardsAreScaledByTheMomentsOfTheWarmUp() throws {
    var agent = try learner(
      RTD.self, RTD.algorithm,
      [
        "rewardBaseline": .text("none"), "warmupTasks": .integer(4), "batchSize": .integer(4),
        "hidden": .list([.integer(8)]),
      ])
    try agent.learn(first, episode: 1, model: environment().model)
    // -2, -3, -5, -7: mean -4.25, sum of squares 14.75, over 3.
    let deviation = (14.75 / 3).squareRoot()
    #expect(agent.rewardScale.means == [-4.25])
    #expect(abs(agent.rewardScale.deviations[0] - deviation) < 1e-12)
    #expect(abs(Double(agent.rewardScale.scaled(-4.25 + deviation, type: 0)) - 1) < 1e-6)
    #expect(agent.statistics.steps == 1)
    #expect(
      agent.constants["rewards"]
        == .list([
          .object([
            "mean": .number(-4.25), "deviation": .number(agent.rewardScale.deviations[0]),
          ])
        ]))
  }
}

@Suite struct DisDQNTransitionTests {
  /// The nearest RSU decides; the links of the script are such that this is the first of them.
  private let first = [
    Scripted(situation: situation(at: 100, links: [link(1), link(2)]), cut: 1, rsu: 2, cost: 2),
    Scripted(situation: situation(at: 200, links: [link(2)]), cut: 2, rsu: 0, cost: 3),
    Scripted(situation: situation(at: 300, links: [link(1)]), cut: 0, rsu: 1, cost: 5),
    Scripted(situation: situation(at: 400, links: []), cut: 2, rsu: 0, cost: 100),
    Scripted(
      situation: situation(at: 500, alpha: 3, links: [link(2, busy: true)]), cut: 0, rsu: 2,
      cost: 7),
  ]

  @Test func withADiscountATransitionLeadsToTheNextRequestAtTheSameRSU() throws {
    var agent = try learner(
      DisDQN.self, DisDQN.algorithm,
      ["discount": .number(0.99), "rewardBaseline": .text("none")])
    try agent.learn(first, episode: 1, model: environment().model)
    // Actions: RSU times 3 plus cut, RSUs counted from 0; a local task is the last cut of the RSU that decided.
    #expect(
      agent.buffers.map { buffer in (0..<buffer.count).map { buffer[$0] } } == [
        [
          Transition(
            state: request(100) + firstLink + secondLink, allowed: 3, choice: 4, reward: -2,
            next: .init(state: request(300) + firstLink + outOfRange, allowed: 3))
        ],
        [
          Transition(
            state: request(200) + outOfRange + secondLink, allowed: 3, choice: 5, reward: -3,
            next: .init(state: request(500, alpha: 3) + outOfRange + secondBusy, allowed: 3))
        ],
      ])
    // What follows in another episode is not what followed.
    try agent.learn(Array(first.prefix(1)), episode: 2, model: environment().model)
    #expect(agent.buffers.map(\.count) == [1, 1])
  }

  @Test func withoutADiscountEveryRequestIsATransitionByItself() throws {
    var agent = try learner(DisDQN.self, DisDQN.algorithm, ["rewardBaseline": .text("none")])
    try agent.learn(first, episode: 1, model: environment().model)
    let stored = agent.buffers.map { buffer in (0..<buffer.count).map { buffer[$0] } }
    #expect(stored[0].map(\.reward) == [-2, -5] && stored[1].map(\.reward) == [-3, -7])
    #expect(stored[0].map(\.choice) == [4, 0] && stored[1].map(\.choice) == [5, 3])
    #expect(stored.joined().allSatisfy { $0.next == nil })
  }

  @Test func rewardsAreScaledByTheMomentsOfEachRSUsWarmUp() throws {
    var agent = try learner(
      DisDQN.self, DisDQN.algorithm,
      [
        "rewardBaseline": .text("none"), "warmupTasks": .integer(2), "batchSize": .integer(2),
        "hidden": .list([.integer(8)]),
      ])
    try agent.learn(first, episode: 1, model: environment().model)
    #expect(agent.scales.map(\.means) == [[-3.5], [-5]])
    #expect(abs(agent.scales[0].deviations[0] - 4.5.squareRoot()) < 1e-12)
    #expect(abs(agent.scales[1].deviations[0] - 8.0.squareRoot()) < 1e-12)
  }
}

/// Two requests in an episode, and one that ends the second's transition. Sending the first task away is free, but
/// then the second one finds a queue and costs 10; keeping it costs 1, and the second one nothing.
///
/// Only a learner whose values hold what follows keeps the first task; with discount 0 it is sent away.
@Suite struct TwoStepTests {
  private let start = situation(at: -500, links: [link(1)])

  /// - Parameters:
  ///   - cut: Of the first task.
  ///   - second: Cut of the second task, which changes nothing.
  ///   - drawn: The continuous actions, which change nothing.
  private func episode(cut: Int, second: Int, drawn: [Float]) -> [Scripted] {
    let isSent = cut < 2
    var busy = link(1)
    busy.queueWait = isSent ? 6.4 : 0
    busy.queueLength = isSent ? 10 : 0
    return [
      Scripted(
        situation: start, cut: cut, rsu: isSent ? 1 : 0, drawn: drawn,
        cost: isSent ? 0 : 1),
      Scripted(
        situation: situation(at: 0, links: [busy]), cut: second, rsu: second < 2 ? 1 : 0,
        drawn: drawn,
        cost: isSent ? 10 : 0),
      Scripted(
        situation: situation(at: 500, links: [link(1)]), cut: 2, rsu: 0, drawn: drawn, cost: 0),
    ]
  }

  private func isSent<Learner: Agent<RoadRSUEnvironment>>(
    _ type: Learner.Type, _ algorithm: Algorithm<RoadRSUEnvironment>, discount: Double,
    _ given: [String: ParameterValue], continuous: Int
  ) throws -> Bool {
    var setting = given
    setting["discount"] = .number(discount)
    setting["rewardBaseline"] = .text("none")
    setting["learningRate"] = .number(0.003)
    setting["softUpdate"] = .number(0.05)
    setting["batchSize"] = .integer(32)
    setting["warmupTasks"] = .integer(200)
    setting["hidden"] = .list([.integer(24)])
    var agent = try learner(Learner.self, algorithm, setting)
    let model = try environment().model
    var stream = RandomStream(seed: 4, .test)
    for episode in 1...450 {
      let drawn = (0..<continuous).map { _ in Float(stream.uniform(-1, 1)) }
      try agent.learn(
        self.episode(
          cut: stream.index(below: 3), second: stream.index(below: 3), drawn: drawn),
        episode: episode, model: model)
    }
    return try agent.decide(start, phase: .eval).cut < 2
  }

  @Test func disDQNBootstraps() throws {
    func isSent(_ discount: Double) throws -> Bool {
      try self.isSent(
        DisDQN.self, DisDQN.algorithm, discount: discount,
        ["gradientClip": .none], continuous: 0)
    }
    #expect(try isSent(0))
    #expect(try !isSent(0.99))
  }

  @Test func rtdBootstraps() throws {
    func isSent(_ discount: Double) throws -> Bool {
      try self.isSent(
        RTD.self, RTD.algorithm, discount: discount, ["cutEntropy": .number(0)], continuous: 2)
    }
    #expect(try isSent(0))
    #expect(try !isSent(0.99))
  }
}

@Suite struct RewardStandardisationTests {
  private func scale(discount: Double) -> RewardStandardisation {
    var buffer = TransitionBuffer(capacity: 9, stateCount: 1, actionCount: 0)
    // Rewards of type 0: 1, 3, 5; of type 1: 10, 30; of type 2: a single one.
    for (type, reward) in [(0, 1.0), (1, 10), (0, 3), (0, 5), (1, 30), (2, 11)] {
      buffer.append(Transition(state: [0], type: type, allowed: 1, choice: 0, reward: reward))
    }
    var scale = RewardStandardisation(types: 3, discount: discount)
    scale.fix(by: buffer)
    return scale
  }

  @Test func withoutADiscountEveryTypeHasItsMoments() {
    let scale = scale(discount: 0)
    #expect(scale.scaled(3, type: 0) == 0 && scale.scaled(5, type: 0) == 1)
    #expect(scale.scaled(20, type: 1) == 0)
    #expect(abs(scale.scaled(20 + 200.0.squareRoot(), type: 1) - 1) < 1e-6)
    // A single reward has no deviation: the moments of all six, whose mean is 10.
    #expect(scale.means[2] == 10 && scale.scaled(10, type: 2) == 0)
  }

  @Test func withADiscountOnePairServesAll() {
    let scale = scale(discount: 0.5)
    #expect(scale.means == [10])
    // Squares of -9, 0, -7, -5, 20, 1: 556 over 5.
    #expect(abs(scale.deviations[0] - 111.2.squareRoot()) < 1e-12)
    #expect((0..<3).map { scale.scaled(10, type: $0) } == [0, 0, 0])
  }
}

@Suite struct TrainingLengthTests {
  private func settled(
    _ given: [String: ParameterValue], rate: Double = 0.05, seed: Int = 1
  ) throws -> Int {
    let episodes = Parameter(
      "episodes", .integer(1...10_000_000), default: .integer(1000), source: "test", "Test.")
    let seedParameter = Parameter(
      "seed", .integer(0...Int.max), default: .integer(1), source: "test", "Test.")
    var setting = given
    setting["releaseRate"] = .number(rate)
    setting["seed"] = .integer(seed)
    var values = try ParameterValues(
      schema: RoadRSUEnvironment.parameters + RTDSettings.parameters + [episodes, seedParameter],
      setting: setting)
    try RTD.algorithm.settle(&values, Set(given.keys))
    return values.integer("episodes")
  }

  @Test func trainingEndsWithTheEpisodeThatReachesTheTasks() throws {
    for seed in 1...3 {
      let episodes = try settled(["trainingTasks": .integer(2000)], seed: seed)
      var environment = try roadEnvironment(seed: UInt64(seed))
      var counts: [Int] = []
      for episode in 1...episodes {
        environment.beginEpisode(episode, phase: .train)
        var count = 0
        while let situation = environment.situation {
          _ = try environment.apply(environment.model.local(situation))
          count += 1
        }
        counts.append(count)
      }
      #expect(counts.reduce(0, +) >= 2000)
      #expect(counts.dropLast().reduce(0, +) < 2000)
    }
  }

  @Test func withoutItEpisodesStay() throws {
    #expect(try settled([:]) == 1000)
    #expect(try settled(["episodes": .integer(7)]) == 7)
  }

  @Test func lengthsThatCannotBeAreRefused() {
    func key(_ given: [String: ParameterValue], rate: Double = 0.05) -> String? {
      do {
        _ = try settled(given, rate: rate)
        return nil
      } catch { return (error as? InputError)?.key }
    }
    #expect(key(["trainingTasks": .integer(4000), "episodes": .integer(100)]) == "trainingTasks")
    #expect(key(["trainingTasks": .integer(1024)]) == "trainingTasks")
    #expect(key(["replayCapacity": .integer(1000)]) == "replayCapacity")
    #expect(key(["trainingTasks": .integer(4000)], rate: 0) == "releaseRate")
    #expect(key(["trainingTasks": .integer(4000)], rate: 1e-7) == "releaseRate")
  }
}
