internal import Support

/// The frequencies that a random or learned decision may take: from a share of the greatest one to it.
///
/// Without a lower bound a uniform frequency has an infinite mean time per task.
struct FrequencyRange {
  let leastShare: Double

  init(_ parameters: ParameterValues) {
    leastShare = parameters.number(FrequencyRange.parameter.key)
  }

  /// The frequency at a position in [0, 1].
  func frequency(_ position: Double, greatest: Double) -> Double {
    min(greatest * (leastShare + (1 - leastShare) * position), greatest)
  }

  static let parameter = Parameter(
    "leastFrequencyShare", .number(0.001...1), default: .number(0.1), source: "ours",
    "Least frequency that is drawn, as a share of the greatest one.")
}
