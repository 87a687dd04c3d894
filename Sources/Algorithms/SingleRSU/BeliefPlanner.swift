internal import Simulation
internal import Support

/// Decentralised planning without learning (ours): each client keeps a belief of all queues, takes from its observation
/// what it sees, plans for everybody with the exact minimiser of the canonical slot, and does its own part.
///
/// A client sees its own queue, its type's at the RSU and those of the service vehicles (P1 eq (54) without
/// positions). Of the others it believes that each has a task, which counts with its probability in the queues that
/// follow, and that the work of others comes at its mean. Without randomness all clients believe the truth and their
/// parts fit together.
struct BeliefPlanner: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "belief-planner", version: 1,
    summary: "Each client plans for all from the queues that it sees and believes in."
  ) { environment, _, _, _ in try BeliefPlanner(environment.scenario) }

  private let scenario: SingleRSUScenario
  private var objective: SlotObjective
  private var optimum: SlotOptimum
  /// What each client believes of all queues at the slot's start, GFLOP.
  private var beliefs: [[Double]]

  init(_ scenario: SingleRSUScenario) throws {
    self.scenario = scenario
    objective = SlotObjective(scenario: scenario)
    optimum = try SlotOptimum(scenario: scenario)
    beliefs = []
    forget()
  }

  private mutating func forget() {
    let mean = [Double](repeating: scenario.meanInitialBacklog, count: scenario.queues)
    beliefs = [[Double]](repeating: mean, count: scenario.clients)
  }

  mutating func beginEpisode(_ episode: Int, phase: Phase) { forget() }

  /// What a client plans for a slot, and the queues that it expects after it.
  private struct Intention {
    var believed: [Double]
    var decision: SlotDecision
    var expected: [Double]
  }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    let clients = scenario.clients
    var joint = SlotDecision(
      cuts: [Int](repeating: 0, count: clients), nodes: [Int](repeating: 0, count: clients))
    // Clients that believe the same plan the same, if tasks are certain: once is enough.
    var intentions: [Intention] = []
    for client in 0..<clients {
      let believed = observed(situation, by: client)
      var tasks = [Bool](repeating: true, count: clients)
      tasks[client] = situation.tasks[client]
      let same =
        scenario.taskProbability < 1 ? nil : intentions.first { $0.believed == believed }
      let own = same ?? intention(believed, tasks: tasks, of: client)
      if same == nil { intentions.append(own) }
      beliefs[client] = own.expected
      joint.cuts[client] = own.decision.cuts[client]
      joint.nodes[client] = own.decision.nodes[client]
      if !situation.allows(client: client, node: joint.nodes[client]) { joint.nodes[client] = 0 }
    }
    return joint
  }

  /// A client's belief, corrected by what it sees.
  private func observed(_ situation: SlotSituation, by client: Int) -> [Double] {
    var believed = beliefs[client]
    believed[client] = situation.clientBacklog(client)
    let type = scenario.typeOfClient[client]
    believed[scenario.clients + type] = situation.rsuBacklog(type: type)
    for node in 1..<scenario.nodes {
      believed[scenario.clients + scenario.types + node - 1] = situation.serviceBacklog(node: node)
    }
    return believed
  }

  private mutating func intention(
    _ believed: [Double], tasks: [Bool], of client: Int
  ) -> Intention {
    objective.prepareCanonical(backlogs: believed, tasks: tasks)
    let decision = optimum.solve(&objective)
    var share = [Double](repeating: scenario.taskProbability, count: scenario.clients)
    share[client] = tasks[client] ? 1 : 0
    return Intention(
      believed: believed, decision: decision,
      expected: objective.expectedBacklogs(after: decision, from: believed, taskShare: share))
  }
}
