import Simulation
import Support
import Testing

private func divide(_ gamma: [Double], _ pressure: [Double], _ total: Double = 30) -> [Double] {
  var capacities = [Double](repeating: .nan, count: gamma.count)
  RSUAllocation.divide(gamma: gamma, pressure: pressure, total: total, into: &capacities)
  return capacities
}

private func cost(_ gamma: [Double], _ pressure: [Double], _ capacities: [Double]) -> Double {
  gamma.indices.reduce(0) {
    $0 + (gamma[$1] > 0 ? gamma[$1] / capacities[$1] : 0) - pressure[$1] * capacities[$1]
  }
}

@Suite struct SingleRSUAllocationTests {
  @Test func withoutBacklogsSharesFollowTheRootsOfTheWeights() {
    let f = divide([4, 1, 9], [0, 0, 0])
    for (value, expected) in zip(f, [10.0, 5, 15]) { #expect(close(value, expected)) }
  }

  @Test func oneTypeGetsAll() {
    #expect(divide([0], [0]) == [30])
    #expect(divide([0], [7]) == [30])
    #expect(close(divide([3], [7])[0], 30))
  }

  @Test func nothingToDoIsSharedAlike() {
    #expect(divide([0, 0, 0], [0, 0, 0]) == [10, 10, 10])
  }

  @Test func withoutWeightsTheLongestQueueGetsAll() {
    #expect(divide([0, 0, 0], [1, 5, 2]) == [0, 30, 0])
    #expect(divide([0, 0, 0], [5, 5, 2]) == [30, 0, 0])
  }

  @Test func theLongestQueueWithoutWeightGetsTheRest() {
    // sqrt(4 / (2 - 1)) = 2 and sqrt(9 / (2 - 1)) = 3 at eta = 2 leave 25 of 30.
    #expect(divide([4, 0, 9], [1, 2, 1]) == [2, 25, 3])
  }

  @Test func theLongestQueueWithoutWeightGetsNothingIfTheOthersNeedAll() {
    // At eta = 2 the other wants sqrt(4000 / 1) > 30.
    let f = divide([4000, 0], [1, 2])
    #expect(f[1] == 0)
    #expect(close(f[0], 30))
  }

  @Test func twoTypesByHand() {
    // f = (10, 20) with eta = 3: gamma = f^2 (eta - pressure) = (100 * 2, 400 * 1) for pressures (1, 2).
    let f = divide([200, 400], [1, 2])
    #expect(close(f[0], 10) && close(f[1], 20))
  }

  /// Karush-Kuhn-Tucker: gamma / f^2 + pressure is the same eta where f > 0, and no pressure is above it.
  @Test func conditionsOfTheOptimumHoldOverManySeeds() {
    for seed in 0..<3000 {
      var stream = RandomStream(seed: UInt64(seed), .test)
      let count = 1 + stream.index(below: 6)
      var gamma: [Double] = []
      var pressure: [Double] = []
      for _ in 0..<count {
        let spread = stream.uniform(-6, 8)
        gamma.append(stream.index(below: 4) == 0 ? 0 : power(10, spread))
        pressure.append(
          stream.index(below: 3) == 0 ? 0 : stream.uniform() * power(10, stream.uniform(-6, 5)))
      }
      let f = divide(gamma, pressure)
      let sum = f.reduce(0, +)
      #expect(abs(sum - 30) <= 30e-12, "seed \(seed): sum \(sum)")
      #expect(f.allSatisfy { $0 >= 0 && $0.isFinite }, "seed \(seed): \(f)")
      let eta =
        f.indices.map { k in
          f[k] > 0 ? gamma[k] / (f[k] * f[k]) + pressure[k] : -.infinity
        }.max() ?? 0
      for k in f.indices {
        #expect(gamma[k] == 0 || f[k] > 0, "seed \(seed)")
        #expect(pressure[k] <= eta * (1 + 1e-12), "seed \(seed)")
        if gamma[k] > 0 {
          let own = gamma[k] / (f[k] * f[k]) + pressure[k]
          #expect(abs(own - eta) <= 1e-9 * eta, "seed \(seed): \(own) against \(eta)")
        }
      }
    }
  }

  @Test func noPointOfAFineGridIsBetter() {
    for seed in 0..<60 {
      var stream = RandomStream(seed: UInt64(seed), .test)
      let gamma = (0..<3).map { _ in stream.index(below: 3) == 0 ? 0 : stream.uniform(0, 300) }
      let pressure = (0..<3).map { _ in stream.index(below: 3) == 0 ? 0 : stream.uniform(0, 20) }
      let best = cost(gamma, pressure, divide(gamma, pressure))
      for i in 0...60 {
        for j in 0...(60 - i) {
          let f = [Double(i) / 2, Double(j) / 2, Double(60 - i - j) / 2]
          if zip(gamma, f).contains(where: { $0 > 0 && $1 == 0 }) { continue }
          let other = cost(gamma, pressure, f)
          #expect(best <= other + 1e-9 * abs(other), "seed \(seed): \(f)")
        }
      }
    }
  }

  @Test func weightsOfBothRules() {
    // V [n Q + (1 + (n - 1) / 2) R] with V 10, n 3, R 4, Q 5; as printed Q counts once, users or not.
    #expect(GammaRule.corrected.weight(users: 3, work: 4, backlog: 5, delayWeight: 10) == 230)
    #expect(GammaRule.printed.weight(users: 3, work: 4, backlog: 5, delayWeight: 10) == 130)
    #expect(GammaRule.corrected.weight(users: 0, work: 0, backlog: 5, delayWeight: 10) == 0)
    #expect(GammaRule.printed.weight(users: 0, work: 0, backlog: 5, delayWeight: 10) == 50)
  }
}

private func power(_ base: Double, _ exponent: Double) -> Double {
  // Integer powers and roots are enough for a spread of magnitudes.
  var result = 1.0
  for _ in 0..<Int(abs(exponent)) { result *= base }
  return exponent < 0 ? 1 / result : result
}
