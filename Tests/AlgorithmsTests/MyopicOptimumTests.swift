import Foundation
import Simulation
import Support
import Testing

@testable import Algorithms

/// A random situation that no episode needs to produce: all orders of magnitude of waits and rates.
private func randomSituation(
  _ model: TaskModel, using stream: inout RandomStream
) -> TaskSituation {
  let type = stream.index(below: model.types.count)
  let battery = stream.uniform(0.05, 1)
  let links = (0..<stream.index(below: 4)).map { index in
    RSULink(
      rsu: index + 1, distance: stream.uniform(4, 500), along: 0, fading: 1,
      rate: pow(10, stream.uniform(6.5, 8.7)),
      queueWait: stream.index(below: 4) == 0 ? 0 : pow(10, stream.uniform(-1, 1.2)),
      queueLength: 1, broadcastWait: 0)
  }
  return TaskSituation(
    type: type,
    // From hopeless to generous.
    deadline: model.types[type].deadline * pow(10, stream.uniform(-0.7, 0.5)), battery: battery,
    alpha: TaskConstants.batteryCoefficient(battery),
    localWait: stream.index(below: 3) == 0 ? stream.uniform(0, 4) : 0, links: links,
    diverted: links.isEmpty ? nil : 0)
}

private let settings: [[String: ParameterValue]] = [
  [:], ["beta": .number(1e-2)], ["beta": .number(1e-4)], ["beta": .number(0)],
  ["missedPenalty": .none, "beta": .number(3e-3)], ["missedPenalty": .number(0.3)],
  ["kappa": .number(0)], ["missedPenalty": .number(1e6), "beta": .number(0.1)],
]

@Suite struct MyopicOptimumTests {
  /// The least cost over frequencies of a cut and an RSU, by a grid that is refined around its best point.
  private func gridSearch(
    _ model: TaskModel, _ situation: TaskSituation, cut: Int, link: RSULink?
  ) -> Double {
    let constants = model.constants
    let cuts = model.types[situation.type].cuts
    let local = cuts.localFLOP[cut]
    let remote = cuts.remoteFLOP[cut]
    func cost(_ vehicle: Double, _ server: Double) -> Double {
      model.cost(
        of: situation, cut: cut, link: link, vehicleFrequency: vehicle, rsuFrequency: server
      ).cost
    }
    // All frequencies from 1/200 of the greatest on, in six rounds of finer steps.
    var best = (cost: Double.infinity, vehicle: 1.0, server: 1.0)
    var low = (vehicle: 0.005, server: 0.005)
    var high = (vehicle: 1.0, server: 1.0)
    for _ in 0..<6 {
      let steps = 40
      for i in 0...(local > 0 ? steps : 0) {
        let vehicle =
          local > 0
          ? low.vehicle + (high.vehicle - low.vehicle) * Double(i) / Double(steps) : 1
        for j in 0...(remote > 0 ? steps : 0) {
          let server =
            remote > 0 ? low.server + (high.server - low.server) * Double(j) / Double(steps) : 1
          let value = cost(
            vehicle * constants.vehicleFrequency, server * constants.rsuFrequency)
          if value < best.cost { best = (value, vehicle, server) }
        }
      }
      let width = (
        vehicle: (high.vehicle - low.vehicle) / 8, server: (high.server - low.server) / 8
      )
      low = (max(0.005, best.vehicle - width.vehicle), max(0.005, best.server - width.server))
      high = (min(1, best.vehicle + width.vehicle), min(1, best.server + width.server))
    }
    return best.cost
  }

  @Test(arguments: settings) func equalsAFineGridSearch(
    _ given: [String: ParameterValue]
  ) throws {
    let model = try roadEnvironment(given).model
    let agent = MyopicOptimum(model: model)
    var stream = RandomStream(seed: 11, .test)
    for round in 0..<8 {
      let situation = randomSituation(model, using: &stream)
      let cost = try model.cost(of: agent.decide(situation, phase: .eval), in: situation).cost
      let layers = model.types[situation.type].layers
      var least = gridSearch(model, situation, cut: layers, link: nil)
      for link in situation.links.prefix(1) {
        for cut in stride(from: 0, to: layers, by: 2) {
          least = min(least, gridSearch(model, situation, cut: cut, link: link))
        }
      }
      #expect(cost <= least * (1 + 1e-9), "round \(round): \(situation)")
    }
  }

