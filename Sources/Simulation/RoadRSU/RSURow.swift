internal import Support
internal import Trace

extension EpisodeWindows {
  /// The windows of a trace through which enough vehicles are present.
  ///
  /// - Throws: `InputError` when evaluation, or training if needed, has none, with the best window's vehicles and advice.
  init(road trace: TraceFile, parameters: ParameterValues, needsTraining: Bool) throws {
    let vehicles = parameters.integer("vehicles")
    var needed = (key: "vehicles", count: vehicles)
    if case .integer(let count) = parameters["windowVehicles"] {
      needed = ("windowVehicles", count)
    }
    try self.init(
      qualifying: QualifyingWindows(
        trace: trace, rsuX: 0, rsuY: 0, coverage: .infinity, slots: parameters.integer("slots"),
        slotLength: parameters.number("slotLength"),
        maximumGap: parameters.number("interpolationGap")),
      trace: trace, vehicles: needed.count, trainShare: parameters.number("trainShare"),
      place: "on the road", key: needed.key,
      advice: "Fewer vehicles, fewer slots or a trace with more traffic would help",
      needsTraining: needsTraining)
  }
}

/// Where the RSUs stand.
enum RSURow {
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
