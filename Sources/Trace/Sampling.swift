import Support

/// How samples of a vehicle are joined: the two settings that say it, and what follows from them.
public struct Sampling: Sendable, Equatable {
  /// Seconds.
  public var slotLength: Double
  /// Largest distance in time of two samples to interpolate between, seconds.
  public var interpolationGap: Double

  public init(slotLength: Double = 1, interpolationGap: Double = 2) {
    self.slotLength = slotLength
    self.interpolationGap = interpolationGap
  }

  /// Largest time between two samples of a vehicle that make a move, seconds: 2, or what slots and
  /// interpolation allow if that is more.
  var moveTime: Double { max(2, slotLength, interpolationGap) }

  /// Whether vehicles that are sampled every `step` seconds are there at the start of other slots than those
  /// of their samples.
  func isTooFine(for step: Double) -> Bool {
    let multiple = slotLength / step
    let isMultiple = multiple > 0.5 && abs(multiple - multiple.rounded()) <= 1e-6
    return step > interpolationGap + TraceFile.timeTolerance && !isMultiple
  }
}

extension TraceFile {
  /// Pairs of samples that are enough to know the sampling step.
  private static let enoughPairs = 200_000

  private struct IsEnough: Error {}

  /// The median time between neighbouring samples of the same vehicle, seconds; nil if none has two.
  ///
  /// It is what the vehicles are sampled with (`device.fcd.period` of SUMO), whatever steps without them the
  /// trace has. Long traces are judged by their beginning.
  public func samplingStep() -> Double? {
    var gaps: [Double] = []
    var lastTimes = [Double](repeating: .nan, count: header.vehicles)
    try? forEachStep { time, rows in
      for i in rows.indices {
        let gap = time - lastTimes[rows[i].vehicle]
        if !gap.isNaN { gaps.append(gap) }
        lastTimes[rows[i].vehicle] = time
      }
      if gaps.count >= TraceFile.enoughPairs { throw IsEnough() }
    }
    gaps.sort()
    return gaps.isEmpty ? nil : (gaps[(gaps.count - 1) / 2] * 1e6).rounded() / 1e6
  }

  /// What to say where vehicles are sampled too seldom for the settings; nil if that is not so.
  ///
  /// The advice names the settings of experiment files and the options of `veclab inspect`.
  public func samplingAdvice(_ sampling: Sampling) -> (problem: String, advice: String)? {
    guard let step = samplingStep(), sampling.isTooFine(for: step) else { return nil }
    let seconds = CSVWriter.text(of: step)
    var advice =
      "Set interpolationGap (inspect: --interpolation-gap) to \(seconds) or more, or slotLength "
      + "(--slot-length) to a multiple of it"
    if step >= 100 { advice += "; if the times of the input are milliseconds, make them seconds" }
    return (
      "its vehicles are sampled every \(seconds) s, more than the interpolation gap of "
        + "\(CSVWriter.text(of: sampling.interpolationGap)) s, for slots of "
        + "\(CSVWriter.text(of: sampling.slotLength)) s", advice
    )
  }

  /// The error that no vehicle moves, or, if that is why, that samples are too far apart to see it.
  ///
  /// - Parameters:
  ///   - place: Follows "that moves".
  ///   - result: What is impossible without motion.
  func nothingMoves(_ place: String, _ sampling: Sampling, result: String?) -> InputError {
    let ending = result.map { ", so \($0)" } ?? ""
    if let (problem, advice) = samplingAdvice(sampling) {
      return InputError(
        "shows no vehicle that moves\(place): \(problem)\(ending)", file: path, advice: advice)
    }
    return InputError("has no vehicle that moves\(place)\(ending)", file: path)
  }
}
