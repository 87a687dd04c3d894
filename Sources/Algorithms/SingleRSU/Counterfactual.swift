internal import Neural
internal import Simulation
internal import Support

struct CounterfactualSettings: Settings {
  /// Old slots say what alternatives cost beside decisions that the others have given up: the ring is short.
  var learning = {
    var learning = SlotLearningSettings()
    learning.replayCapacity = 500
    return learning
  }()
  @Setting(1e-6...1e9, source: "ours", "P by which an alternative must be worse to count as 1.")
  var costScale = 10.0
  @Setting(
    1e-3...1e9, source: "ours",
    "Alternatives that are worse by more than this many times costScale count as this.")
  var costLimit = 20.0
  @Setting(0...1000, source: "ours", "Weight of the policy's entropy against costs (T).")
  var temperature = 0.3
}

/// Decentralised learning from counterfactuals (ours): no expert, each client's network descends the expected P of the
/// canonical slot over all of its own actions, the others' as they were.
///
/// The change of P by every alternative of a client is exact (`SlotObjective.costs`), so the policy gradient needs no
/// sampling: it is that of sum_a pi(a) (cost(a) / scale + T log pi(a)). The others' actions are their greedy ones in
/// the slot that is learnt from. P is common to all, so these are steps in a potential game. No positions, no
/// communication, no memory.
struct Counterfactual: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "counterfactual", version: 1,
    summary: "A network for each client that learns from the change of P of all its alternatives.",
    isLearner: true, settings: CounterfactualSettings.self
  ) { try Counterfactual(environment: $0, settings: $1, context: $2) }

  // MARK: Networks

  private let nodes: Int
  private let clients: Int
  private let features: QueueFeatures
  private let team: MLPTeam
  private let inputs: [Matrix]
  private let costs: [Matrix]
  private var objective: SlotObjective
  private let costScale, costLimit: Double
  private let temperature: Float
  private var learning: SlotLearning

  init(
    environment: SingleRSUEnvironment, settings: CounterfactualSettings, context: AgentContext
  ) throws {
    let scenario = environment.scenario
    let features = QueueFeatures(scenario)
    nodes = scenario.nodes
    clients = scenario.clients
    self.features = features
    objective = SlotObjective(scenario: scenario)
    costScale = settings.costScale
    costLimit = settings.costLimit
    temperature = Float(settings.temperature)
    let actions = (0..<clients).map { scenario.actions(ofClient: $0) }
    learning = SlotLearning(
      settings.learning, slots: scenario.slots,
      width: clients * features.size + actions.reduce(0, +), context: context)
    var initialisation = RandomStream(seed: context.seed, .initialisation)
    team = MLPTeam(
      inputs: (0..<clients).map { _ in features.size }, hidden: settings.learning.hidden,
      outputs: actions, activation: .relu,
      batch: settings.learning.batchSize, kernels: context.kernels, using: &initialisation)
    inputs = (0..<clients).map { [rows = settings.learning.batchSize] _ in
      Matrix(rows: rows, columns: features.size)
    }
    costs = actions.map { [rows = settings.learning.batchSize] in Matrix(rows: rows, columns: $0) }
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
    objective.prepareCanonical(
      backlogs: situation.backlogs, tasks: situation.tasks,
      reach: situation.scenario.v2vRange == nil ? nil : situation)
    for client in 0..<clients { row += losses(ofClient: client, decision) }
    learning.append(row)
    for _ in 0..<learning.dueSteps {
      let batch = learning.sample()
      SlotLearning.inputs(batch, clients: clients, size: features.size, into: inputs)
      for (b, row) in batch.enumerated() {
        var start = row.startIndex + clients * features.size
        for matrix in costs {
          matrix.setRow(b, Array(row[start..<start + matrix.columns]))
          start += matrix.columns
        }
      }
      try learning.record(
        team.trainStep(
          inputs: inputs, targets: costs.map { .expectedCosts($0, temperature: temperature) },
          adam: learning.adam))
    }
  }

  /// What each action of a client would cost above its best one, scaled and limited; NaN for a client without a task.
  private mutating func losses(ofClient client: Int, _ decision: SlotDecision) -> [Float] {
    guard objective.tasks[client] else {
      return [Float](repeating: .nan, count: costs[client].columns)
    }
    let changes = objective.costs(
      ofClient: client, cuts: decision.cuts, nodes: decision.nodes)
    let least = changes.min() ?? 0
    return changes.map { Float(min(($0 - least) / costScale, costLimit)) }
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
