internal import Simulation
internal import Support

struct GBSSettings: Settings {
  var target = RSUTargetSettings()
  @Setting(
    source: "ours",
    "Whether the greedy choice of the cut leaves the RSU's queue out of account.")
  var queueBlind = false
}

/// GBS, greedy-based scheme (P2 IV-B): the cut with the least completion time (18) at the nearest RSU, both
/// processors at their greatest frequencies.
///
/// It is blind to energy, battery, deadline and the other RSUs. Of equal cuts the one with fewer local layers
/// is taken. A vehicle out of every RSU's range runs the task itself.
struct GBS: Agent {
  typealias Model = RoadRSUEnvironment
  private let model: TaskModel
  private let target: RSUTarget
  private let isQueueBlind: Bool

  init(model: TaskModel, target: RSUTarget, isQueueBlind: Bool) {
    self.model = model
    self.target = target
    self.isQueueBlind = isQueueBlind
  }

  func decide(_ situation: TaskSituation, phase: Phase) -> TaskDecision {
    guard var link = target.link(in: situation) else { return model.local(situation) }
    if isQueueBlind { link.queueWait = 0 }
    let constants = model.constants
    var best = (cut: 0, delay: Double.infinity)
    for cut in 0...model.types[situation.type].layers {
      let delay = model.cost(
        of: situation, cut: cut, link: link, vehicleFrequency: constants.vehicleFrequency,
        rsuFrequency: constants.rsuFrequency
      ).delay
      if delay < best.delay { best = (cut, delay) }
    }
    return TaskDecision(
      cut: best.cut, rsu: best.cut < model.types[situation.type].layers ? link.rsu : 0,
      vehicleFrequency: constants.vehicleFrequency, rsuFrequency: constants.rsuFrequency)
  }

  static let algorithm = Algorithm<RoadRSUEnvironment>(
    name: "gbs", version: 1,
    summary: "Greedy: the cut with the least completion time at the nearest RSU, full frequencies.",
    settings: GBSSettings.self
  ) { environment, settings, _ in
    GBS(
      model: environment.model, target: settings.target.target,
      isQueueBlind: settings.queueBlind)
  }
}
