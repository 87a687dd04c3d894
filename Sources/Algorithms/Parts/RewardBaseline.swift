internal import Simulation
internal import Support

/// What is taken off a task's reward before it is learnt from (ours).
///
/// The local cost depends on the task and its vehicle's battery, not on what is decided about it: with it
/// values are what a decision saves, a second instead of the whole cost of several, and no order of
/// decisions changes. (With `localQueue` or `batteryDrain` earlier decisions enter it too: then this holds at
/// discount 0 only.)
enum RewardBaseline: String, CaseIterable, DescribedSettingValue {
  case none
  /// The cost (21) of running the task whole on its vehicle at the greatest frequency, penalty included.
  case local

  /// The reward to learn from, in seconds.
  func reward(_ outcome: DecidedTask, _ model: TaskModel) -> Double {
    switch self {
    case .none: return outcome.reward
    case .local:
      let constants = model.constants
      let local = model.cost(
        of: outcome.situation, cut: model.types[outcome.situation.type].layers, link: nil,
        vehicleFrequency: constants.vehicleFrequency, rsuFrequency: constants.rsuFrequency)
      return outcome.reward + local.cost
    }
  }
}
