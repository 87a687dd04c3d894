internal import Simulation
internal import Support

/// Cut and node uniformly at random, over the nodes that a client may choose.
struct RandomAgent: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "random", version: 1, summary: "Cut and node uniformly at random."
  ) { _, _, seed, _ in RandomAgent(seed: seed) }

  private let field: RandomField
  private var stream: RandomStream

  init(seed: UInt64) {
    field = RandomField(seed: seed, .policy)
    stream = field.stream(0)
  }

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    stream = field.stream(phase == .train ? 1 : 2, episode)
  }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    let scenario = situation.scenario
    var decision = SlotDecision(cuts: [], nodes: [])
    for client in 0..<scenario.clients {
      guard situation.tasks[client] else {
        decision.cuts.append(0)
        decision.nodes.append(0)
        continue
      }
      decision.cuts.append(stream.index(below: scenario.layers(ofClient: client) + 1))
      var node = stream.index(below: scenario.nodes)
      while !situation.allows(client: client, node: node) {
        node = stream.index(below: scenario.nodes)
      }
      decision.nodes.append(node)
    }
    return decision
  }
}
