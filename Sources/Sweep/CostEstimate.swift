public import Runs
internal import Support

/// What runs cost, learnt from finished ones and from calibration.
///
/// The measure is processor seconds an episode: the median over finished runs of the same kind (all parameters but
/// the seed and the numbers of episodes), else what calibration measured of that kind, else of the kind of the same
/// algorithm whose episodes are most alike, in proportion to their work (`RunWork`). What calibration says is corrected by
/// what finished runs of the algorithm have shown. A run of an algorithm that nothing is known about has no estimate.
public struct CostEstimate: Sendable {
  /// Seconds an episode of one kind, by where they come from.
  private struct Kind {
    let work: Double
    var finished: [Double] = []
    var calibrated: Double?
  }
  private var groups: [String: [String: Kind]] = [:]

  public init() {}

  /// Learns from a finished run.
  public mutating func learn(_ entry: SweepEntry, secondsPerEpisode: Double) {
    guard secondsPerEpisode.isFinite, secondsPerEpisode >= 0 else { return }
    groups[entry.group, default: [:]][entry.kind, default: Kind(work: entry.work)].finished.append(
      secondsPerEpisode)
  }

  /// Learns from calibration.
  public mutating func learn(_ entry: SweepEntry, calibrated secondsPerEpisode: Double) {
    guard secondsPerEpisode.isFinite, secondsPerEpisode >= 0 else { return }
    groups[entry.group, default: [:]][entry.kind, default: Kind(work: entry.work)].calibrated =
      secondsPerEpisode
  }

  /// Learns from the provenance of every finished run among entries.
  ///
  /// - Returns: how many there were.
  @discardableResult
  public mutating func learn(from ledger: RunLedger, _ entries: [SweepEntry]) -> Int {
    var count = 0
    for entry in entries where ledger.isComplete(entry.run) {
      guard let past = CostEstimate.past(ledger, entry) else { continue }
      learn(entry, secondsPerEpisode: past.secondsPerEpisode)
      count += 1
    }
    return count
  }

  /// What a finished run took; processor seconds and seconds are those of its last attempt.
  struct Past {
    let secondsPerEpisode: Double
    let processorSeconds: Double
    let seconds: Double
  }

  /// - Returns: nil when the run's provenance does not tell.
  static func past(_ ledger: RunLedger, _ entry: SweepEntry) -> Past? {
    let path = ledger.resultFolder(entry.run) + "/" + Provenance.fileName
    guard let provenance = try? JSONValue(path: path),
      let seconds = provenance["cpuSeconds"]?.numberValue,
      let total = provenance["episodes"]?.integerValue
    else { return nil }
    let done = provenance["episodesOfThisAttempt"]?.integerValue ?? total
    guard done > 0 else { return nil }
    return Past(
      secondsPerEpisode: seconds / Double(done), processorSeconds: seconds,
      seconds: provenance["seconds"]?.numberValue ?? seconds)
  }

  // MARK: What calibration measured, kept in the experiment's folder

  private static let fileName = "costs.json"

  /// Keeps samples for later estimates of the same experiment.
  public static func save(_ samples: [Calibration.Sample], folder: String) throws {
    let path = "\(folder)/\(fileName)"
    let known = (try? JSONValue(path: path))?["points"]?.listValue ?? []
    let kinds = Set(samples.map(\.entry.kind))
    let points =
      known.filter { !kinds.contains($0["kind"]?.textValue ?? "") }
      + samples.map {
        .object([
          "kind": .text($0.entry.kind), "group": .text($0.entry.group),
          "work": .number($0.entry.work), "secondsPerEpisode": .number($0.secondsPerEpisode),
          "point": .text($0.entry.label),
        ])
      }
    try Files.makeFolder(folder)
    try Files.writeAtomically(JSONValue.object(["points": .list(points)]).readable, to: path)
  }

