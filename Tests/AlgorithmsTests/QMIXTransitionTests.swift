import Neural
import Support
import Testing
import Trace

@testable import Algorithms
@testable import Simulation

/// What QMIX stores and what it learns from it, against numbers worked out by hand.
@Suite struct QMIXTransitionTests {
  /// Two clients at 2 GFLOP/s with a DNN of two layers (1.99999 and 0.99995 GFLOP), one service vehicle.
  ///
  /// "ahead" drives from 100 m at 10 m/s, "behind" from -200 m at 20 m/s, "parked" stands at 50 m.
  private static func environment(_ given: [String: ParameterValue] = [:]) throws
    -> SingleRSUEnvironment
  {
    let window = TraceWindow(
      startTime: 0, slotLength: 1, slots: 3, vehicles: [0, 1, 2],
      names: ["ahead", "behind", "parked"],
      x: [100, -200, 50, 110, -180, 50, 120, -160, 50], y: Array(repeating: 0, count: 9),
      speed: Array(repeating: 0, count: 9))
    let profile = try DNNProfile(
      name: "pair",
      table: CSVTable(
        text: "name,kind,in_features,out_features\none,fc,100000,10000\ntwo,fc,10000,50000\n",
        file: "pair.csv"))
    var setting: [String: ParameterValue] = [
      "clients": .integer(2), "serviceVehicles": .integer(1), "slots": .integer(3),
      "dnnTypes": .list([.text("pair")]),
      "clientCapacity": .list([.number(2), .number(2)]),
      "serviceCapacity": .list([.number(7), .number(7)]),
    ]
    setting.merge(given) { $1 }
    return try SingleRSUEnvironment(
      parameters: ParameterValues(schema: SingleRSUEnvironment.parameters, setting: setting),
      profiles: ["pair": profile], seed: 1,
      windows: EpisodeWindows(train: [window], evaluation: [window]), rsu: (0, 0),
      axis: RoadAxis(originX: 0, originY: 0, directionX: 1, directionY: 0, start: -500, end: 500))
  }

  private static func agent(
    _ name: String, _ environment: SingleRSUEnvironment, _ given: [String: ParameterValue] = [:]
  ) throws -> QMIX {
    let algorithm = try #require(Registry.singleRSU.first { $0.name == name })
    var setting: [String: ParameterValue] = [
      "hidden": .list([.integer(8)]), "batchSize": .integer(64),
    ]
    setting.merge(given) { $1 }
    let agent = try algorithm.make(
      environment, ParameterValues(schema: algorithm.parameters, setting: setting),
      AgentContext(seed: 1, episodes: 10))
    return try #require(agent as? QMIX)
  }

  /// Position over 500 m of each vehicle in each slot; after the last slot they stay where they are.
  private static let places: [String: [Float]] = [
    "ahead": [0.2, 0.22, 0.24, 0.24], "behind": [-0.4, -0.36, -0.32, -0.32],
    "parked": [0.1, 0.1, 0.1, 0.1],
  ]

  /// All local in every slot, so each client's backlog grows by 2.99994 - 2 GFLOP: over 30 GFLOP.
  private static let backlogs: [Float] = [0, 0.033_331_33, 0.066_662_67, 0.099_994]

  /// With V = 10 and two clients of delay d and backlog Q: P = 2 (10 d + Q 0.99994), d = (Q + 2.99994) / 2.
  private static let rewards: [Double] = [-29.9994, -41.998_560_007_2, -53.997_720_014_4]

  private func state(_ slot: Int, _ roles: [String]) -> [Float] {
    let own = QMIXTransitionTests.backlogs[slot]
    return roles.prefix(2).flatMap { client in
      [
        own, 0, 0, QMIXTransitionTests.places[client]![slot],
        QMIXTransitionTests.places[roles[2]]![slot],
      ]
    }
  }

