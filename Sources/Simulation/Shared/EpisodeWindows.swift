public import Support
public import Trace

/// The windows of a trace that episodes take place in, training and evaluation apart.
public struct EpisodeWindows: Sendable {
  /// Start times on the trace's clock, in seconds.
  public let trainStarts, evaluationStarts: [Double]
  private let load: @Sendable (Phase, Int) -> TraceWindow

  /// Windows that are already in memory.
  public init(train: [TraceWindow], evaluation: [TraceWindow]) {
    trainStarts = train.map(\.startTime)
    evaluationStarts = evaluation.map(\.startTime)
    load = { phase, index in phase == .train ? train[index] : evaluation[index] }
  }

  /// Windows with at least `vehicles` qualifying vehicles that end in the first `trainShare` of the trace's
  /// time (training), or start in the rest (evaluation); none crosses the split.
  ///
  /// - Parameters:
  ///   - place: Where vehicles qualify, `key` the parameters that say how many, `advice` what would help: for
  ///     the error.
  ///   - needsTraining: Whether a trace without a window for training is an error.
  /// - Throws: `InputError` if there is none of a kind that is needed, with the most vehicles that a window has.
  init(
    qualifying: QualifyingWindows, trace: TraceFile, vehicles: Int, trainShare: Double,
    place: String, key: String, advice: String, needsTraining: Bool = true
  ) throws {
    let first = trace.header.firstTime
    let split = qualifying.split(trainShare: trainShare)
    let length = Double(qualifying.slots) * qualifying.slotLength
    let parts = [
      ("training", split.training, trainShare, needsTraining),
      ("evaluation", split.evaluation, 1 - trainShare, true),
    ]
    var chosen: [[QualifyingWindows.Candidate]] = []
    for (name, candidates, share, isNeeded) in parts {
      let fit = candidates.filter { $0.vehicles >= vehicles }
      if fit.isEmpty && isNeeded {
        let duration = short(trace.header.lastTime - first, digits: 6)
        let window = CSVWriter.text(of: length)
        guard let best = candidates.max(by: { $0.vehicles < $1.vehicles }) else {
          throw InputError(
            "no window of \(window) s fits into the \(name) part "
              + "(\(CSVWriter.text(of: (share * 100).rounded())) % of a trace of \(duration) s)",
            file: trace.path, key: "slots", value: "\(qualifying.slots)",
            advice: "Take fewer slots, another trainShare or a longer trace")
        }
        var problem =
          "no window of the \(name) part has \(vehicles) vehicles \(place) in all "
          + "\(qualifying.slots) slots; "
          + "the best one, from \(short(best.startTime, digits: 6)) s, has \(best.vehicles)"
        let cause = trace.samplingAdvice(
          Sampling(
            slotLength: qualifying.slotLength, interpolationGap: qualifying.maximumGap))
        if let cause { problem += "; \(cause.problem)" }
        throw InputError(
          problem, file: trace.path, key: key, value: "\(vehicles)", advice: cause?.advice ?? advice
        )
      }
      chosen.append(fit)
    }
    let windows = chosen
    trainStarts = windows[0].map(\.startTime)
    evaluationStarts = windows[1].map(\.startTime)
    load = { phase, index in qualifying.window(windows[phase == .train ? 0 : 1][index]) }
  }

  /// The window of an episode.
  ///
  /// Training draws uniformly. Evaluation steps through the windows by the golden ratio from a seeded start,
  /// which spreads any number of episodes evenly over the evaluation part.
  func window(episode: Int, phase: Phase, seed: UInt64) -> TraceWindow {
    load(phase, index(episode: episode, phase: phase, seed: seed))
  }

  /// Which of its phase's windows an episode has.
  public func index(episode: Int, phase: Phase, seed: UInt64) -> Int {
    let field = RandomField(seed: seed, .mobilityWindow)
    switch phase {
    case .train:
      var stream = field.stream(0, episode)
      return stream.index(below: trainStarts.count)
    case .eval:
      let position = field.uniform(1) + Double(episode) * 0.618_033_988_749_894_9
      let fraction = position - position.rounded(.down)
      return min(Int(fraction * Double(evaluationStarts.count)), evaluationStarts.count - 1)
    }
  }

  /// Start times as stretches of windows that follow each other slot by slot.
  static func stretches(_ starts: [Double], slotLength: Double) -> JSONValue {
    var result: [JSONValue] = []
    var first = 0
    for i in starts.indices {
      let isLast = i + 1 == starts.count
      if isLast || starts[i + 1] - starts[i] > slotLength * 1.5 {
        result.append(
          .object(["first": .number(starts[first]), "last": .number(starts[i])]))
        first = i + 1
      }
    }
    return .list(result)
  }
}

extension SingleRSUEnvironment {
  /// Evaluation episodes, from 1, whose windows and roles `constants` lists; `backlogs.csv` has them all.
  static let listedEpisodes = 100

  public var constants: JSONValue {
    func numbers(_ values: [Double]) -> JSONValue { .list(values.map { .number($0) }) }
    func windowList(_ starts: [Double]) -> JSONValue {
      .object([
        "count": .integer(starts.count),
        "starts_s": EpisodeWindows.stretches(starts, slotLength: scenario.slotLength),
      ])
    }
    let episodes = (1...SingleRSUEnvironment.listedEpisodes).map { episode in
      let positions = positions(episode: episode, phase: .eval)
      let names = positions.names.map { JSONValue.text($0) }
      return JSONValue.object([
        "episode": .integer(episode), "window_start_s": .number(positions.startTime),
        "clients": .list(Array(names[..<scenario.clients])),
        "service_vehicles": .list(Array(names[scenario.clients...])),
      ])
    }
    return .object([
      "client_capacity_gflops": numbers(scenario.clientCapacity),
      "service_capacity_gflops": numbers(scenario.serviceCapacity),
      "rsu_capacity_gflops": .number(scenario.rsuCapacity),
      "load": .number(scenario.load),
      "offered_gflop_per_slot": .number(scenario.offeredWork),
      "capacity_gflops": .number(scenario.capacity),
      "dnn_types": .list(scenario.typeOfClient.map { .text(scenario.typeNames[$0]) }),
      "rsu_m": numbers([scenario.rsuX, scenario.rsuY]),
      "direction_of_travel": numbers([scenario.axis.directionX, scenario.axis.directionY]),
      "train_windows": windowList(windows.trainStarts),
      "eval_windows": windowList(windows.evaluationStarts),
      "eval_roles": .list(episodes),
      "observation_backlog_scale_gflop": .number(scenario.backlogScale),
      "observation_position_scale_m": .number(scenario.positionScale),
    ])
  }
}
