internal import Glibc
public import Support
internal import Synchronization

/// Measures what algorithms cost before anything is known: a short piece of one run of each.
public struct Calibration {
  /// Seconds spent on one algorithm, beyond the episode that is under way then.
  public var budget = 10.0
  /// Episodes after which enough is known.
  public var maximumEpisodes = 40

  public init() {}

  /// What was measured for one algorithm.
  public struct Sample: Sendable, Equatable {
    public let entry: SweepEntry
    public let episodes: Int
    public let secondsPerEpisode: Double
  }

  /// Executes a piece of the largest run of every group of runs that has no estimate yet.
  ///
  /// Nothing is published: the files go to a temporary folder that is removed.
  ///
  /// - Parameters:
  ///   - runs: runs that are not finished, in the plan's order, with what is known of each.
  ///   - execute: does one run.
  /// - Returns: a sample for each group that could be measured, and sentences about those that could not.
  public func measure(
    _ runs: [(entry: SweepEntry, specification: RunSpecification)], unknownTo cost: CostEstimate,
    execute: WorkerLoop.Execute
  ) throws -> (samples: [Sample], problems: [String]) {
    var samples: [Sample] = []
    var problems: [String] = []
    var groups: [String] = []
    for run in runs where cost.seconds(run.entry) == nil && !groups.contains(run.entry.group) {
      groups.append(run.entry.group)
    }
    for group in groups {
      let members = runs.filter { $0.entry.group == group }
      guard let largest = members.max(by: { size($0.specification) < size($1.specification) })
      else { continue }
      do {
        samples.append(try measure(largest.entry, largest.specification, execute))
      } catch let error as InputError {
        problems.append("\(largest.entry.label): \(error)")
      }
    }
    return (samples, problems)
  }

  /// Product of the whole-number parameters that make a run large (numbers of vehicles, steps, slots …).
  private func size(_ specification: RunSpecification) -> Double {
    var size = 1.0
    let ignored = ["seed", "episodes", "evaluationEpisodes", "evaluationEvery"]
    for (key, value) in specification.document["parameters"]?.objectValue ?? [:]
    where !ignored.contains(key) {
      if let number = value.integerValue, number > 1 { size *= Double(number) }
    }
    return size
  }

  private func measure(
    _ entry: SweepEntry, _ specification: RunSpecification, _ execute: WorkerLoop.Execute
  ) throws -> Sample {
    let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    let folder = "\(temporary)/veclab-calibration-\(getpid())-\(entry.kind)"
    try Files.makeFolder(folder)
    defer { try? Files.remove(folder) }
    let context = CalibrationContext(
      folder: folder, budget: budget, maximumEpisodes: maximumEpisodes)
    _ = try execute(specification, context)
    guard let seconds = context.secondsPerEpisode else {
      throw InputError("no episode was finished in the calibration")
    }
    return Sample(entry: entry, episodes: context.count, secondsPerEpisode: seconds)
  }
}

/// A context that lets a run go on for a while, keeps nothing and notes how long its episodes take.
private final class CalibrationContext: RunContext {
  let folder: String
  private let budget: Double
  private let maximumEpisodes: Int
  private let start = processorSeconds()
  private let times = Mutex<[Double]>([])

  init(folder: String, budget: Double, maximumEpisodes: Int) {
    self.folder = folder
    self.budget = budget
    self.maximumEpisodes = maximumEpisodes
  }

  func latestCheckpoint(passing check: ([UInt8]) throws -> Void) throws -> [UInt8]? { nil }
  func note(instructionSet: String) {}
  func saveCheckpoint(_ bytes: [UInt8]) throws {}

  func report(_ progress: RunProgress) throws {
    times.withLock { $0.append(processorSeconds() - start) }
  }

  var count: Int { times.withLock { $0.count } }

  var shouldStop: Bool {
    times.withLock { ($0.last ?? 0) > budget || $0.count >= maximumEpisodes }
  }

  /// Median of the second half: the first episodes of a learner do not train yet.
  var secondsPerEpisode: Double? {
    let times = times.withLock { [0] + $0 }
    let durations = zip(times.dropFirst(), times).map { $0 - $1 }
    guard !durations.isEmpty else { return nil }
    return Statistics.quantile(Array(durations.suffix((durations.count + 1) / 2)), 0.5)
  }
}

extension CostEstimate.Total {
  /// Sentences for people: processor hours, duration, expected end.
  public func text(workers: Int) -> String {
    var text = ""
    if estimated > 0 {
      let hours = seconds / 3600
      let rounded = hours >= 10 ? hours.rounded() : (hours * 1000).rounded() / 1000
      let duration = duration(workers: workers)
      text +=
        "\(CSVWriter.text(of: rounded)) CPU-hours for \(estimated) runs: about "
        + "\(SweepStatus.duration(duration)) with \(workers) workers, until \(end(after: duration))"
        + "; the longest run takes \(SweepStatus.duration(longest))\n"
    }
    if unknown > 0 {
      text +=
        "no estimate for \(unknown) runs of \(unknownGroups.joined(separator: ", ")): "
        + "none of them is finished yet\n"
    }
    return text
  }

  /// Local time of day after so many seconds, as `2026-11-22 21:40`.
  private func end(after seconds: Double) -> String {
    var then = time(nil) + Int(min(seconds, 1e9))
    var parts = tm()
    localtime_r(&then, &parts)
    func two(_ value: Int32) -> String { (value < 10 ? "0" : "") + String(value) }
    return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
      + " \(two(parts.tm_hour)):\(two(parts.tm_min))"
  }

  public var json: JSONValue {
    .object([
      "cpuSeconds": .number(seconds), "longestRunSeconds": .number(longest),
      "estimatedRuns": .integer(estimated), "unknownRuns": .integer(unknown),
    ])
  }
}
