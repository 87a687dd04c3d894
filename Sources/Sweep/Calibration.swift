internal import Glibc
public import Plan
public import Runs
public import Support
internal import Synchronization

/// Measures what runs cost before anything is known: short pieces of some runs of each algorithm.
///
/// Of every algorithm the most expensive point of the grid is measured first, then the cheapest, then those between, as
/// long as time is left; the others follow in proportion (`RunWork`). Episodes of a learner's warm-up, of its training and
/// of evaluations differ in cost by orders of magnitude, so each kind is timed by itself and weighed by its number in the run.
public struct Calibration: Sendable {
  /// Seconds spent on one point, beyond the episode that is under way then and a learner's first that trains.
  public var budget = 3.0
  /// Seconds after which no further point is begun.
  public var totalBudget = 90.0
  /// Episodes after which enough is known; of a learner, those that train.
  public var maximumEpisodes = 40
  /// Seconds after which a learner that still does not train is given up.
  public var patience = 60.0

  /// Whether only a glance is wanted.
  public var isBrief = false

  public init() {}

  /// A glance before a sweep begins.
  public static var brief: Calibration {
    var calibration = Calibration()
    calibration.budget = 0.5
    calibration.totalBudget = 5
    calibration.patience = 8
    calibration.isBrief = true
    return calibration
  }

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

  /// Executes pieces of runs of which no estimate is known.
  ///
  /// Nothing is published: the files go to a temporary folder that is removed.
  ///
  /// - Parameters:
  ///   - runs: runs that are not finished, in the plan's order, with what is known of each.
  ///   - execute: does one run; learners are given it with a shorter warm-up.
  /// - Returns: a sample for each point that was measured, and sentences about algorithms that could not be.
  public func measure(
    _ runs: [(entry: SweepEntry, run: PlannedRun)], unknownTo cost: CostEstimate, execute: Execute
  ) throws -> (samples: [Sample], problems: [String]) {
    var samples: [Sample] = []
    var problems: [String] = []
    var given: Set<String> = []
    let start = monotonicSeconds()
    // The first of every algorithm is measured however long the others have taken.
    for (isFirst, run) in Calibration.order(runs, unknownTo: cost) {
      if given.contains(run.entry.group) { continue }
      if !isFirst && monotonicSeconds() - start > totalBudget { continue }
      do {
        samples.append(try measure(run.entry, run.run, execute))
      } catch let error as InputError {
        given.insert(run.entry.group)
        problems.append("\(run.entry.label): \(error)")
      }
    }
    return (samples, problems)
  }

  /// One run of each kind that is to be measured, algorithms in turn: the dearest points, the cheapest, then the middle.
  private static func order(
    _ runs: [(entry: SweepEntry, run: PlannedRun)], unknownTo cost: CostEstimate
  ) -> [(isFirst: Bool, run: (entry: SweepEntry, run: PlannedRun))] {
    var groups: [String] = []
    var kinds: Set<String> = []
    var points: [String: [(entry: SweepEntry, run: PlannedRun)]] = [:]
    for run in runs where !cost.knows(run.entry) && kinds.insert(run.entry.kind).inserted {
      if points[run.entry.group] == nil { groups.append(run.entry.group) }
      points[run.entry.group, default: []].append(run)
    }
    let queues = groups.map { group in
      bisected((points[group] ?? []).sorted { $0.entry.work > $1.entry.work })
    }
    let longest = queues.map(\.count).max() ?? 0
    return (0..<longest).flatMap { place in
      queues.filter { $0.count > place }.map { (place == 0, $0[place]) }
    }
  }

  /// The first, the last, the middle one, then the middles of the halves and so on.
  private static func bisected<Element>(_ sorted: [Element]) -> [Element] {
    guard sorted.count > 2 else { return sorted }
    var order = [0, sorted.count - 1]
    var gaps = [(0, sorted.count - 1)]
    while !gaps.isEmpty {
      let (low, high) = gaps.removeFirst()
      guard high - low > 1 else { continue }
      let middle = (low + high) / 2
      order.append(middle)
      gaps += [(low, middle), (middle, high)]
    }
    return order.map { sorted[$0] }
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
    // The first episode also paid for the start: the scenario, the networks, the replay buffer.
    let first =
      times.first?.kind == .training ? training : times.first?.kind == .warmUp ? warmUp : evaluation
    let start = max((times.first?.seconds ?? 0) - (first ?? 0), 0)
    return start + Double(warmUpEpisodes) * warmUp
      + Double(trainingEpisodes) * (training ?? warmUp)
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
  ///
  /// - Parameter share: of a processor that a worker gets.
  public func text(workers: Int, share: Double = 1) -> String {
    var text = ""
    if estimated > 0 {
      let duration = duration(workers: workers, share: share)
      text +=
        "\(SweepStatus.processorTime(seconds)) for \(estimated) runs: about "
        + "\(SweepStatus.duration(duration)) with \(workers) \(workers == 1 ? "worker" : "workers"), "
        + "until \(end(after: duration)); the longest run takes "
        + "\(SweepStatus.duration(longest / max(share, 0.01)))\n"
      if share < 0.8 {
        text +=
          "the processors are busy with other work: a worker gets \(Int((100 * share).rounded())) % of one\n"
      }
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

  public func json(workers: Int, share: Double) -> JSONValue {
    .object([
      "cpuSeconds": .number(seconds), "longestRunSeconds": .number(longest),
      "estimatedRuns": .integer(estimated), "unknownRuns": .integer(unknown),
      "workers": .integer(workers), "processorShare": .number(share),
      "seconds": .number(duration(workers: workers, share: share)),
    ])
  }
}
