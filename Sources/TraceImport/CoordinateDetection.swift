import Glibc

/// Tells longitude and latitude from metres by the first rows of the input.
///
/// Motion decides: over a stretch that its speeds say is at least 1 m, a vehicle moves that far (within a factor
/// of 5) either in metres or in degrees on the earth; the two are a factor of 100,000 apart. Standing still is no
/// evidence: positions that are held for several samples count when they change. Values that no longitude and
/// latitude can have do not vote by themselves. Without speeds, more than 0.01 in a second is metres, less than
/// 0.001 with at least 5 decimals degrees. A network's `<location>` goes before motion. If nothing tells, the text
/// does: at least 5 decimals in every x and y, as SUMO writes with `--fcd-output.geo`, in range.
struct CoordinateDetection {
  enum Verdict {
    case metres
    case geographic
    /// x is latitude and y longitude.
    case exchanged
    case undecided
  }

  /// Votes that are enough, and rows after which the detection ends with what it has.
  static let enoughVotes = 32
  static let mostRows = 20_000

  /// A vehicle's last sample, and the place from which its motion is measured.
  private struct Track {
    var time, x, y: Double
    /// Metres by the speeds since then; NaN without speeds.
    var expected = 0.0
    var lastTime, lastSpeed: Double
  }

  private let network: NetworkLocation?
  private(set) var rows = 0
  private(set) var metreVotes = 0
  private(set) var geographicVotes = 0
  private(set) var exchangedVotes = 0
  /// Stretches whose motion fits neither metres nor degrees.
  private(set) var oddStretches = 0
  /// Metres that vehicles should have moved by their speeds.
  private(set) var expectedMetres = 0.0
  private var networkMetres = 0
  private var networkDegrees = 0
  private var areAllInRange = true
  private var areAllExchangeable = true
  private var hasManyDecimals = true
  private var tracks: [Int: Track] = [:]

  init(network: NetworkLocation? = nil) { self.network = network }

  mutating func add(
    vehicle: Int, time: Double, x: Double, y: Double, speed: Double, decimals: Int
  ) {
    rows += 1
    if !CoordinateDetection.isGeographic(x, y) { areAllInRange = false }
    if abs(x) > 90 || abs(y) <= 90 || abs(y) > 180 { areAllExchangeable = false }
    if decimals < 5 { hasManyDecimals = false }
    if let network {
      let isInMetres = network.containsMetres(x: x, y: y)
      let isInDegrees = network.containsDegrees(x: x, y: y)
      if isInMetres && !isInDegrees { networkMetres += 1 }
      if isInDegrees && !isInMetres { networkDegrees += 1 }
    }
    guard var track = tracks[vehicle] else {
      tracks[vehicle] = Track(time: time, x: x, y: y, lastTime: time, lastSpeed: speed)
      return
    }
    let expected = (speed + track.lastSpeed) / 2 * (time - track.lastTime)
    if expected.isFinite { expectedMetres += abs(expected) }
    track.expected += expected
    track.lastTime = time
    track.lastSpeed = speed
    if vote(track, time: time, x: x, y: y, decimals: decimals) {
      track.time = time
      track.x = x
      track.y = y
      track.expected = 0
    }
    tracks[vehicle] = track
  }

  /// Judges the motion since the track's place.
  ///
  /// - Returns: Whether a new stretch begins.
  private mutating func vote(
    _ track: Track, time: Double, x: Double, y: Double, decimals: Int
  ) -> Bool {
    let moved = hypot(x - track.x, y - track.y)
    guard moved > 0 else { return false }
    guard !track.expected.isNaN else {
      let rate = moved / (time - track.time)
      let isInRange =
        CoordinateDetection.isGeographic(x, y)
        && CoordinateDetection.isGeographic(track.x, track.y)
      if rate > 0.01 { metreVotes += 1 }
      if rate < 0.001, decimals >= 5, isInRange { geographicVotes += 1 }
      return true
    }
    guard track.expected >= 1 else { return false }
    func fits(_ metres: Double) -> Bool {
      metres >= track.expected / 5 && metres <= track.expected * 5
    }
    if fits(moved) {
      metreVotes += 1
    } else if CoordinateDetection.isGeographic(x, y),
      fits(CoordinateDetection.metres(x - track.x, y - track.y, latitude: y))
    {
      geographicVotes += 1
    } else if CoordinateDetection.isGeographic(y, x),
      fits(CoordinateDetection.metres(y - track.y, x - track.x, latitude: x))
    {
      exchangedVotes += 1
    } else {
      oddStretches += 1
    }
    return true
  }

