import Glibc
import Support

/// The `<location>` of a SUMO network: where it lies in metres and on the earth.
public struct NetworkLocation: Sendable, Equatable {
  /// The network's file.
  public let file: String
  /// x0, y0, x1, y1 in the network's metres.
  public let metres: [Double]
  /// Longitude and latitude of two corners; nil if the network has no projection.
  public let degrees: [Double]?

  /// Bytes of a network that are searched: the element comes before the first edge.
  private static let mostBytes = 1 << 20

  /// Reads the element from a network, plain or gzip.
  ///
  /// - Throws: `InputError` if there is none, or its boundaries are no numbers.
  public init(path: String) throws {
    file = path
    try Files.refuseSpecialFile(path)
    let reader = try InputReader(path: path)
    var text: [UInt8] = []
    var tag: [UInt8]?
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while tag == nil, text.count < NetworkLocation.mostBytes {
      var count = 0
      try piece.withUnsafeMutableBufferPointer { count = try reader.read(into: $0) }
      if count == 0 { break }
      text += piece[0..<count]
      tag = NetworkLocation.tag(in: text)
    }
    guard let tag else {
      throw InputError(
        "has no <location>", file: path, key: "--net",
        advice: "Give the network that SUMO ran on (NAME.net.xml)")
    }
    let attributes = NetworkLocation.attributes(String(decoding: tag, as: UTF8.self))
    metres = try NetworkLocation.boundary("convBoundary", attributes, path)
    let projection = attributes["projParameter"] ?? "!"
    degrees =
      projection == "!" || projection == "-"
      ? nil : try NetworkLocation.boundary("origBoundary", attributes, path)
  }

  /// The first `<location ...>` outside comments.
  private static func tag(in text: [UInt8]) -> [UInt8]? {
    let rest = String(decoding: text, as: UTF8.self)
    var place = rest.startIndex
    while let start = rest[place...].firstRange(of: "<") {
      let ahead = rest[start.lowerBound...]
      if ahead.hasPrefix("<!--") {
        guard let end = ahead.firstRange(of: "-->") else { return nil }
        place = end.upperBound
      } else if ahead.hasPrefix("<location") {
        guard let end = ahead.firstRange(of: ">") else { return nil }
        return Array(ahead[..<end.lowerBound].utf8)
      } else {
        place = start.upperBound
      }
    }
    return nil
  }

  /// `name="value"` pairs.
  private static func attributes(_ tag: String) -> [String: String] {
    var result: [String: String] = [:]
    let parts = tag.split(separator: "\"", omittingEmptySubsequences: false)
    for index in stride(from: 0, to: parts.count - 1, by: 2) {
      let name = parts[index].split(whereSeparator: \.isWhitespace).last?.dropLast() ?? ""
      result[String(name)] = String(parts[index + 1])
    }
    return result
  }

  private static func boundary(
    _ name: String, _ attributes: [String: String], _ path: String
  ) throws -> [Double] {
    let values = (attributes[name] ?? "").split(separator: ",").map { Double($0) ?? .nan }
    guard values.count == 4, values.allSatisfy(\.isFinite) else {
      throw InputError(
        "is no boundary x0,y0,x1,y1", file: path, key: "location \(name)",
        value: attributes[name] ?? "", advice: "Make the network again with netconvert")
    }
    return values
  }

  /// Whether a point lies in the network, a kilometre around it, or a tenth of its extent.
  func containsMetres(x: Double, y: Double) -> Bool {
    NetworkLocation.contains(metres, x, y, margin: 1000)
  }

  /// Whether a longitude and latitude lie in the network or 0.01 degrees around it, or a tenth of its extent.
  func containsDegrees(x: Double, y: Double) -> Bool {
    degrees.map { NetworkLocation.contains($0, x, y, margin: 0.01) } ?? false
  }

  private static func contains(
    _ box: [Double], _ x: Double, _ y: Double, margin: Double
  ) -> Bool {
    let marginX = max(margin, (box[2] - box[0]) / 10)
    let marginY = max(margin, (box[3] - box[1]) / 10)
    return x >= box[0] - marginX && x <= box[2] + marginX && y >= box[1] - marginY
      && y <= box[3] + marginY
  }
}
