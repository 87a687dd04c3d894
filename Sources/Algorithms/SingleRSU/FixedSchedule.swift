internal import Simulation
internal import Support

/// A schedule played without looking (ours): the joint decisions of the exact minimiser in an average episode.
///
/// The average episode has the mean rate of each kind of link, mean backlogs at its start, a task of every client in
/// every slot (which counts with its probability) and the mean work of others. Where the model is all but
/// deterministic, no policy that looks is much better: a comparison of learners must show this one.
struct FixedSchedule: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "fixed-schedule", version: 1,
    summary: "The exact minimiser's decisions in an average episode, played without looking."
  ) { environment, _, _, _ in try FixedSchedule(environment.scenario) }

  /// One joint decision for each slot.
  private let schedule: [SlotDecision]

  init(_ scenario: SingleRSUScenario) throws {
    var objective = SlotObjective(scenario: scenario)
    var optimum = try SlotOptimum(scenario: scenario)
    let everyone = [Bool](repeating: true, count: scenario.clients)
    let share = [Double](repeating: scenario.taskProbability, count: scenario.clients)
    var backlogs = [Double](repeating: scenario.meanInitialBacklog, count: scenario.queues)
    schedule = (0..<scenario.slots).map { _ in
      objective.prepareCanonical(backlogs: backlogs, tasks: everyone)
      let decision = optimum.solve(&objective)
      backlogs = objective.expectedBacklogs(after: decision, from: backlogs, taskShare: share)
      return decision
    }
  }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    var decision = schedule[situation.slot]
    // Who is out of range of a planned service vehicle turns to the RSU.
    for client in decision.nodes.indices
    where !situation.allows(client: client, node: decision.nodes[client]) {
      decision.nodes[client] = 0
    }
    return decision
  }
}
