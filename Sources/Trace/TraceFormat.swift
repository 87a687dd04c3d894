import Support

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

/// The layout of a trace file, version 2. All words are 64 bits, little-endian; numbers are IEEE doubles.
///
///     0    "VECTRACE", version, file bytes, steps, rows, vehicles, blocks, index offset, names offset,
///          names bytes, first time, last time, projection (0, 1), longitude, latitude,
///          notes bytes (0 in version 1)
///     128  content digest, 64 hexadecimal digits
///     192  SHA-256 of the 192 bytes before, 64 hexadecimal digits
///     256  blocks: steps, rows; per step: time, rows; per row: vehicle, x, y, speed, position
///     ..   index, per block: offset, bytes, SHA-256 (64 digits)
///     ..   names: vehicles + 1 offsets, then UTF-8, padded with zeros to 8 bytes
///     ..   notes, if any: SHA-256 of the rest (64 digits), UTF-8, a note per line
///
/// A block holds whole steps and ends with the first step that brings it to `blockBytes`, so equal content
/// makes equal blocks. The content digest is the SHA-256 of the projection, of the digests of all blocks, and
/// of the digest of the names: it is the same for all versions, and notes are no part of it.
enum TraceFormat {
  static let magic: [UInt8] = Array("VECTRACE".utf8)
  static let version: UInt64 = 2
  /// Those that can be read.
  static let versions: ClosedRange<UInt64> = 1...2
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
    var text = "VECTRACE 1\n"
    for word in words(of: projection) { text += "\(word)\n" }
    for digest in blockDigests { text += "\(digest)\n" }
    return text + "names \(namesDigest)\n"
  }

  /// The bytes of some notes.
  static func bytes(ofNotes notes: [String]) -> [UInt8] {
    guard !notes.isEmpty else { return [] }
    let lines = notes.map { String($0.map { $0.isNewline ? " " : $0 }) }
    let text = Array(lines.joined(separator: "\n").utf8)
    return Array(SHA256Digest.hex(of: text).utf8) + text
  }

  /// The notes in bytes; nil if they are damaged.
  static func notes(in bytes: ArraySlice<UInt8>) -> [String]? {
    if bytes.isEmpty { return [] }
    let text = bytes.dropFirst(64)
    guard bytes.prefix(64).elementsEqual(SHA256Digest.hex(of: Array(text)).utf8) else { return nil }
    return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}