  @Test(arguments: settings) func isAttainedByTheGrid(_ given: [String: ParameterValue]) throws {
    // The other direction: on its own cut and RSU the grid comes within 1e-3 of it.
    let model = try roadEnvironment(given).model
    let agent = MyopicOptimum(model: model)
    var stream = RandomStream(seed: 12, .test)
    for round in 0..<40 {
      let situation = randomSituation(model, using: &stream)
      let decision = agent.decide(situation, phase: .eval)
      let cost = try model.cost(of: decision, in: situation).cost
      let grid = gridSearch(
        model, situation, cut: decision.cut, link: situation.link(to: decision.rsu))
      #expect(abs(grid - cost) <= 1e-3 * cost, "round \(round): \(grid) \(cost) \(situation)")
    }
  }

  @Test(arguments: settings) func noOtherDecisionIsCheaper(
    _ given: [String: ParameterValue]
  ) throws {
    let model = try roadEnvironment(given).model
    let agent = MyopicOptimum(model: model)
    for seed in 1...150 as ClosedRange<UInt64> {
      var stream = RandomStream(seed: seed, .test)
      let situation = randomSituation(model, using: &stream)
      let own = agent.decide(situation, phase: .eval)
      let cost = try model.cost(of: own, in: situation).cost
      let layers = model.types[situation.type].layers
      func check(_ decision: TaskDecision) throws {
        let other = try model.cost(of: decision, in: situation).cost
        #expect(cost <= other * (1 + 1e-10), "seed \(seed): \(own) \(decision) \(situation)")
      }
      for _ in 0..<200 {
        let cut = situation.links.isEmpty ? layers : stream.index(below: layers + 1)
        let rsu =
          cut == layers ? 0 : situation.links[stream.index(below: situation.links.count)].rsu
        try check(
          TaskDecision(
            cut: cut, rsu: rsu, vehicleFrequency: 3e9 * (1 - stream.uniform()),
            rsuFrequency: 7e9 * (1 - stream.uniform())))
      }
      // Small moves from the optimum itself.
      for factor in [0.9, 0.99, 0.999, 0.99999, 1.00001, 1.001, 1.01, 1.1] {
        for other in [1, factor, 1 / factor] {
          try check(
            TaskDecision(
              cut: own.cut, rsu: own.rsu,
              vehicleFrequency: min(3e9, own.vehicleFrequency * factor),
              rsuFrequency: min(7e9, own.rsuFrequency * other)))
          try check(
            TaskDecision(
              cut: own.cut, rsu: own.rsu, vehicleFrequency: min(3e9, own.vehicleFrequency * other),
              rsuFrequency: min(7e9, own.rsuFrequency * factor)))
        }
      }
    }
  }

  @Test func noAlgorithmIsCheaperInTheSameSituation() throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      for rate in [0.05, 0.4] {
        var environment = try roadEnvironment(["releaseRate": .number(rate)], seed: seed)
        var agents = try Registry.roadRSU.map {
          try $0.make(environment, ParameterValues(schema: $0.parameters), AgentContext(seed: seed))
        }
        let optimum = MyopicOptimum(model: environment.model)
        environment.beginEpisode(0, phase: .eval)
        for i in agents.indices { agents[i].beginEpisode(0, phase: .eval) }
        var turn = 0
        while let situation = environment.situation {
          let least = try environment.model.cost(
            of: optimum.decide(situation, phase: .eval), in: situation
          ).cost
          var decisions: [TaskDecision] = []
          for i in agents.indices {
            let decision = try agents[i].decide(situation, phase: .eval)
            let cost = try environment.model.cost(of: decision, in: situation).cost
            #expect(
              least <= cost * (1 + 1e-10),
              "seed \(seed), task \(situation.task): \(Registry.roadRSU[i].name)")
            decisions.append(decision)
          }
          _ = try environment.apply(decisions[turn % decisions.count])
          turn += 1
        }
        #expect(turn > 20)
      }
    }
  }
}
