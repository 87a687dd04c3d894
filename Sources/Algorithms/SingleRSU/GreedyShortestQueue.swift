internal import Simulation

/// Every layer at the node with the shortest queue: what fits the published bars of P1's greedy benchmark.
struct GreedyShortestQueue: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "greedy-shortest-queue", version: 1,
    summary: "Every layer at the node with the shortest queue."
  ) { _, _, _, _ in GreedyShortestQueue() }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    let clients = situation.scenario.clients
    return SlotDecision(
      cuts: [Int](repeating: 0, count: clients),
      nodes: (0..<clients).map { situation.shortestQueue(client: $0) })
  }
}
