internal import Support

/// The frequencies that a random or learned decision may take: from a share of the greatest one to it.
///
/// Without a lower bound a uniform frequency has an infinite mean time per task.
struct FrequencyRange: Settings {
  @Setting(
    0.001...1, source: "ours",
    "Least frequency that is drawn, as a share of the greatest one.")
  var leastFrequencyShare = 0.1

  /// The frequency at a position in [0, 1], in Hz.
  func frequency(_ position: Double, greatest: Double) -> Double {
    min(greatest * (leastFrequencyShare + (1 - leastFrequencyShare) * position), greatest)
  }
}
