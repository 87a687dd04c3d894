public import Support

/// Which weight the allocation gives a DNN type at the RSU.
public enum GammaRule: String, Sendable, CaseIterable, DescribedSettingValue {
  /// V [n Q + (1 + (n - 1) / 2) R]: what the derivative of P1 eq (44) gives.
  case corrected
  /// V [Q + (1 + (n - 1) / 2) R]: P1 eq (48) as printed.
  case printed

  /// Weight of a type with `users` remote users that bring `work` GFLOP in all, on `backlog` GFLOP.
  @inline(__always)
  public func weight(users: Int, work: Double, backlog: Double, delayWeight: Double) -> Double {
    let share = 1 + Double(users - 1) / 2
    return delayWeight * ((self == .corrected ? Double(users) : 1) * backlog + share * work)
  }
}

/// Division of the RSU's capacity among the DNN types, P1 eq (44)-(53).
public enum RSUAllocation {
  /// As `divide` below, on arrays.
  public static func divide(
    gamma: [Double], pressure: [Double], total: Double, into capacities: inout [Double]
  ) {
    var span = capacities.mutableSpan
    divide(gamma: gamma.span, pressure: pressure.span, total: total, into: &span)
  }

  /// Minimises sum_k gamma_k / f_k - pressure_k f_k over f_k >= 0 with sum f_k = total.
  ///
  /// f_k = sqrt(gamma_k / (eta - pressure_k)) with the eta above every pressure at which the f_k add up. A type
  /// with gamma 0 gets nothing, except: if it has the largest pressure and the others leave something at
  /// eta = that pressure, the first such type gets the rest; if all gammas and pressures are 0, all get alike.
  ///
  /// - Parameters:
  ///   - gamma: weights, at least 0.
  ///   - pressure: backlog times slot length, at least 0.
  ///   - total: capacity to divide, above 0.
  ///   - capacities: receives f_k.
  public static func divide(
    gamma: Span<Double>, pressure: Span<Double>, total: Double,
    into capacities: inout MutableSpan<Double>
  ) {
    let count = gamma.count
    var top = 0
    for k in 1..<max(count, 1) where pressure[k] > pressure[top] { top = k }
    let highest = pressure[top]
    var hasWeight = false
    var topHasWeight = false
    for k in 0..<count {
      capacities[k] = 0
      if gamma[k] > 0 {
        hasWeight = true
        if pressure[k] == highest { topHasWeight = true }
      }
    }
    if !hasWeight {
      if highest > 0 {
        capacities[top] = total
      } else {
        for k in 0..<count { capacities[k] = total / Double(count) }
      }
      return
    }
    // With eta = highest + s the equation is sum sqrt(gamma_k / (s + gap_k)) = total, gap_k = highest - pressure_k.
    var s = 0.0
    if topHasWeight {
      var rootSum = 0.0
      var gapSum = 0.0
      for k in 0..<count where gamma[k] > 0 {
        let root = gamma[k].squareRoot()
        let gap = highest - pressure[k]
        rootSum += root
        gapSum += root * gap
        // No type gets more than the total.
        s = max(s, gamma[k] / (total * total) - gap)
      }
      s = max(s, rootSum * rootSum / (total * total) - gapSum / rootSum)
    } else {
      var sum = 0.0
      for k in 0..<count where gamma[k] > 0 {
        capacities[k] = (gamma[k] / (highest - pressure[k])).squareRoot()
        sum += capacities[k]
      }
      if sum <= total {
        capacities[top] = total - sum
        return
      }
    }
    newton(
      gamma: gamma, pressure: pressure, highest: highest, total: total, from: s, into: &capacities)
  }

  /// Newton on sum^-2, which is concave in s = eta - highest: from a start below the root the steps never pass it.
  @inline(__always)
  private static func newton(
    gamma: Span<Double>, pressure: Span<Double>, highest: Double, total: Double, from start: Double,
    into capacities: inout MutableSpan<Double>
  ) {
    let count = gamma.count
    var s = start
    for _ in 0..<200 {
      var sum = 0.0
      var slope = 0.0
      for k in 0..<count where gamma[k] > 0 {
        let distance = s + (highest - pressure[k])
        let capacity = (gamma[k] / distance).squareRoot()
        capacities[k] = capacity
        sum += capacity
        slope += capacity / distance
      }
      let ratio = sum / total
      let next = s + sum / slope * (ratio * ratio - 1)
      if !(next > s) || ratio - 1 <= 1e-15 { return }
      s = next
    }
  }
}
