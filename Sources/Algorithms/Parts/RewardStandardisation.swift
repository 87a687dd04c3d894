internal import Support

/// Rewards brought to zero mean and unit deviation, fixed when learning begins.
///
/// As every episode is truncated, never terminated, a constant added to all rewards adds the same constant to
/// all values: neither it nor a positive factor changes which policy is best, but values stay near zero.
struct RewardStandardisation: Equatable {
  private(set) var mean = 0.0
  private(set) var deviation = 1.0
  private(set) var isFixed = false

  mutating func fix(mean: Double, deviation: Double) {
    self.mean = mean
    self.deviation = deviation > 0 && deviation.isFinite ? deviation : 1
    isFixed = true
  }

  /// What rewards are standardised by, for the run's record.
  var json: JSONValue { .object(["mean": .number(mean), "deviation": .number(deviation)]) }

  func scaled(_ reward: Double) -> Float { Float((reward - mean) / deviation) }

  func save(to writer: inout StateWriter) {
    writer.write(mean)
    writer.write(deviation)
    writer.write(isFixed)
  }

  mutating func restore(from reader: inout StateReader) throws {
    mean = try reader.readNumber()
    deviation = try reader.readNumber()
    isFixed = try reader.readFlag()
  }
}