  @Test(arguments: ["p-qmix", "mad2rl"], [ParameterValue.none, .number(1000)])
  func aScriptedEpisodeIsStored(_ name: String, _ v2vRange: ParameterValue) throws {
    var environment = try QMIXTransitionTests.environment(["v2vRange": v2vRange])
    var agent = try QMIXTransitionTests.agent(name, environment)
    environment.beginEpisode(1, phase: .train)
    agent.beginEpisode(1, phase: .train)
    let first = try #require(environment.situation)
    let roles = [
      first.vehicleName(client: 0), first.vehicleName(client: 1), first.vehicleName(node: 1),
    ]
    #expect(Set(roles) == ["ahead", "behind", "parked"])
    // All local is cut 2; the node is of no effect then, but part of the action 2 * 2 + node.
    let script = [[0, 1], [1, 1], [0, 0]]
    for nodes in script {
      let situation = try #require(environment.situation)
      let decision = SlotDecision(cuts: [2, 2], nodes: nodes)
      let outcome = try environment.apply(decision)
      try agent.learn(situation, decision, outcome, next: environment.situation)
    }
    #expect(environment.isEpisodeOver)
    #expect(agent.buffer.count == 3)

    var shape = QMIXSettings(actions: [6, 6], observation: 5)
    shape.training.batchSize = 64
    let batch = JointBatch(shape)
    var stream = RandomStream(seed: 1, .test)
    agent.buffer.sample(into: batch, rewardScale: 2, using: &stream)
    var seen: Set<Int> = []
    for b in 0..<64 {
      let reward = Double(batch.rewards[b]) * 2
      let slot = try #require(
        QMIXTransitionTests.rewards.firstIndex { abs($0 - reward) < 1e-4 }, "reward \(reward)")
      seen.insert(slot)
      func close(_ a: [Float], _ b: [Float]) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) < 1e-6 }
      }
      #expect(close(batch.states.row(b), state(slot, roles)), "slot \(slot)")
      #expect(close(batch.nextStates.row(b), state(slot + 1, roles)), "slot \(slot)")
      #expect(Array(batch.actions[2 * b..<2 * b + 2]) == script[slot].map { 4 + $0 })
      // The end of an episode is a truncation.
      #expect(batch.bootstrap[b] == 1)
    }
    #expect(seen == [0, 1, 2])
    #expect(batch.nextAllowed == (v2vRange == .none ? nil : Array(repeating: true, count: 768)))
    #expect(
      abs(agent.rewardDivisor - (29.9994 + 41.998_560_007_2 + 53.997_720_014_4) / 3) < 1e-9)
  }

  /// A task of two steps: from the start, action 0 pays nothing now and 1 a step later, action 1 pays a half at once and
  /// nothing later; both lead back to the start.
  ///
  /// With discount 0.9 the value of the start is v = 0.9 (1 + 0.9 v), so v = 0.9 / 0.19, and action 1 is worth
  /// 0.5 + 0.81 v; with discount 0 they are worth 0 and 0.5.
  @Test(arguments: [false, true], [0, 0.9]) func theTaskOfTwoStepsIsSolved(
    _ isDiffusing: Bool, _ discount: Double
  ) throws {
    let (start, paid, empty): ([Float], [Float], [Float]) = ([1, 0, 0], [0, 1, 0], [0, 0, 1])
    var shape = QMIXSettings(actions: [2], observation: 3)
    shape.training.hidden = [16]
    shape.training.batchSize = 32
    shape.training.learningRate = 0.01
    shape.training.softUpdate = 0.05
    shape.training.discount = discount
    shape.hyperHidden = [8]
    shape.mixerEmbedding = 4
    if isDiffusing {
      var diffusion = Diffusion()
      diffusion.steps = 2
      shape.diffusion = diffusion
    }
    var buffer = JointReplayBuffer(capacity: 8, agents: 1, stateSize: 3, maskSize: 0)
    for (state, action, reward, next) in [
      (start, 0, 0.0, paid), (start, 1, 0.5, empty), (paid, 0, 1.0, start), (paid, 1, 1.0, start),
      (empty, 0, 0.0, start), (empty, 1, 0.0, start),
    ] {
      buffer.append(
        state: state, actions: [action], reward: reward, nextState: next, nextAllowed: [])
    }
    var stream = RandomStream(seed: 4, .test)
    let core = try QMIXCore(shape, kernels: .selected(), using: &stream)
    let batch = JointBatch(shape)
    var noise = NoiseStream(seed: 5)
    var sums = (value: 0.0, count: 0.0)
    for step in 0..<2500 {
      buffer.sample(into: batch, rewardScale: 1, using: &stream)
      let result = core.trainStep(batch, noise: &noise)
      if step >= 2300 { sums = (sums.value + result.meanQ, sums.count + 1) }
    }
    let action = core.greedyAction(agent: 0, observation: start, noise: &noise)
    #expect(action == (discount == 0 ? 1 : 0))
    let value = discount == 0 ? 0 : 0.9 / 0.19
    let start1 = 0.5 + discount * discount * value
    // Mean over the six transitions; at discount 0 the start's own value is that of its reward.
    let mean = (value + start1 + 2 * (1 + discount * value) + 2 * discount * value) / 6
    #expect(abs(sums.value / sums.count - mean) < 0.05 + 0.03 * mean, "\(sums) not \(mean)")
  }
}
