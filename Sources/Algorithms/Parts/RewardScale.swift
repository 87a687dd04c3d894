internal import Support

/// The constant that rewards are divided by: their mean absolute value over the warm-up (ours).
///
/// Rewards of model 1 span four orders of magnitude over the grids; networks learn best from numbers near one.
struct RewardScale {
  private var sum = 0.0
  private var count = 0

  mutating func add(_ reward: Double) {
    sum += abs(reward)
    count += 1
  }

  var divisor: Double { count > 0 && sum > 0 ? sum / Double(count) : 1 }

  func save(to writer: inout StateWriter) {
    writer.section("reward-scale")
    writer.write(sum)
    writer.write(count)
  }

  mutating func restore(from reader: inout StateReader) throws {
    try reader.section("reward-scale")
    sum = try reader.readNumber()
    count = try reader.readInteger()
  }
}
