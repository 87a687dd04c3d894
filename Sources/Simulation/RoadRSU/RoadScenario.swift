internal import Support
public import Trace

/// Where the episodes of the road model take place: the windows of a trace, or windows held in memory.
public enum RoadWindows: Sendable {
  /// Candidate windows of a trace, in order of time, apart for training and evaluation.
  case trace(
    QualifyingWindows, train: [QualifyingWindows.Candidate], eval: [QualifyingWindows.Candidate])
  /// Windows in memory, the same for training and evaluation; every vehicle must be present throughout.
  case memory([TraceWindow])

  func count(_ phase: Phase) -> Int {
    switch self {
    case .trace(_, let train, let eval): phase == .train ? train.count : eval.count
    case .memory(let windows): windows.count
    }
  }

  func window(_ index: Int, _ phase: Phase) -> TraceWindow {
    switch self {
    case .trace(let qualifying, let train, let eval):
      qualifying.window(phase == .train ? train[index] : eval[index])
    case .memory(let windows): windows[index]
    }
  }

  /// The windows of a trace in which enough vehicles are present throughout.
  ///
  /// The trace is cut in two by time: a window is for training if it ends no later than the cut, for evaluation
  /// if it starts no earlier.
  /// - Throws: `InputError` when one of the two has no window, with the best window's vehicles and advice.
  init(trace: TraceFile, parameters: ParameterValues) throws {
    let slots = parameters.integer("slots")
    let vehicles = parameters.integer("vehicles")
    let stride = parameters.integer("windowStride")
    let qualifying = try QualifyingWindows(
      trace: trace, rsuX: 0, rsuY: 0, coverage: .infinity, slots: slots,
      slotLength: parameters.number("slotLength"), maximumGap: parameters.number("maximumGap"))
    let first = trace.header.firstTime
    let last = trace.header.lastTime
    let cut = first + parameters.number("trainShare") * (last - first)
    // Slot times are rounded to a nanosecond.
    let tolerance = 1e-6
    let candidates = qualifying.candidates.filter { $0.firstSlot % stride == 0 }
    func pick(
      _ part: String, _ isInPart: (QualifyingWindows.Candidate) -> Bool
    ) throws -> [QualifyingWindows.Candidate] {
      let all = candidates.filter(isInPart)
      let chosen = all.filter { $0.vehicles >= vehicles }
      if !chosen.isEmpty { return chosen }
      let length = CSVWriter.text(of: Double(slots) * parameters.number("slotLength"))
      guard let best = all.map(\.vehicles).max() else {
        throw InputError(
          "the trace is too short: its part for \(part) holds no window of \(length) s",
          file: trace.path, key: "slots", value: "\(slots)",
          advice: "Take fewer slots, another trainShare, or a longer trace")
      }
      throw InputError(
        "no window for \(part) has so many vehicles that are present for all its \(length) s: "
          + "the best has \(best)", file: trace.path, key: "vehicles", value: "\(vehicles)",
        advice: best > 0
          ? "Take at most \(best) vehicles, fewer slots, or a trace with more traffic"
          : "Take fewer slots or a trace in which vehicles stay longer")
    }
    let train = try pick("training") { $0.endTime <= cut + tolerance }
    let eval = try pick("evaluation") { $0.startTime >= cut - tolerance }
    self = .trace(qualifying, train: train, eval: eval)
  }
}

/// Where the RSUs stand.
enum RoadPlacement {
  /// Positions of the RSUs: the given ones, or a row beside the road, centred on its extent.
  static func positions(
    axis: RoadAxis, parameters: ParameterValues
  ) throws -> (x: [Double], y: [Double]) {
    if case .list(let points) = parameters["rsuPositions"] {
      var x: [Double] = []
      var y: [Double] = []
      for point in points {
        guard case .list(let pair) = point, pair.count == 2,
          case .number(let pointX) = pair[0], case .number(let pointY) = pair[1]
        else {
          throw InputError(
            "must be [x, y] in metres", key: "rsuPositions", value: point.text)
        }
        x.append(pointX)
        y.append(pointY)
      }
      return (x, y)
    }
    let spacing = parameters.number("rsuSpacing")
    let length = axis.end - axis.start
    let count: Int
    switch parameters["rsuCount"] {
    case .integer(let value): count = value
    default:
      // The outermost RSUs stand at the road's ends or beyond, so that every point lies between two.
      let gaps = (length / spacing).rounded(.up)
      guard gaps < 1000 else {
        throw InputError(
          "needs more than 1000 RSUs for a road of \(CSVWriter.text(of: length.rounded())) m",
          key: "rsuCount", value: "cover", advice: "Take a greater rsuSpacing")
      }
      count = max(Int(gaps), 1) + 1
    }
    let middle = (axis.start + axis.end) / 2
    let offset = parameters.number("rsuOffset")
    let points = (0..<count).map { index in
      axis.point(
        along: middle + (Double(index) - Double(count - 1) / 2) * spacing, across: -offset)
    }
    return (points.map(\.x), points.map(\.y))
  }
}
