internal import Support

/// Mean and intervals over seeds, the unit of replication.
struct SeedStatistics {
  let count: Int
  let mean: Double
  /// Student's t, 95 %.
  let interval: (low: Double, high: Double)
  let interquartileMean: Double
  /// Percentile bootstrap of the interquartile mean, 95 %.
  let bootstrap: (low: Double, high: Double)

  static let columns = [
    "n_seeds", "mean", "ci95_low", "ci95_high", "iqm", "iqm_low", "iqm_high",
  ]

  var fields: [CSVField] {
    [
      .integer(count), .number(mean), .number(interval.low), .number(interval.high),
      .number(interquartileMean), .number(bootstrap.low), .number(bootstrap.high),
    ]
  }

  /// - Parameter values: one for each seed; their order does not matter.
  init(_ values: [Double], resampling: inout SeedResampling) {
    let sorted = values.sorted()
    count = sorted.count
    mean = Statistics.mean(sorted)
    interval = Statistics.studentInterval(sorted)
    interquartileMean = Statistics.interquartileMean(sorted)
    bootstrap = resampling.interval(ofSorted: sorted)
  }
}

/// The bootstrap of `Statistics.bootstrapInterval` for the interquartile mean of ascending values.
///
/// A resample of n sorted values is a multiset of ranks, and its interquartile mean a fixed linear form in the
/// values: both depend on n alone and are drawn once, which makes figures of thousands of rows quick.
struct SeedResampling {
  private static let resamples = 2000
  /// By n: weights of the values, row-major [resample][rank].
  private var weights: [Int: [Double]] = [:]
  private var results: [Double] = []

  init() {}

  mutating func interval(ofSorted values: [Double]) -> (low: Double, high: Double) {
    let n = values.count
    guard n > 1 else { return (.nan, .nan) }
    let weights = self.weights[n] ?? SeedResampling.draw(n)
    self.weights[n] = weights
    results.removeAll(keepingCapacity: true)
    for resample in 0..<SeedResampling.resamples {
      var sum = 0.0
      for rank in 0..<n { sum += weights[resample * n + rank] * values[rank] }
      results.append(sum)
    }
    results.sort()
    return (
      Statistics.quantile(sorted: results, 0.025), Statistics.quantile(sorted: results, 0.975)
    )
  }

  private static func draw(_ n: Int) -> [Double] {
    var stream = RandomStream(seed: 0, .bootstrap)
    var weights = [Double](repeating: 0, count: resamples * n)
    let size = Double(n)
    for resample in 0..<resamples {
      var ranks = (0..<n).map { _ in stream.index(below: n) }
      ranks.sort()
      for (place, rank) in ranks.enumerated() {
        let overlap = min(Double(place + 1), 0.75 * size) - max(Double(place), 0.25 * size)
        if overlap > 0 { weights[resample * n + rank] += overlap / (0.5 * size) }
      }
    }
    return weights
  }
}
