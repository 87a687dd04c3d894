internal import Neural
internal import Simulation
internal import Support

/// Decentralised imitation of the exact minimiser (ours): each client's network learns from its own queues what an
/// all-knowing teacher would have it do.
///
/// The clients act by their networks from the first slot on; the teacher labels the slots that this leads to and never
/// drives (DAgger, Ross et al. 2011, with no share of the expert). No positions, no communication, no memory.
struct Imitation: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "imitation", version: 1,
    summary: "A network for each client that imitates the exact minimiser of the canonical slot.",
    isLearner: true, settings: SlotLearningSettings.self
  ) { try Imitation(environment: $0, settings: $1, context: $2) }

  // MARK: Networks

  private let nodes: Int
  private let clients: Int
  private let features: QueueFeatures
  private let team: MLPTeam
  private let inputs: [Matrix]
  private var teacher: CanonicalTeacher
  private var learning: SlotLearning

  init(
    environment: SingleRSUEnvironment, settings: SlotLearningSettings, context: AgentContext
  ) throws {
    let scenario = environment.scenario
    let features = QueueFeatures(scenario)
    nodes = scenario.nodes
    clients = scenario.clients
    self.features = features
    teacher = try CanonicalTeacher(scenario)
    learning = SlotLearning(
      settings, slots: scenario.slots, width: clients * (features.size + 1), context: context)
    var initialisation = RandomStream(seed: context.seed, .initialisation)
    team = MLPTeam(
      inputs: (0..<clients).map { _ in features.size }, hidden: settings.hidden,
      outputs: (0..<clients).map { scenario.actions(ofClient: $0) }, activation: .relu,
      batch: settings.batchSize, kernels: context.kernels, using: &initialisation)
    inputs = (0..<clients).map { [rows = settings.batchSize] _ in
      Matrix(rows: rows, columns: features.size)
    }
  }

  var statistics: AgentStatistics { learning.statistics }
  var constants: [String: JSONValue] { ["trainedParameters": .integer(team.parameterCount)] }

  // MARK: Act

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    learning.beginEpisode(episode, phase: phase)
  }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    SlotDecision(
      actions: (0..<clients).map { client in
        guard situation.tasks[client] else { return 0 }
        let scores = team.outputs(
          agent: client, inputs: features.values(situation, client: client))
        return situation.bestAction(ofClient: client, scores: scores)
      }, nodes: nodes)
  }

  // MARK: Learn

  mutating func learn(
    _ situation: SlotSituation, _ decision: SlotDecision, _ outcome: SlotOutcome,
    next: SlotSituation?
  ) throws {
    guard learning.isLearning else { return }
    var row = (0..<clients).flatMap { features.values(situation, client: $0) }
    row += teacher.actions(situation).map { Float($0 ?? -1) }
    learning.append(row)
    for _ in 0..<learning.dueSteps {
      let batch = learning.sample()
      SlotLearning.inputs(batch, clients: clients, size: features.size, into: inputs)
      let targets = (0..<clients).map { client in
        batch.map { row in
          let action = Int(row[row.startIndex + clients * features.size + client])
          return action < 0 ? nil : action
        }
      }
      try learning.record(
        team.trainStep(
          inputs: inputs, targets: targets.map { .choices($0) }, adam: learning.adam))
    }
  }

  // MARK: State

  func saveState(to writer: inout StateWriter) {
    team.save(.training, to: &writer)
    learning.saveState(to: &writer)
  }
  mutating func restoreState(from reader: inout StateReader) throws {
    try team.restore(.training, from: &reader)
    try learning.restoreState(from: &reader)
  }
  func savePolicy(to writer: inout StateWriter) { team.save(.policy, to: &writer) }
  mutating func restorePolicy(from reader: inout StateReader) throws {
    try team.restore(.policy, from: &reader)
  }
}
