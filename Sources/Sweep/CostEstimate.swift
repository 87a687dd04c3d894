public import Runs
internal import Support

/// What runs cost, learnt from finished ones.
///
/// The measure is processor seconds an episode: the median over finished runs of the same kind (all parameters but
/// the seed and the numbers of episodes), else of the same algorithm. A run of a kind that nothing is known about has no estimate.
public struct CostEstimate: Sendable {
  private var byKind: [String: [Double]] = [:]
  private var byGroup: [String: [Double]] = [:]

  public init() {}

  /// Learns from a finished run.
  public mutating func learn(_ entry: SweepEntry, secondsPerEpisode: Double) {
    guard secondsPerEpisode.isFinite, secondsPerEpisode >= 0 else { return }
    byKind[entry.kind, default: []].append(secondsPerEpisode)
    byGroup[entry.group, default: []].append(secondsPerEpisode)
  }

  /// Learns from the provenance of every finished run among entries.
  ///
  /// - Returns: how many there were.
  @discardableResult
  public mutating func learn(from ledger: RunLedger, _ entries: [SweepEntry]) -> Int {
    var count = 0
    for entry in entries where ledger.isComplete(entry.run) {
      guard let seconds = CostEstimate.secondsPerEpisode(ledger, entry) else { continue }
      learn(entry, secondsPerEpisode: seconds)
      count += 1
    }
    return count
  }

  /// Processor seconds an episode of a finished run; nil when its provenance does not tell.
  static func secondsPerEpisode(_ ledger: RunLedger, _ entry: SweepEntry) -> Double? {
    let path = ledger.resultFolder(entry.run) + "/" + Provenance.fileName
    guard let provenance = try? JSONValue(path: path),
      let seconds = provenance["cpuSeconds"]?.numberValue,
      let total = provenance["episodes"]?.integerValue
    else { return nil }
    let done = provenance["episodesOfThisAttempt"]?.integerValue ?? total
    guard done > 0 else { return nil }
    return seconds / Double(done)
  }

  /// Processor seconds that a run is expected to take; nil when nothing like it has been seen.
  public func seconds(_ entry: SweepEntry) -> Double? {
    (byKind[entry.kind] ?? byGroup[entry.group]).map {
      Statistics.quantile($0, 0.5) * Double(max(entry.episodes, 1))
    }
  }

  /// The cost of many runs.
  public struct Total: Sendable, Equatable {
    /// Processor seconds of the runs with an estimate.
    public var seconds = 0.0
    /// The dearest single run: the sweep cannot end sooner.
    public var longest = 0.0
    public var estimated = 0
    /// Runs that nothing is known about.
    public var unknown = 0
    /// Algorithms of those.
    public var unknownGroups: [String] = []

    /// Seconds until the end with so many workers, if every run starts as soon as one is free.
    public func duration(workers: Int) -> Double {
      max(seconds / Double(max(workers, 1)), longest)
    }
  }

  /// Adds up the runs that are not finished.
  public func total(_ entries: [SweepEntry]) -> Total {
    var total = Total()
    for entry in entries {
      if let seconds = seconds(entry) {
        total.seconds += seconds
        total.longest = max(total.longest, seconds)
        total.estimated += 1
      } else {
        total.unknown += 1
        if !total.unknownGroups.contains(entry.group) { total.unknownGroups.append(entry.group) }
      }
    }
    return total
  }
}
