internal import Simulation
internal import Support

/// REO, RSU executing only (P2 IV-B): all layers at the nearest RSU at its greatest frequency.
///
/// A vehicle out of every RSU's range runs the task itself at its greatest frequency.
struct REO: Agent {
  typealias Model = RoadRSUEnvironment
  private let model: TaskModel
  private let target: RSUTarget

  init(model: TaskModel, target: RSUTarget) {
    self.model = model
    self.target = target
  }

  func decide(_ situation: TaskSituation, phase: Phase) -> TaskDecision {
    guard let link = target.link(in: situation) else { return model.local(situation) }
    return TaskDecision(
      cut: 0, rsu: link.rsu,
      vehicleFrequency: model.constants.vehicleFrequency,
      rsuFrequency: model.constants.rsuFrequency)
  }

  static let algorithm = Algorithm<RoadRSUEnvironment>(
    name: "reo", version: 1,
    summary: "RSU executing only: every task whole to the nearest RSU at the greatest frequency.",
    settings: RSUTargetSettings.self
  ) { environment, settings, _ in
    REO(model: environment.model, target: settings.target)
  }
}
