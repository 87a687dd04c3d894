import Support
import Testing

@Suite struct StatisticsTests {
  @Test func meanDeviationAndQuantilesByHand() {
    let values = [4.0, 1, 3, 2]
    #expect(Statistics.mean(values) == 2.5)
    #expect(abs(Statistics.standardDeviation(values) - 1.2909944487358056) < 1e-15)
    #expect(Statistics.quantile(values, 0.5) == 2.5)
    #expect(abs(Statistics.quantile(values, 0.95) - 3.85) < 1e-12)
    #expect(Statistics.quantile(values, 0) == 1)
    #expect(Statistics.quantile(values, 1) == 4)
    #expect(Statistics.mean([]).isNaN)
    #expect(Statistics.standardDeviation([1]).isNaN)
  }

  /// Table values of Student's t (two-sided 95 %), to the digits of the tables.
  @Test(arguments: [
    (1.0, 12.7062047364), (2, 4.3026527299), (4, 2.7764451052), (9, 2.2621571628),
    (30, 2.0422724563),
  ])
  func studentQuantiles(degrees: Double, expected: Double) {
    let quantile = Statistics.studentQuantile(0.975, degreesOfFreedom: degrees)
    #expect(abs(quantile - expected) < 1e-8)
    #expect(
      abs(Statistics.studentQuantile(0.025, degreesOfFreedom: degrees) + expected) < 1e-8)
  }

  /// With one degree of freedom Student's t is the Cauchy distribution: P(T <= 1) = 3/4.
  @Test func studentDistributionWithOneDegreeIsCauchy() {
    #expect(abs(Statistics.studentDistribution(1, degreesOfFreedom: 1) - 0.75) < 1e-14)
    #expect(abs(Statistics.studentDistribution(-1, degreesOfFreedom: 1) - 0.25) < 1e-14)
  }

  @Test func studentIntervalByHand() {
    let interval = Statistics.studentInterval([1, 2, 3])
    // 2 ± 4.30265 · 1 / √3
    #expect(abs(interval.low - (2 - 4.302652729911275 / 3.0.squareRoot())) < 1e-9)
    #expect(abs(interval.high - (2 + 4.302652729911275 / 3.0.squareRoot())) < 1e-9)
    #expect(Statistics.studentInterval([1]).low.isNaN)
  }

  @Test func interquartileMeanWeighsTheEndsByTheirShare() {
    #expect(Statistics.interquartileMean([1, 2, 3, 100]) == 2.5)
    // Five values: weights 0, 0.75, 1, 0.75, 0.
    let expected = (0.75 * 2 + 3 + 0.75 * 4) / 2.5
    #expect(abs(Statistics.interquartileMean([5, 4, 3, 2, 1]) - expected) < 1e-15)
    #expect(Statistics.interquartileMean([7]) == 7)
  }

  /// The mean of two draws from 0 and 1 is 0, 1/2 or 1 with probabilities 1/4, 1/2, 1/4.
  @Test func bootstrapIntervalsAreQuantilesOfTheResamples() {
    func interval(_ confidence: Double) -> [Double] {
      let bounds = Statistics.bootstrapInterval(
        [0, 1], confidence: confidence, seed: 1, of: Statistics.mean)
      return [bounds.low, bounds.high]
    }
    #expect(interval(0.4) == [0.5, 0.5])
    #expect(interval(0.6) == [0, 1])
    #expect(interval(0.95) == [0, 1])
  }

  /// The mean of 100 draws from 1...100 has the deviation sqrt(833.25 / 100) and is nearly normal.
  @Test func bootstrapOfAMeanIsAsWideAsItsStandardError() {
    let values = (1...100).map(Double.init)
    let first = Statistics.bootstrapInterval(values, seed: 1, of: Statistics.mean)
    let half = 1.96 * 8.3325.squareRoot()
    #expect(abs(first.low - (50.5 - half)) < 0.4 && abs(first.high - (50.5 + half)) < 0.4)
    let second = Statistics.bootstrapInterval(values, seed: 1, of: Statistics.mean)
    #expect(first.low == second.low && first.high == second.high)
    let other = Statistics.bootstrapInterval(values, seed: 2, of: Statistics.mean)
    #expect(first.low != other.low || first.high != other.high)
  }
}