  /// Whether a longitude and latitude can have these values.
  static func isGeographic(_ longitude: Double, _ latitude: Double) -> Bool {
    abs(longitude) <= 180 && abs(latitude) <= 90
  }

  /// The length of a small difference in degrees.
  private static func metres(
    _ longitude: Double, _ latitude: Double, latitude parallel: Double
  ) -> Double {
    111_320 * hypot(longitude * cos(parallel * .pi / 180), latitude)
  }

  var verdict: Verdict {
    let votes = [
      metreVotes, geographicVotes, exchangedVotes, oddStretches, networkMetres, networkDegrees,
    ]
    if rows < CoordinateDetection.mostRows, votes.max()! < CoordinateDetection.enoughVotes {
      return .undecided
    }
    return finalVerdict
  }

  /// What motion says; nil if nothing moves as it should in either.
  var motion: Verdict? {
    let most = max(metreVotes, geographicVotes, exchangedVotes)
    if most == 0 { return nil }
    if metreVotes == most { return .metres }
    return geographicVotes == most ? .geographic : .exchanged
  }

  /// The verdict when no more rows come.
  var finalVerdict: Verdict {
    if networkMetres + networkDegrees > 0 {
      return networkMetres >= networkDegrees ? .metres : .geographic
    }
    if let motion { return motion }
    return rows > 0 && areAllInRange && hasManyDecimals ? .geographic : .metres
  }

  /// What to say of the coordinates once they are taken for `verdict`, a sentence each without a full stop.
  func warnings(_ verdict: Verdict) -> [String] {
    var warnings: [String] = []
    let isNamed = networkMetres + networkDegrees > 0
    let most = max(metreVotes, geographicVotes, exchangedVotes)
    let unit = verdict == .geographic ? "longitude and latitude" : "metres"
    if let network, !isNamed, rows > 0 {
      warnings.append(
        "the coordinates of the first \(rows) rows fit neither the metres nor the degrees of "
          + "\(network.file) alone")
    }
    if most == 0 && oddStretches == 0 && expectedMetres >= 10 {
      warnings.append(
        "no position changes, though by their speeds the vehicles of the first \(rows) rows move "
          + "\(Int(min(expectedMetres, 1e15))) m; the coordinates were taken for \(unit)")
    } else if oddStretches > most {
      warnings.append(
        "the vehicles do not move as their speeds say, neither in metres nor in degrees "
          + "(\(oddStretches) of \(oddStretches + most) stretches); the coordinates were taken for "
          + "\(unit)")
    } else if let motion, motion != verdict {
      let fitting =
        switch motion {
        case .metres: "metres"
        case .geographic: "longitude and latitude"
        default: "latitude and longitude exchanged (x is longitude, y latitude)"
        }
      warnings.append(
        "the coordinates were taken for \(unit), but the vehicles move as their speeds say only if "
          + "they are \(fitting)")
    } else if motion == nil && !isNamed && verdict == .geographic {
      warnings.append(
        "nothing moves: by their decimals alone the coordinates were taken for longitude and "
          + "latitude; if they are metres, say so (--coordinates metres, in an experiment file "
          + "'coordinates: metres')")
    }
    if motion == nil && verdict == .metres && rows > 0 && areAllExchangeable && hasManyDecimals {
      warnings.append(
        "the coordinates were taken for metres, but look like latitude and longitude exchanged: x is "
          + "longitude, y latitude")
    }
    return warnings
  }
}
