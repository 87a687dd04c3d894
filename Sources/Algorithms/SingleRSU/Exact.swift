internal import Simulation
internal import Support

struct ExactSettings: Settings {
  @Setting(
    source: "ours",
    "Whether two best-response descents give the first bound; without them it is only slower.")
  var warmStart = true
}

/// The minimiser of P of the slot, over all cuts and nodes.
struct Exact: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "exact", version: 1, summary: "The minimiser of P of the slot over all decisions.",
    settings: ExactSettings.self
  ) { environment, settings, _ in
    try Exact(scenario: environment.scenario, warmStart: settings.warmStart)
  }

  private var objective: SlotObjective
  private var optimum: SlotOptimum

  init(scenario: SingleRSUScenario, warmStart: Bool) throws {
    objective = SlotObjective(scenario: scenario)
    optimum = try SlotOptimum(scenario: scenario, warmStart: warmStart)
  }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    objective.prepare(situation)
    return optimum.solve(&objective)
  }
}
