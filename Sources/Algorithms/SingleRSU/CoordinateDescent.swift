internal import Simulation
internal import Support

struct CoordinateDescentSettings: Settings {
  @Setting(1...1000, source: "ours", "Starts: all local, all at the RSU, then random decisions.")
  var starts = 4
}

/// Local minimum of P: clients take their best responses in turn until none gains, from several starts.
struct CoordinateDescent: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "coordinate-descent", version: 1,
    summary: "Best response of one client at a time on P, to convergence, from several starts.",
    settings: CoordinateDescentSettings.self
  ) { environment, settings, context in
    CoordinateDescent(
      scenario: environment.scenario, starts: settings.starts, seed: context.seed)
  }

  private let starts: Int
  private var objective: SlotObjective
  private let field: RandomField
  private var stream: RandomStream

  init(scenario: SingleRSUScenario, starts: Int, seed: UInt64) {
    self.starts = starts
    objective = SlotObjective(scenario: scenario)
    field = RandomField(seed: seed, .search)
    stream = field.stream(0)
  }

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    stream = field.stream(phase == .train ? 1 : 2, episode)
  }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    objective.prepare(situation)
    var best = start(0)
    var bestValue = objective.descend(&best)
    for number in 1..<starts {
      var decision = start(number)
      let value = objective.descend(&decision)
      if value < bestValue {
        bestValue = value
        best = decision
      }
    }
    return best
  }

  private mutating func start(_ number: Int) -> SlotDecision {
    let scenario = objective.scenario
    let zeros = [Int](repeating: 0, count: scenario.clients)
    switch number {
    case 0:
      let layers = zeros.indices.map { scenario.layers(ofClient: $0) }
      return SlotDecision(cuts: layers, nodes: zeros)
    case 1:
      return SlotDecision(cuts: zeros, nodes: zeros)
    default:
      var decision = SlotDecision(cuts: zeros, nodes: zeros)
      for client in zeros.indices where objective.tasks[client] {
        decision.cuts[client] = stream.index(below: scenario.layers(ofClient: client) + 1)
        decision.nodes[client] = objective.drawNode(client: client, using: &stream)
      }
      return decision
    }
  }
}
