/// One vehicle at one time step.
public struct TraceRow: Sendable, Equatable, BitwiseCopyable {
  /// Index of the vehicle in the trace, in order of first appearance.
  public var vehicle: Int
  /// Metres, in the coordinates of the trace.
  public var x: Double
  public var y: Double
  /// m/s; NaN where the input gave none.
  public var speed: Double
  /// Distance along the lane in metres (SUMO's `pos`); NaN where the input gave none.
  public var position: Double

  public init(
    vehicle: Int, x: Double, y: Double, speed: Double = .nan, position: Double = .nan
  ) {
    self.vehicle = vehicle
    self.x = x
    self.y = y
    self.speed = speed
    self.position = position
  }
}

/// How the coordinates of a trace relate to the earth.
public enum TraceProjection: Sendable, Equatable {
  /// Metres as the input gave them.
  case none
  /// Metres east and north of a point, projected from longitude and latitude (see `LocalPlane`).
  case localPlane(longitude: Double, latitude: Double)
}

/// What a trace file holds, in numbers.
public struct TraceHeader: Sendable, Equatable {
  /// Time of the first and the last step, seconds.
  public var firstTime: Double
  public var lastTime: Double
  /// Steps, those without a vehicle included.
  public var steps: Int
  /// Rows (a vehicle at a step) in all.
  public var rows: Int
  /// Distinct vehicles.
  public var vehicles: Int
  public var projection: TraceProjection
}

/// The layout of a trace file, version 1. All words are 64 bits, little-endian; numbers are IEEE doubles.
///
///     0    "VECTRACE", version, file bytes, steps, rows, vehicles, blocks, index offset, names offset,
///          names bytes, first time, last time, projection (0, 1), longitude, latitude, 0
///     128  content digest, 64 hexadecimal digits
///     192  SHA-256 of the 192 bytes before, 64 hexadecimal digits
///     256  blocks: steps, rows; per step: time, rows; per row: vehicle, x, y, speed, position
///     ..   index, per block: offset, bytes, SHA-256 (64 digits)
///     ..   names: vehicles + 1 offsets, then UTF-8, padded with zeros to 8 bytes
///
/// A block holds whole steps and ends with the first step that brings it to `blockBytes`, so equal content
/// makes equal blocks. The content digest is the SHA-256 of the projection, of the digests of all blocks, and
/// of the digest of the names.
enum TraceFormat {
  static let magic: [UInt8] = Array("VECTRACE".utf8)
  static let version: UInt64 = 1
  static let headerBytes = 256
  static let digestOffset = 128
  static let checksumOffset = 192
  static let rowBytes = 40
  static let stepBytes = 16
  static let indexEntryBytes = 80
  static let blockBytes = 1 << 20

  /// Words 12 to 14 of the header.
  static func words(of projection: TraceProjection) -> [UInt64] {
    switch projection {
    case .none: [0, 0, 0]
    case .localPlane(let longitude, let latitude):
      [1, longitude.bitPattern, latitude.bitPattern]
    }
  }

  /// What is hashed for the content digest.
  static func contentText(
    projection: TraceProjection, blockDigests: [String], namesDigest: String
  ) -> String {
    var text = "VECTRACE \(version)\n"
    for word in words(of: projection) { text += "\(word)\n" }
    for digest in blockDigests { text += "\(digest)\n" }
    return text + "names \(namesDigest)\n"
  }
}
