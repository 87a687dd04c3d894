internal import Simulation
internal import Support

/// The RSU that a rule without a choice of its own sends to.
enum RSUTarget: String, CaseIterable, DescribedSettingValue {
  /// The one at the least distance.
  case nearest
  /// The one that the environment's diversion picked.
  case diverted

  /// The link to that RSU; nil when none is in range.
  func link(in situation: TaskSituation) -> RSULink? {
    (self == .nearest ? situation.nearest : situation.diverted).map { situation.links[$0] }
  }
}

/// Settings of a rule that has none but the RSU it sends to.
struct RSUTargetSettings: Settings {
  @Setting(
    source: "P2 IV-B; diverted: ours",
    "RSU that tasks are sent to: the nearest one, or the one that diversion picked.")
  var target = RSUTarget.nearest
}
