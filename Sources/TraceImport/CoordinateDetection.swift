/// Tells longitude and latitude from metres by the first rows of the input.
///
/// A value that no longitude or latitude can have means metres at once. Else motion decides: in metres a vehicle
/// moves about as far as speed times time (without speeds: more than 0.01 in a second), in degrees about 1/100,000
/// of that. Only if nothing moves the text decides: at least 5 decimals in every x and y, as SUMO writes with
/// `--fcd-output.geo`.
struct CoordinateDetection {
  enum Verdict {
    case metres
    case geographic
    case undecided
  }

  /// Votes that are enough, and rows after which the detection ends with what it has.
  static let enoughVotes = 32
  static let mostRows = 20_000

  private var rows = 0
  private var metreVotes = 0
  private var geographicVotes = 0
  private var hasManyDecimals = true
  private var isImpossible = false
  private var lastRows: [Int: (time: Double, x: Double, y: Double, speed: Double)] = [:]

  mutating func add(
    vehicle: Int, time: Double, x: Double, y: Double, speed: Double, decimals: Int
  ) {
    rows += 1
    if abs(x) > 180 || abs(y) > 90 { isImpossible = true }
    if decimals < 5 { hasManyDecimals = false }
    if let last = lastRows[vehicle] {
      let expected = (speed + last.speed) / 2 * (time - last.time)
      let dx = x - last.x
      let dy = y - last.y
      let moved = (dx * dx + dy * dy).squareRoot()
      if expected >= 1 {
        if moved > expected / 10 { metreVotes += 1 }
        if moved < expected / 1000 { geographicVotes += 1 }
      } else if expected.isNaN {
        // Without speeds: nothing moves 0.01 degrees in a second, nor (often) less than a millimetre.
        let rate = moved / (time - last.time)
        if rate > 0.01 { metreVotes += 1 }
        if rate > 0, rate < 0.001, decimals >= 5 { geographicVotes += 1 }
      }
    }
    lastRows[vehicle] = (time, x, y, speed)
  }

  var verdict: Verdict {
    if isImpossible { return .metres }
    if rows < CoordinateDetection.mostRows,
      max(metreVotes, geographicVotes) < CoordinateDetection.enoughVotes
    {
      return .undecided
    }
    return finalVerdict
  }

  /// The verdict when no more rows come.
  var finalVerdict: Verdict {
    if isImpossible || rows == 0 { return .metres }
    if metreVotes + geographicVotes > 0 {
      return geographicVotes > metreVotes ? .geographic : .metres
    }
    return hasManyDecimals ? .geographic : .metres
  }
}
