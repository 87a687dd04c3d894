internal import Simulation
internal import Support

/// LEO, local executing only (P2 IV-B): all layers on the vehicle at its greatest frequency.
struct LEO: Agent {
  typealias Model = RoadRSUEnvironment
  private let model: TaskModel

  init(model: TaskModel) { self.model = model }

  func decide(_ situation: TaskSituation, phase: Phase) -> TaskDecision { model.local(situation) }

  static let algorithm = Algorithm<RoadRSUEnvironment>(
    name: "leo", version: 1,
    summary: "Local executing only: every task on its vehicle at the greatest frequency."
  ) { environment, _, _, _ in LEO(model: environment.model) }
}
