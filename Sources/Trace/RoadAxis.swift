import Support

/// A straight axis along a road, directed as most of the traffic moves.
public struct RoadAxis: Sendable, Equatable {
  public let originX: Double
  public let originY: Double
  /// Unit vector.
  public let directionX: Double
  public let directionY: Double
  /// Least and greatest coordinate along the axis of the rows it was fitted to, metres from the origin.
  public let start: Double
  public let end: Double

  public init(
    originX: Double, originY: Double, directionX: Double, directionY: Double, start: Double,
    end: Double
  ) {
    self.originX = originX
    self.originY = originY
    self.directionX = directionX
    self.directionY = directionY
    self.start = start
    self.end = end
  }

  /// Metres from the origin in the direction of travel.
  public func along(x: Double, y: Double) -> Double {
    (x - originX) * directionX + (y - originY) * directionY
  }

  /// Metres to the left of the axis.
  public func across(x: Double, y: Double) -> Double {
    (y - originY) * directionX - (x - originX) * directionY
  }

  /// The point at coordinates along and (to the left) across the axis.
  public func point(along: Double, across: Double = 0) -> (x: Double, y: Double) {
    (
      originX + along * directionX - across * directionY,
      originY + along * directionY + across * directionX
    )
  }
}

extension RoadAxis {
  /// The axis of a whole trace: the straight line that fits all positions best, through their mean.
  ///
  /// - Parameter sampling: Says how far apart two samples of a vehicle may be to make a move.
  /// - Throws: `InputError` if no vehicle moves.
  public init(trace: TraceFile, sampling: Sampling = Sampling()) throws {
    var moments = Moments()
    var travel = Travel()
    trace.forEachMove(
      within: sampling.moveTime, row: { moments.add(x: $0.x, y: $0.y) },
      move: { travel.add(from: $0, to: $1) })
    guard moments.count > 0, travel.length > 0 else {
      throw trace.nothingMoves("", sampling, result: "its road has no direction")
    }
    let principal = principalDirection(xx: moments.xx, xy: moments.xy, yy: moments.yy)
    let direction = travel.oriented(principal)
    let axis = RoadAxis(
      originX: moments.meanX, originY: moments.meanY, directionX: direction.x,
      directionY: direction.y, start: 0, end: 0)
    self = axis.spanning(trace) { _ in true }
  }

  /// The axis at a point: along the principal direction of travel of the moves within `radius` metres of it.
  ///
  /// The origin is the point itself, so `along` is the scalar position of model 1: 0 at the RSU.
  /// - Parameter sampling: Says how far apart two samples of a vehicle may be to make a move.
  /// - Throws: `InputError` if no vehicle moves near the point.
  public init(
    trace: TraceFile, nearX: Double, nearY: Double, radius: Double,
    sampling: Sampling = Sampling()
  ) throws {
    func isNear(_ x: Double, _ y: Double) -> Bool {
      (x - nearX) * (x - nearX) + (y - nearY) * (y - nearY) <= radius * radius
    }
    var travel = Travel()
    trace.forEachMove(
      within: sampling.moveTime, row: { _ in },
      move: { from, to in
        if isNear((from.x + to.x) / 2, (from.y + to.y) / 2) { travel.add(from: from, to: to) }
      })
    guard travel.length > 0 else {
      var error = trace.nothingMoves(
        " within \(radius) m of (\(nearX), \(nearY))", sampling, result: nil)
      if error.advice == nil {
        error.advice = "Place the RSU at the road, or let it be placed with 'auto'"
      }
      throw error
    }
    let axis = RoadAxis(
      originX: nearX, originY: nearY, directionX: travel.direction.x,
      directionY: travel.direction.y, start: 0, end: 0)
    self = axis.spanning(trace) { isNear($0.x, $0.y) }
  }

