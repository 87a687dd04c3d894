import Support

/// Where to put an RSU when the experiment says `auto`.
public enum RSUPlacement {
  /// Distance of the RSU from the road's axis, metres, to the right of the direction of travel (ours).
  public static let distanceFromAxis = 10.0

  /// Cells (see below) that are tried, and the share of the busiest cell's traffic that one must have.
  static let mostPoints = 96
  static let leastShare = 0.25

  /// The point with most windows in which at least `vehicles` vehicles qualify.
  ///
  /// The plane is divided into squares of a tenth of the coverage. The busiest squares, which follow the
  /// densest road, each give one point: the mean position of their rows, moved across to the axis (the mean of
  /// their rows and those of the squares beside) and 10 m to the right of the local direction of travel. Ties go to the larger sum of qualifying vehicles, then to the busier square.
  /// - Throws: `InputError` if no vehicle moves.
  public static func automatic(
    trace: TraceFile, coverage: Double, slots: Int, slotLength: Double, vehicles: Int,
    maximumGap: Double = 2
  ) throws -> (x: Double, y: Double) {
    precondition(coverage > 0 && slots >= 1 && slotLength > 0)
    let points = try candidatePoints(
      trace: trace, coverage: coverage,
      sampling: Sampling(slotLength: slotLength, interpolationGap: maximumGap))
    let slotCount = try trace.slotCount(length: slotLength)
    guard slotCount >= slots else { return points[0] }
    // All points in one pass, or in as many as keep the tables small.
    let cells = max(trace.header.vehicles, slotCount)
    let groupSize = max(1, min(points.count, 16_000_000 / cells))
    var best = (windows: -1, sum: -1, point: points[0])
    var first = 0
    while first < points.count {
      let group = Array(points[first..<min(first + groupSize, points.count)])
      let scores = scores(
        of: group, trace: trace, coverage: coverage, slots: slots, slotLength: slotLength,
        slotCount: slotCount, vehicles: vehicles, maximumGap: maximumGap)
      for (point, score) in zip(group, scores) {
        if (score.windows, score.sum) > (best.windows, best.sum) {
          best = (score.windows, score.sum, point)
        }
      }
      first += groupSize
    }
    return best.point
  }

  /// Per point: windows in which enough vehicles qualify, and the sum of qualifying vehicles over all windows.
  private static func scores(
    of points: [(x: Double, y: Double)], trace: TraceFile, coverage: Double, slots: Int,
    slotLength: Double, slotCount: Int, vehicles: Int, maximumGap: Double
  ) -> [(windows: Int, sum: Int)] {
    let windows = slotCount - slots + 1
    // Per vehicle and point: first and last slot of the stay at hand.
    var open = [Int32](repeating: -1, count: trace.header.vehicles * points.count)
    var last = [Int32](repeating: -2, count: open.count)
    // Per point: change of the number of qualifying vehicles from window to window.
    var changes = [Int32](repeating: 0, count: points.count * (windows + 1))
    func close(_ point: Int, _ first: Int32, _ last: Int32) {
      guard first >= 0, Int(last - first) + 1 >= slots else { return }
      changes[point * (windows + 1) + Int(first)] += 1
      changes[point * (windows + 1) + Int(last) - slots + 2] -= 1
    }
    let clock = SlotClock(start: trace.header.firstTime, length: slotLength)
    trace.forEachSlotRow(clock: clock, slots: slotCount, maximumGap: maximumGap) { row in
      let slot = Int32(row.slot)
      for point in points.indices {
        let dx = row.x - points[point].x
        let dy = row.y - points[point].y
        guard dx * dx + dy * dy <= coverage * coverage else { continue }
        let cell = row.vehicle * points.count + point
        if last[cell] != slot - 1 {
          close(point, open[cell], last[cell])
          open[cell] = slot
        }
        last[cell] = slot
      }
    }
    for cell in open.indices { close(cell % points.count, open[cell], last[cell]) }
    return points.indices.map { point in
      var count = 0
      var score = (windows: 0, sum: 0)
      for window in 0..<windows {
        count += Int(changes[point * (windows + 1) + window])
        score.sum += count
        if count >= vehicles { score.windows += 1 }
      }
      return score
    }
  }

  private struct Square: Hashable {
    var column: Int
    var row: Int
  }

  /// One point beside the road per busy square, the busiest square first.
  private static func candidatePoints(
    trace: TraceFile, coverage: Double, sampling: Sampling
  ) throws -> [(x: Double, y: Double)] {
    var road = RoadSquares(side: max(coverage / 10, 1))
    trace.forEachMove(
      within: sampling.moveTime, row: { road.add($0) }, move: { road.add(from: $0, to: $1) })

    let busiest = road.squares.indices.filter { road.travels[$0].length > 0 }.sorted {
      (-road.moments[$0].count, road.squares[$0].column, road.squares[$0].row)
        < (-road.moments[$1].count, road.squares[$1].column, road.squares[$1].row)
    }
    guard let first = busiest.first else {
      throw trace.nothingMoves("", sampling, result: "there is no road to put an RSU at")
    }
    let least = leastShare * road.moments[first].count
    return busiest.prefix(mostPoints).filter { road.moments[$0].count >= least }.map {
      road.point($0)
    }
  }

  /// The squares of the plane in which vehicles were seen, in the order of their first rows.
  private struct RoadSquares {
    private let side: Double
    private var indices: [Square: Int] = [:]
    private(set) var squares: [Square] = []
    private(set) var moments: [Moments] = []
    private(set) var travels: [Travel] = []

    init(side: Double) { self.side = side }

    mutating func add(_ row: TraceRow) {
      moments[index(row.x, row.y)].add(x: row.x, y: row.y)
    }

    mutating func add(from: TraceRow, to: TraceRow) {
      travels[index(from.x, from.y)].add(from: from, to: to)
    }

    private mutating func index(_ x: Double, _ y: Double) -> Int {
      // Far beyond any road the square no longer matters, but it must not overflow.
      let square = Square(
        column: Int(max(-1e15, min(1e15, (x / side).rounded(.down)))),
        row: Int(max(-1e15, min(1e15, (y / side).rounded(.down)))))
      if let index = indices[square] { return index }
      indices[square] = squares.count
      squares.append(square)
      moments.append(Moments())
      travels.append(Travel())
      return squares.count - 1
    }

    /// Where an RSU stands beside the road through a square.
    func point(_ index: Int) -> (x: Double, y: Double) {
      let direction = travels[index].direction
      let own = RoadAxis(
        originX: moments[index].meanX, originY: moments[index].meanY, directionX: direction.x,
        directionY: direction.y, start: 0, end: 0)
      // The border of a square may run along the road: the squares beside it (not those before and behind it,
      // where the road may bend) hold the rest.
      var travel = Travel()
      var count = 0.0
      var sumX = 0.0
      var sumY = 0.0
      for column in -1...1 {
        for row in -1...1 {
          let centre = squares[index]
          let place = Square(column: centre.column + column, row: centre.row + row)
          guard let beside = indices[place],
            abs(own.along(x: moments[beside].meanX, y: moments[beside].meanY)) <= side / 2
          else { continue }
          travel.add(travels[beside])
          count += moments[beside].count
          sumX += moments[beside].count * moments[beside].meanX
          sumY += moments[beside].count * moments[beside].meanY
        }
      }
      let isReversed =
        travel.direction.x * direction.x + travel.direction.y * direction.y < 0
      let rightward = isReversed ? distanceFromAxis : -distanceFromAxis
      let toAxis = own.across(x: sumX / count, y: sumY / count)
      return own.point(along: 0, across: toAxis + rightward)
    }
  }
}
