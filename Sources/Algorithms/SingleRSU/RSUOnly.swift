internal import Simulation

/// Every layer at the RSU.
struct RSUOnly: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "rsu-only", version: 1, summary: "Every layer at the RSU."
  ) { _, _, _, _ in RSUOnly() }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    let nothing = [Int](repeating: 0, count: situation.scenario.clients)
    return SlotDecision(cuts: nothing, nodes: nothing)
  }
}
