import Glibc

/// Descriptive statistics, intervals over seeds and the distributions they need.
public enum Statistics {
  /// Arithmetic mean; NaN of nothing.
  public static func mean(_ values: [Double]) -> Double {
    values.isEmpty ? .nan : values.reduce(0, +) / Double(values.count)
  }

  /// Sample standard deviation (n - 1); NaN below two values.
  public static func standardDeviation(_ values: [Double]) -> Double {
    guard values.count > 1 else { return .nan }
    let m = mean(values)
    return (values.reduce(0) { $0 + ($1 - m) * ($1 - m) } / Double(values.count - 1)).squareRoot()
  }

  /// Quantile by linear interpolation of order statistics (type 7 of Hyndman and Fan); NaN of nothing.
  public static func quantile(_ values: [Double], _ probability: Double) -> Double {
    quantile(sorted: values.sorted(), probability)
  }

  /// Quantile of values that are already in ascending order.
  public static func quantile(sorted values: [Double], _ probability: Double) -> Double {
    guard let last = values.last else { return .nan }
    let position = probability * Double(values.count - 1)
    let below = Int(position.rounded(.down))
    if below + 1 >= values.count { return last }
    return values[below] + (position - Double(below)) * (values[below + 1] - values[below])
  }

  /// Interquartile mean: the mean of the middle half, fractional weights at its ends (as in rliable).
  public static func interquartileMean(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    let n = Double(sorted.count)
    var sum = 0.0
    var weight = 0.0
    for (i, value) in sorted.enumerated() {
      let overlap = min(Double(i + 1), 0.75 * n) - max(Double(i), 0.25 * n)
      if overlap > 0 {
        sum += overlap * value
        weight += overlap
      }
    }
    return sum / weight
  }

  /// Two-sided interval of the mean by Student's t; NaN bounds below two values.
  public static func studentInterval(
    _ values: [Double], confidence: Double = 0.95
  ) -> (low: Double, high: Double) {
    guard values.count > 1 else { return (.nan, .nan) }
    let m = mean(values)
    let half =
      studentQuantile(0.5 + confidence / 2, degreesOfFreedom: Double(values.count - 1))
      * standardDeviation(values) / Double(values.count).squareRoot()
    return (m - half, m + half)
  }

  /// Percentile bootstrap interval of a statistic, resampling with a named stream.
  public static func bootstrapInterval(
    _ values: [Double], confidence: Double = 0.95, resamples: Int = 2000, seed: UInt64,
    of statistic: ([Double]) -> Double
  ) -> (low: Double, high: Double) {
    guard values.count > 1 else { return (.nan, .nan) }
    var stream = RandomStream(seed: seed, .bootstrap)
    var results: [Double] = []
    results.reserveCapacity(resamples)
    var resample = values
    for _ in 0..<resamples {
      for i in resample.indices { resample[i] = values[stream.index(below: values.count)] }
      results.append(statistic(resample))
    }
    results.sort()
    return (
      quantile(sorted: results, (1 - confidence) / 2),
      quantile(sorted: results, (1 + confidence) / 2)
    )
  }

  /// Quantile of Student's t distribution, by bisection of its distribution function.
  public static func studentQuantile(_ probability: Double, degreesOfFreedom n: Double) -> Double {
    if probability == 0.5 { return 0 }
    if probability < 0.5 { return -studentQuantile(1 - probability, degreesOfFreedom: n) }
    var high = 1.0
    while studentDistribution(high, degreesOfFreedom: n) < probability { high *= 2 }
    var low = 0.0
    for _ in 0..<200 {
      let middle = (low + high) / 2
      if middle == low || middle == high { break }
      if studentDistribution(middle, degreesOfFreedom: n) < probability {
        low = middle
      } else {
        high = middle
      }
    }
    return (low + high) / 2
  }

  /// P(T <= t) of Student's t distribution.
  public static func studentDistribution(_ t: Double, degreesOfFreedom n: Double) -> Double {
    let tail = 0.5 * incompleteBeta(n / (n + t * t), n / 2, 0.5)
    return t >= 0 ? 1 - tail : tail
  }

  /// Regularised incomplete beta function I_x(a, b) by its continued fraction (modified Lentz).
  static func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
    if x <= 0 { return 0 }
    if x >= 1 { return 1 }
    let front = exp(
      lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x > (a + 1) / (a + b + 2) { return 1 - incompleteBeta(1 - x, b, a) }
    let tiny = 1e-300
    var c = 1.0
    var d = 1 - (a + b) * x / (a + 1)
    d = 1 / (abs(d) < tiny ? tiny : d)
    var fraction = d
    for m in 1...500 {
      let k = Double(m)
      for numerator in [
        k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k)),
        -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1)),
      ] {
        d = 1 + numerator * d
        d = 1 / (abs(d) < tiny ? tiny : d)
        c = 1 + numerator / c
        if abs(c) < tiny { c = tiny }
        fraction *= c * d
      }
      if abs(c * d - 1) < 1e-16 { break }
    }
    return front * fraction / a
  }
}
