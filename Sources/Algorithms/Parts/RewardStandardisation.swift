internal import Support

/// Rewards brought to zero mean and unit deviation, fixed when learning begins (ours).
///
/// At discount 0 the value of a decision is its reward alone, so each DNN type has moments of its own: a positive
/// factor and a constant for each type change no order of decisions, and the learner sees the tenths of a second
/// between the cuts of a small DNN as large as the seconds of a big one. With a discount, rewards of tasks of
/// several types add up: then one pair of moments serves all. As every episode is truncated, never terminated,
/// the constant adds the same to all values.
struct RewardStandardisation: Equatable {
  /// Of each group of rewards.
  private(set) var means: [Double]
  private(set) var deviations: [Double]
  private(set) var isFixed = false

  /// - Parameter types: DNN types of the tasks.
  init(types: Int, discount: Double) {
    means = Array(repeating: 0, count: discount > 0 ? 1 : types)
    deviations = Array(repeating: 1, count: means.count)
  }

  /// Fixes the moments by the rewards stored so far; a type that has not two different ones gets those of all.
  mutating func fix(by buffer: TransitionBuffer) {
    let rows = Array(0..<buffer.count)
    for group in means.indices {
      let own = means.count == 1 ? rows : rows.filter { buffer.type($0) == group }
      var moments = moments(of: own.map(buffer.reward))
      if moments.deviation == 0 { moments = self.moments(of: rows.map(buffer.reward)) }
      means[group] = moments.mean
      deviations[group] = moments.deviation > 0 ? moments.deviation : 1
    }
    isFixed = true
  }

  private func moments(of rewards: [Double]) -> (mean: Double, deviation: Double) {
    guard rewards.count > 1 else { return (0, 0) }
    let deviation = Statistics.standardDeviation(rewards)
    return (Statistics.mean(rewards), deviation.isFinite ? deviation : 0)
  }

  /// What rewards are standardised by, for the run's record: of each DNN type, or of all.
  var json: JSONValue {
    .list(
      means.indices.map {
        .object(["mean": .number(means[$0]), "deviation": .number(deviations[$0])])
      })
  }

  /// The reward of a task of a DNN type.
  func scaled(_ reward: Double, type: Int) -> Float {
    let group = means.count == 1 ? 0 : type
    return Float((reward - means[group]) / deviations[group])
  }

  func save(to writer: inout StateWriter) {
    writer.write(array: means)
    writer.write(array: deviations)
    writer.write(isFixed)
  }

  mutating func restore(from reader: inout StateReader) throws {
    means = try reader.readArray(count: means.count)
    deviations = try reader.readArray(count: deviations.count)
    isFixed = try reader.readFlag()
  }
}
