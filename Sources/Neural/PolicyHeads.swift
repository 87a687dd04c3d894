#if canImport(Glibc)
  internal import Glibc
#endif

/// One number from a Gaussian squashed by tanh, as soft actor-critic draws actions, with its gradients.
///
/// u = mean + e^logDeviation noise, action = tanh(u) in (-1, 1).
public struct SquashedGaussian: Sendable, Equatable {
  public let action: Double
  /// Logarithm of the action's density: log N(u) - log(1 - tanh(u)^2).
  public let logProbability: Double
  private let spread: Double  // e^logDeviation noise

  public init(mean: Double, logDeviation: Double, noise: Double) {
    spread = exp(logDeviation) * noise
    let u = mean + spread
    action = tanh(u)
    // log(1 - tanh(u)^2) = 2 (log 2 - |u| - log(1 + e^(-2|u|))), exact for large |u| too.
    let size = abs(u)
    let logSlope = 2 * (log(2) - size - log1p(exp(-2 * size)))
    logProbability = -noise * noise / 2 - logDeviation - log(2 * .pi) / 2 - logSlope
  }

  /// Gradients of a loss with respect to mean and log-deviation, the noise held fixed.
  public func gradient(
    action dAction: Double, logProbability dLog: Double
  ) -> (mean: Double, logDeviation: Double) {
    let dMean = dAction * (1 - action * action) + dLog * 2 * action
    return (dMean, dMean * spread - dLog)
  }
}

/// A categorical distribution over the allowed entries of a row of logits, with its gradient.
public struct Categorical: Sendable, Equatable {
  /// Zero where not allowed.
  public let probabilities: [Double]
  /// Zero (not minus infinity) where not allowed, so that products with probabilities are zero.
  public let logProbabilities: [Double]

  /// - Parameter allowed: One flag per logit, at least one true; nil allows all.
  public init(logits: [Float], allowed: [Bool]? = nil) {
    precondition(allowed == nil || allowed!.count == logits.count)
    let indices = logits.indices.filter { allowed?[$0] ?? true }
    precondition(!indices.isEmpty)
    let peak = indices.reduce(-Double.infinity) { max($0, Double(logits[$1])) }
    let shift = peak + log(indices.reduce(0.0) { $0 + exp(Double(logits[$1]) - peak) })
    var p = Array(repeating: 0.0, count: logits.count)
    var l = p
    for i in indices {
      l[i] = Double(logits[i]) - shift
      p[i] = exp(l[i])
    }
    probabilities = p
    logProbabilities = l
  }

  /// Gradient with respect to the logits of a loss given its gradients with respect to p and log p.
  public func gradient(probabilities dp: [Double], logProbabilities dl: [Double]) -> [Float] {
    precondition(dp.count == probabilities.count && dl.count == probabilities.count)
    var mean = 0.0
    var sum = 0.0
    for i in dp.indices where probabilities[i] > 0 {
      mean += probabilities[i] * dp[i]
      sum += dl[i]
    }
    return dp.indices.map {
      let p = probabilities[$0]
      return p > 0 ? Float(p * (dp[$0] - mean) + dl[$0] - p * sum) : 0
    }
  }

  /// The entry that a uniform number in [0, 1) selects.
  public func sample(_ uniform: Double) -> Int {
    var sum = 0.0
    var last = 0
    for i in probabilities.indices where probabilities[i] > 0 {
      sum += probabilities[i]
      last = i
      if uniform < sum { return i }
    }
    return last
  }
}
