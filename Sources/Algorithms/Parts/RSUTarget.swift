internal import Simulation
internal import Support

/// The RSU that a rule without a choice of its own sends to.
enum RSUTarget: String, CaseIterable {
  /// The one at the least distance.
  case nearest
  /// The one that the environment's diversion picked.
  case diverted

  init(_ parameters: ParameterValues) {
    self = RSUTarget(rawValue: parameters.text(RSUTarget.parameter.key)) ?? .nearest
  }

  /// The link to that RSU; nil when none is in range.
  func link(in situation: TaskSituation) -> RSULink? {
    (self == .nearest ? situation.nearest : situation.diverted).map { situation.links[$0] }
  }

  static let parameter = Parameter(
    "target", .choice(RSUTarget.allCases.map(\.rawValue)), default: .text("nearest"),
    source: "P2 IV-B; diverted: ours",
    "RSU that tasks are sent to: the nearest one, or the one that diversion picked.")
}
