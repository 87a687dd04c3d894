internal import Simulation
internal import Support

/// Settings that the learners of the road model share, defaults included.
struct TaskLearning: Settings {
  @Setting(
    0...0.9999, source: "P2 (25)",
    "Discount of the values of the following requests at the same RSU.")
  var discount = 0.0
  @Setting(
    source: "ours",
    "What is taken off a task's reward before it is learnt from: nothing, or the cost of running it locally."
  )
  var rewardBaseline = RewardBaseline.local
  @Setting(
    1...1_000_000_000, unit: "tasks", source: "ours",
    "Length of the training: it ends with the episode that reaches so many tasks; none: by episodes."
  )
  var trainingTasks: Int? = nil
  @Setting(
    0...1, source: "ours",
    "Share of the learning rate that is left at the end of training; it falls linearly.")
  var learningRateEnd = 0.1

  /// The learning rate of a training episode.
  func rate(_ first: Double, episode: Int, of episodes: Int) -> Double {
    let progress = min(Double(episode - 1) / Double(max(episodes - 1, 1)), 1)
    return first * (1 + (learningRateEnd - 1) * progress)
  }

  /// Gives `episodes` the value that follows from `trainingTasks`, and refuses settings that leave nothing to learn.
  static func settle(_ values: inout ParameterValues, _ given: Set<String>) throws {
    let (warmUp, capacity) = (values.integer("warmupTasks"), values.integer("replayCapacity"))
    if capacity < warmUp {
      throw InputError(
        "is less than the warm-up, so learning would never begin", key: "replayCapacity",
        value: "\(capacity)", advice: "warmupTasks is \(warmUp)")
    }
    guard case .integer(let tasks) = values["trainingTasks"] else { return }
    if given.contains("episodes") {
      throw InputError(
        "and episodes both set the length of the training", key: "trainingTasks",
        value: "\(tasks)", advice: "Leave one of them out")
    }
    if tasks <= warmUp {
      throw InputError(
        "leaves no task to learn from after the warm-up", key: "trainingTasks", value: "\(tasks)",
        advice: "warmupTasks is \(warmUp)")
    }
    values["episodes"] = .integer(
      try RoadRSUEnvironment.trainingEpisodes(tasks: tasks, values))
  }
}
