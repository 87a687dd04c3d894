import Glibc

/// A metric plane around a point of the earth: metres east (x) and north (y) of it.
///
/// Transverse Mercator on the WGS84 ellipsoid with the reference's meridian as the central one and scale 1 there
/// (Krueger's series to the third order): distances are true to 1 in 10,000 within 90 km of that meridian.
public struct LocalPlane: Sendable {
  public let longitude: Double
  public let latitude: Double
  private let originNorth: Double

  private static let n = 1 / (2 * 298.257_223_563 - 1)
  private static let eccentricity = 2 * n.squareRoot() / (1 + n)
  /// Radius of the circle that is as long as a meridian.
  private static let radius = 6_378_137 / (1 + n) * (1 + n * n / 4 + n * n * n * n / 64)
  private static let series = (
    n / 2 - 2 * n * n / 3 + 5 * n * n * n / 16, 13 * n * n / 48 - 3 * n * n * n / 5,
    61 * n * n * n / 240
  )

  /// Degrees.
  public init(longitude: Double, latitude: Double) {
    self.longitude = longitude
    self.latitude = latitude
    originNorth = LocalPlane.coordinates(longitude: 0, latitude: latitude).north
  }

  public func project(longitude: Double, latitude: Double) -> (x: Double, y: Double) {
    var difference = longitude - self.longitude
    if difference > 180 { difference -= 360 } else if difference < -180 { difference += 360 }
    let place = LocalPlane.coordinates(longitude: difference, latitude: latitude)
    return (place.east, place.north - originNorth)
  }

  /// The longitude and latitude of a place, by going back from where an estimate is projected to.
  ///
  /// It is true to a micrometre within some hundred kilometres; further out it may be less, and NaN where nothing is.
  public func position(x: Double, y: Double) -> (longitude: Double, latitude: Double) {
    var place = (longitude: longitude, latitude: latitude)
    for _ in 0..<50 {
      let found = project(longitude: place.longitude, latitude: place.latitude)
      let north = (y - found.y) / 111_132
      let east = (x - found.x) / (111_320 * max(cos(place.latitude * .pi / 180), 1e-6))
      place.latitude = min(90, max(-90, place.latitude + north))
      place.longitude += east
      if abs(north) < 1e-13, abs(east) < 1e-13 { break }
    }
    if place.longitude > 180 { place.longitude -= 360 }
    if place.longitude < -180 { place.longitude += 360 }
    return place
  }

  /// Metres east of the central meridian (degrees from it) and north of the equator.
  private static func coordinates(
    longitude: Double, latitude: Double
  ) -> (east: Double, north: Double) {
    let phi = latitude * .pi / 180
    let lambda = longitude * .pi / 180
    let sine = sin(phi)
    let conformal = sinh(atanh(sine) - eccentricity * atanh(eccentricity * sine))
    let xi = atan2(conformal, cos(lambda))
    let eta = atanh(sin(lambda) / (1 + conformal * conformal).squareRoot())
    var east = eta
    var north = xi
    for (order, factor) in [(2.0, series.0), (4.0, series.1), (6.0, series.2)] {
      east += factor * cos(order * xi) * sinh(order * eta)
      north += factor * sin(order * xi) * cosh(order * eta)
    }
    return (radius * east, radius * north)
  }
}
