internal import Simulation

/// P1's greedy benchmark as worded: the cut with the least data to send, then the node with the shortest queue.
///
/// The cut is the first with the smallest D over phi = 1...L (all local is no cut). Each client in vehicle order
/// looks at the backlogs at the slot's start; at the RSU it sees its own type's queue. Ties go to the first node.
struct Greedy: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "greedy", version: 1,
    summary: "The cut with the least data, the node with the shortest queue (P1 section 8)."
  ) { environment, _, _, _ in Greedy(environment.scenario) }

  /// The cut of each client: data at the cuts does not change.
  private let cuts: [Int]

  init(_ scenario: SingleRSUScenario) {
    cuts = (0..<scenario.clients).map { client in
      let type = scenario.typeOfClient[client]
      let bits = scenario.cutBits[type * scenario.cutStride..<(type + 1) * scenario.cutStride]
        .prefix(scenario.layersOfType[type])
      return bits.indices.min { bits[$0] < bits[$1] }.map { $0 - bits.startIndex } ?? 0
    }
  }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    SlotDecision(
      cuts: cuts, nodes: (0..<cuts.count).map { situation.shortestQueue(client: $0) })
  }
}