  /// Learns what calibration has measured in an experiment's folder, if it has.
  public mutating func learn(calibrationIn folder: String) {
    let points = (try? JSONValue(path: "\(folder)/\(CostEstimate.fileName)"))?["points"]?.listValue
    for point in points ?? [] {
      guard let kind = point["kind"]?.textValue, let group = point["group"]?.textValue,
        let seconds = point["secondsPerEpisode"]?.numberValue
      else { continue }
      let entry = SweepEntry(
        run: "", kind: kind, group: group, episodes: 1, work: point["work"]?.numberValue ?? 1,
        label: "")
      learn(entry, calibrated: seconds)
    }
  }

  /// Processor seconds that a run is expected to take; nil when nothing like it has been seen.
  public func seconds(_ entry: SweepEntry) -> Double? {
    guard let kinds = groups[entry.group] else { return nil }
    let correction = CostEstimate.correction(kinds)
    func perEpisode(_ kind: Kind) -> Double? {
      kind.finished.isEmpty
        ? kind.calibrated.map { $0 * correction } : Statistics.quantile(kind.finished, 0.5)
    }
    let episodes = Double(max(entry.episodes, 1))
    if let own = kinds[entry.kind], let seconds = perEpisode(own) { return seconds * episodes }
    func distance(_ kind: Kind) -> Double {
      max(kind.work, 1e-300) / max(entry.work, 1e-300)
    }
    func unlikeness(_ kind: Kind) -> Double { max(distance(kind), 1 / distance(kind)) }
    let known = kinds.sorted { $0.key < $1.key }.map(\.value).filter { perEpisode($0) != nil }
    guard let least = known.map(unlikeness).min() else { return nil }
    // Several that are equally alike differ in something that the work does not tell.
    let samples = known.filter { unlikeness($0) == least }.flatMap { kind in
      let own =
        kind.finished.isEmpty ? [kind.calibrated.map { $0 * correction } ?? 0] : kind.finished
      return own.map { $0 / distance(kind) }
    }
    return Statistics.quantile(samples, 0.5) * episodes
  }

  /// Whether a run's own kind has been measured or finished.
  public func knows(_ entry: SweepEntry) -> Bool { groups[entry.group]?[entry.kind] != nil }

  /// How much longer finished runs of an algorithm took than calibration had said.
  private static func correction(_ kinds: [String: Kind]) -> Double {
    let ratios = kinds.sorted { $0.key < $1.key }.compactMap { _, kind -> Double? in
      guard let calibrated = kind.calibrated, calibrated > 0, !kind.finished.isEmpty else {
        return nil
      }
      return Statistics.quantile(kind.finished, 0.5) / calibrated
    }
    return ratios.isEmpty ? 1 : Statistics.quantile(ratios, 0.5)
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

    /// Processor seconds of each run with an estimate, in the order in which they begin.
    public var runs: [Double] = []

    /// Seconds until the end with so many workers, each of which takes the next run as soon as it is free.
    ///
    /// - Parameter share: of a processor that a worker gets, from 0 to 1.
    public func duration(workers: Int, share: Double = 1) -> Double {
      CostEstimate.makespan(runs, workers: workers) / max(share, 0.01)
    }
  }

  /// Time at which the last of some jobs ends, taken in order by workers.
  static func makespan(_ jobs: [Double], workers: Int, busyUntil: [Double] = []) -> Double {
    var ends = busyUntil + [Double](repeating: 0, count: max(max(workers, 1) - busyUntil.count, 0))
    for job in jobs {
      guard let first = ends.indices.min(by: { ends[$0] < ends[$1] }) else { break }
      ends[first] += job
    }
    return ends.max() ?? 0
  }

  /// Adds up the runs that are not finished.
  public func total(_ entries: [SweepEntry]) -> Total {
    var total = Total()
    for entry in entries {
      if let seconds = seconds(entry) {
        total.seconds += seconds
        total.runs.append(seconds)
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
