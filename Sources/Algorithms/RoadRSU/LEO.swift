internal import Simulation
internal import Support

/// LEO, local executing only (P2 IV-B): all layers on the vehicle at its greatest frequency.
struct RoadLocalOnly: Agent {
  typealias Model = RoadRSUEnvironment
  private let model: RoadModel

  init(model: RoadModel) { self.model = model }

  func decide(_ situation: RoadSituation, phase: Phase) -> RoadDecision { model.local(situation) }

  static let algorithm = Algorithm<RoadRSUEnvironment>(
    name: "leo", version: 1,
    summary: "Local executing only: every task on its vehicle at the greatest frequency."
  ) { environment, _, _, _ in RoadLocalOnly(model: environment.model) }
}
