internal import Glibc
public import Plan
public import Runs
public import Support
internal import Synchronization

/// Measures what algorithms cost before anything is known: a short piece of one run of each.
///
/// Episodes of a learner's warm-up, of its training and of evaluations differ in cost by orders of magnitude, so each
/// kind is timed by itself and weighed by its number in the run.
public struct Calibration: Sendable {
  /// Seconds spent on one algorithm, beyond the episode that is under way then and a learner's first that trains.
  public var budget = 10.0
  /// Episodes after which enough is known; of a learner, those that train.
  public var maximumEpisodes = 40
  /// Seconds after which a learner that still does not train is given up.
  public var patience = 60.0

  public init() {}

  /// What was measured for one algorithm.
  public struct Sample: Sendable, Equatable {
    public let entry: SweepEntry
    /// Episodes executed.
    public let episodes: Int
    /// Processor seconds of the whole run, divided by its episodes.
    public let secondsPerEpisode: Double
  }

  /// Does one run.
  public typealias Execute = (PlannedRun, any RunContext) throws -> RunEnd

  /// Executes a piece of the largest run of every group of runs that has no estimate yet.
  ///
  /// Nothing is published: the files go to a temporary folder that is removed.
  ///
  /// - Parameters:
  ///   - runs: runs that are not finished, in the plan's order, with what is known of each.
  ///   - execute: does one run; learners are given it with a shorter warm-up.
  /// - Returns: a sample for each group that could be measured, and sentences about those that could not.
  public func measure(
    _ runs: [(entry: SweepEntry, run: PlannedRun)], unknownTo cost: CostEstimate, execute: Execute
  ) throws -> (samples: [Sample], problems: [String]) {
    var samples: [Sample] = []
    var problems: [String] = []
    var groups: [String] = []
    for run in runs where cost.seconds(run.entry) == nil && !groups.contains(run.entry.group) {
      groups.append(run.entry.group)
    }
    for group in groups {
      let members = runs.filter { $0.entry.group == group }
      guard let largest = members.max(by: { size($0.run) < size($1.run) }) else { continue }
      do {
        samples.append(try measure(largest.entry, largest.run, execute))
      } catch let error as InputError {
        problems.append("\(largest.entry.label): \(error)")
      }
    }
    return (samples, problems)
  }

  /// Product of the whole-number parameters that make a run large (numbers of vehicles, steps, slots …).
  private func size(_ run: PlannedRun) -> Double {
    var size = 1.0
    let ignored = ["seed", "episodes", "evaluationEpisodes", "evaluationEvery"]
    for key in run.specification.parameters.keys where !ignored.contains(key) {
      if let number = run.specification.integer(key), number > 1 { size *= Double(number) }
    }
    return size
  }

  private func measure(
    _ entry: SweepEntry, _ run: PlannedRun, _ execute: Execute
  ) throws -> Sample {
    let folder = "\(Files.temporaryFolder)/veclab-calibration-\(getpid())-\(entry.kind)"
    try Files.makeFolder(folder)
    defer { try? Files.remove(folder) }
    let schedule = RunSchedule(run.specification)
    let context = CalibrationContext(
      folder: folder, limits: self, isLearner: schedule.trainingEpisodes > 0)
    let end = try execute(schedule.trainingEpisodes > 0 ? shortened(run) : run, context)
    let times = context.episodeTimes
    guard !times.isEmpty else { throw InputError("no episode was finished in the calibration") }
    return Sample(
      entry: entry, episodes: times.count,
      secondsPerEpisode: try seconds(of: run, schedule, times, isFinished: end == .finished)
        / Double(max(schedule.episodes, 1)))
  }

