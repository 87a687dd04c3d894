import Support
import Testing

@Suite struct RandomStreamTests {
  @Test func streamsOfDifferentNamesOrSeedsDiffer() {
    var first: Set<UInt64> = []
    for seed in 0..<50 as Range<UInt64> {
      for name in StreamName.allCases {
        var stream = RandomStream(seed: seed, name)
        #expect(first.insert(stream.next()).inserted, "seed \(seed), \(name)")
      }
    }
  }

  @Test func sameSeedGivesSameSequence() {
    var a = RandomStream(seed: 7, .replay)
    var b = RandomStream(seed: 7, .replay)
    for _ in 0..<100 { #expect(a.next() == b.next()) }
  }

  @Test func savedStateContinuesTheSequence() {
    var stream = RandomStream(seed: 3, .exploration)
    for _ in 0..<17 { _ = stream.next() }
    var copy = RandomStream(state: stream.state)
    for _ in 0..<20 { #expect(stream.next() == copy.next()) }
  }

  /// Numbers of the reference implementation of xoshiro256** (Blackman and Vigna) from state 1, 2, 3, 4.
  @Test func generatorIsXoshiro256StarStar() {
    var stream = RandomStream(state: (1, 2, 3, 4))
    #expect(stream.next() == 11520)
    #expect(stream.next() == 0)
    #expect(stream.next() == 1_509_978_240)
    #expect(stream.next() == 1_215_971_899_390_074_240)
  }

  @Test func momentsAreThoseOfTheDistributions() {
    for seed in 1...5 as ClosedRange<UInt64> {
      var stream = RandomStream(seed: seed, .test)
      let field = RandomField(seed: seed, .fading)
      let count = 40_000
      var normal = (sum: 0.0, squares: 0.0)
      var exponential = 0.0
      var uniform = 0.0
      for i in 0..<count {
        let z = stream.normal()
        normal.sum += z
        normal.squares += z * z
        let e = field.exponential(i, 3, 1)
        #expect(e > 0)
        exponential += e
        let u = field.uniform(i, 0, 2)
        #expect(u >= 0 && u < 1)
        uniform += u
      }
      let n = Double(count)
      // Five standard errors of each mean.
      #expect(abs(normal.sum / n) < 5 / n.squareRoot(), "seed \(seed)")
      #expect(abs(normal.squares / n - 1) < 5 * (2 / n).squareRoot(), "seed \(seed)")
      #expect(abs(exponential / n - 1) < 5 / n.squareRoot(), "seed \(seed)")
      #expect(abs(uniform / n - 0.5) < 5 / (12 * n).squareRoot(), "seed \(seed)")
    }
  }

  @Test func indexCoversItsRangeEvenly() {
    var stream = RandomStream(seed: 11, .test)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[stream.index(below: 7)] += 1 }
    for count in counts { #expect(abs(count - 10_000) < 500) }
  }

  @Test func sampleHasNoRepetition() {
    for seed in 0..<100 as Range<UInt64> {
      var stream = RandomStream(seed: seed, .roles)
      let sample = stream.sample(8, of: 12)
      #expect(Set(sample).count == 8, "seed \(seed)")
      #expect(sample.allSatisfy { (0..<12).contains($0) }, "seed \(seed)")
    }
  }

  @Test func fieldDependsOnEveryIndexAndNotOnOrder() {
    let field = RandomField(seed: 5, .fading)
    var seen: Set<UInt64> = []
    for a in 0..<10 { for b in 0..<10 { for c in 0..<10 { seen.insert(field.bits(a, b, c)) } } }
    #expect(seen.count == 1000)
    #expect(field.bits(1, 2, 3) == RandomField(seed: 5, .fading).bits(1, 2, 3))
  }

  /// Every ordered pair of six is drawn equally often: 200 of 6000, with a deviation of 14.
  @Test func samplesAreUniformAndWithoutRepetition() {
    var stream = RandomStream(seed: 11, .test)
    var counts: [[Int]: Int] = [:]
    for _ in 0..<6000 { counts[stream.sample(2, of: 6), default: 0] += 1 }
    #expect(counts.count == 30 && counts.keys.allSatisfy { $0[0] != $0[1] })
    #expect(counts.values.allSatisfy { abs($0 - 200) < 70 })
    #expect(stream.sample(6, of: 6).sorted() == Array(0..<6))
  }
}
