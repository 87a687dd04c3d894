internal import Simulation

/// Every layer on the client vehicle itself.
struct LocalOnly: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "local-only", version: 1, summary: "Every layer on the client vehicle itself."
  ) { _, _, _, _ in LocalOnly() }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    let scenario = situation.scenario
    return SlotDecision(
      cuts: (0..<scenario.clients).map { scenario.layers(ofClient: $0) },
      nodes: [Int](repeating: 0, count: scenario.clients))
  }
}