  /// A learner's run in which episodes of every kind come soon: nothing that decides what one of them costs differs.
  private func shortened(_ run: PlannedRun) -> PlannedRun {
    var parameters = run.specification.parameters
    // The first episode of a run pays for the start, too: later ones of the warm-up are those to time.
    if let warmUp = run.specification.integer("warmupEpisodes") {
      parameters["warmupEpisodes"] = .integer(min(warmUp, 3))
    }
    parameters["evaluationEvery"] = .integer(1)
    parameters["evaluationEpisodes"] = .integer(1)
    return PlannedRun(
      specification: run.specification.with(parameters: parameters), label: run.label,
      tracePath: run.tracePath, profilePaths: run.profilePaths,
      checkpointEvery: run.checkpointEvery, patience: run.patience)
  }

  /// Processor seconds of a whole run, from the times of some of its episodes.
  func seconds(
    of run: PlannedRun, _ schedule: RunSchedule, _ times: [EpisodeTime], isFinished: Bool
  ) throws -> Double {
    /// Median of the later half: the first episodes of a kind may be partly of another, or pay for the start.
    func typical(_ kind: RunProgress.EpisodeKind) -> Double? {
      let seconds = times.filter { $0.kind == kind }.map(\.seconds)
      if seconds.isEmpty { return nil }
      return Statistics.quantile(Array(seconds.suffix((seconds.count + 1) / 2)), 0.5)
    }
    let training = typical(.training)
    // A warm-up that is not counted in episodes was not shortened, so its episodes have been seen.
    let warmUpEpisodes = min(
      run.specification.integer("warmupEpisodes")
        ?? times.prefix { $0.kind != .training }.count { $0.kind == .warmUp },
      schedule.trainingEpisodes)
    let trainingEpisodes = schedule.trainingEpisodes - warmUpEpisodes
    if trainingEpisodes > 0 && training == nil && !isFinished {
      throw InputError(
        "no episode trained within \(Int(patience)) s of calibration",
        advice: "Its warm-up is long; finish one run to learn what it costs")
    }
    let warmUp = typical(.warmUp) ?? training ?? 0
    let evaluation = typical(.evaluation) ?? training ?? warmUp
    return Double(warmUpEpisodes) * warmUp + Double(trainingEpisodes) * (training ?? warmUp)
      + Double(schedule.evaluationEpisodes) * evaluation
  }
}

/// Processor seconds of one episode.
struct EpisodeTime {
  let kind: RunProgress.EpisodeKind
  let seconds: Double
}

/// A context that lets a run go on for a while, keeps nothing and notes how long its episodes take.
private final class CalibrationContext: RunContext {
  let folder: String
  private let limits: Calibration
  private let isLearner: Bool
  private struct State {
    var times: [EpisodeTime] = []
    var trained = 0
    var evaluated = 0
    var elapsed = 0.0
  }
  private let start = workSeconds()
  private let state = Mutex(State())

  init(folder: String, limits: Calibration, isLearner: Bool) {
    self.folder = folder
    self.limits = limits
    self.isLearner = isLearner
  }

  func latestCheckpoint(passing check: ([UInt8]) throws -> Void) throws -> [UInt8]? { nil }
  func saveCheckpoint(_ bytes: [UInt8]) throws {}
  func note(instructionSet: String) {}

  func report(_ progress: RunProgress) throws {
    let now = workSeconds() - start
    state.withLock { state in
      let kind = progress.lastEpisode ?? .evaluation
      state.times.append(EpisodeTime(kind: kind, seconds: now - state.elapsed))
      state.elapsed = now
      if kind == .training { state.trained += 1 }
      if kind == .evaluation { state.evaluated += 1 }
    }
  }

  var episodeTimes: [EpisodeTime] { state.withLock { $0.times } }

  var shouldStop: Bool {
    state.withLock { state in
      if isLearner && state.trained == 0 { return state.elapsed > limits.patience }
      // An evaluation follows every episode of training, and is cheaper.
      if state.evaluated == 0 { return false }
      let count = isLearner ? state.trained : state.times.count
      return state.elapsed > limits.budget || count >= limits.maximumEpisodes
    }
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