  /// The same axis with the extent of the rows that `isIncluded` picks.
  private func spanning(_ trace: TraceFile, _ isIncluded: (TraceRow) -> Bool) -> RoadAxis {
    var least = Double.infinity
    var greatest = -Double.infinity
    trace.forEachStep { _, rows in
      for i in rows.indices where isIncluded(rows[i]) {
        let along = along(x: rows[i].x, y: rows[i].y)
        least = min(least, along)
        greatest = max(greatest, along)
      }
    }
    // Moves near the point may start and end outside the radius: then there is no row to span.
    if least > greatest { (least, greatest) = (0, 0) }
    return RoadAxis(
      originX: originX, originY: originY, directionX: directionX, directionY: directionY,
      start: least, end: greatest)
  }
}

/// Mean and second central moments of points, updated one by one (Welford).
struct Moments {
  var count = 0.0
  var meanX = 0.0
  var meanY = 0.0
  var xx = 0.0
  var xy = 0.0
  var yy = 0.0

  mutating func add(x: Double, y: Double) {
    count += 1
    let dx = x - meanX
    let dy = y - meanY
    meanX += dx / count
    meanY += dy / count
    xx += dx * (x - meanX)
    xy += dx * (y - meanY)
    yy += dy * (y - meanY)
  }
}

/// Sums over displacement vectors, weighted by their length.
struct Travel {
  var length = 0.0
  var sumX = 0.0
  var sumY = 0.0
  var xx = 0.0
  var xy = 0.0
  var yy = 0.0

  mutating func add(from: TraceRow, to: TraceRow) {
    let dx = to.x - from.x
    let dy = to.y - from.y
    let distance = (dx * dx + dy * dy).squareRoot()
    guard distance > 0 else { return }
    length += distance
    sumX += dx
    sumY += dy
    xx += dx * dx / distance
    xy += dx * dy / distance
    yy += dy * dy / distance
  }

  mutating func add(_ other: Travel) {
    length += other.length
    sumX += other.sumX
    sumY += other.sumY
    xx += other.xx
    xy += other.xy
    yy += other.yy
  }

  /// Principal direction, pointing as most of the traffic moves.
  var direction: (x: Double, y: Double) { oriented(principalDirection(xx: xx, xy: xy, yy: yy)) }

  /// A direction turned, if need be, so that most of the traffic moves along it; north or east in a tie.
  func oriented(_ direction: (x: Double, y: Double)) -> (x: Double, y: Double) {
    let dot = sumX * direction.x + sumY * direction.y
    // Traffic that is balanced but for rounding is a tie.
    let isTie = abs(dot) <= 1e-9 * length
    let isBackward =
      isTie ? direction.y < 0 || (direction.y == 0 && direction.x < 0) : dot < 0
    return isBackward ? (-direction.x, -direction.y) : direction
  }
}

/// Unit eigenvector of the larger eigenvalue of a symmetric 2 x 2 matrix.
func principalDirection(xx: Double, xy: Double, yy: Double) -> (x: Double, y: Double) {
  let half = (xx - yy) / 2
  let root = (half * half + xy * xy).squareRoot()
  // Of the two equal forms of the eigenvector, the one without cancellation.
  let x = half >= 0 ? half + root : xy
  let y = half >= 0 ? xy : root - half
  let norm = (x * x + y * y).squareRoot()
  return norm > 0 ? (x / norm, y / norm) : (1, 0)
}

extension TraceFile {
  /// Calls `row` for every row and `move` for every pair of neighbouring samples of a vehicle that are at most
  /// `longest` seconds apart.
  func forEachMove(
    within longest: Double, row: (TraceRow) -> Void, move: (TraceRow, TraceRow) -> Void
  ) {
    var lastTimes = [Double](repeating: -.infinity, count: header.vehicles)
    var lastRows = [TraceRow](
      repeating: TraceRow(vehicle: 0, x: 0, y: 0), count: header.vehicles)
    forEachStep { time, rows in
      for i in rows.indices {
        let current = rows[i]
        row(current)
        let vehicle = current.vehicle
        if time - lastTimes[vehicle] <= longest + TraceFile.timeTolerance {
          move(lastRows[vehicle], current)
        }
        lastTimes[vehicle] = time
        lastRows[vehicle] = current
      }
    }
  }
}
