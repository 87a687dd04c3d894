import Foundation
import Support

/// What to keep of the input, and how to read its coordinates.
public struct ImportOptions: Sendable {
  public enum Coordinates: String, Sendable, CaseIterable {
    /// Metres unless the first rows look like longitude and latitude (see `CoordinateDetection`).
    case auto
    case metres
    case geo
  }

  /// What reads XML; the result is the same.
  public enum Parser: String, Sendable, CaseIterable {
    /// A scanner for what is exactly as SUMO writes it, libxml2 for everything else.
    case automatic = "auto"
    /// The same without vector instructions.
    case scalar
    case libxml2
  }

  /// Corners in the coordinates of the input; the border belongs to it.
  public struct Rectangle: Sendable, Equatable {
    public var x0, y0, x1, y1: Double

    public init(x0: Double, y0: Double, x1: Double, y1: Double) {
      self.x0 = min(x0, x1)
      self.y0 = min(y0, y1)
      self.x1 = max(x0, x1)
      self.y1 = max(y0, y1)
    }
  }

  /// Centre in the coordinates of the input, radius in metres; the border belongs to it.
  public struct Circle: Sendable, Equatable {
    public var x, y, radius: Double

    public init(x: Double, y: Double, radius: Double) {
      self.x = x
      self.y = y
      self.radius = radius
    }
  }

  /// First and last time to keep, seconds, both included. Reading stops after the last.
  public var begin: Double?
  public var end: Double?
  public var rectangle: Rectangle?
  public var circle: Circle?
  /// Vehicle types to keep, with the types that SUMO makes of them for single vehicles (`car@v`); empty: all.
  public var types: [String] = []
  /// Keeps only steps whose time is a multiple of this, seconds.
  public var step: Double?
  public var coordinates = Coordinates.auto
  /// Of the network that the vehicles drive on: tells what `auto` means.
  public var network: NetworkLocation?
  public var parser = Parser.automatic
  /// Threads that inflate and parse, 1 or 2.
  public var threads = 2
  public var limits = ImportLimits()
  /// Bytes that are inflated and scanned at once; nothing else depends on it.
  public var blockBytes = 256 * 1024

  public init() {}

  /// Names with commas between them: blanks around them are not part of them, and XML's references stand for the
  /// characters that they name.
  ///
  /// - Throws: `InputError` if one is empty.
  public static func types(_ text: String) throws -> [String] {
    var names: [String] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      var name = part.trimmingCharacters(in: .whitespaces)
      for (reference, character) in [
        ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#38;", "&"),
        ("&amp;", "&"),
      ] {
        name = name.replacing(reference, with: character)
      }
      guard !name.isEmpty else {
        throw InputError(
          "has an empty name", key: "--types", value: text,
          advice: "Give names with commas between them, like car,bus")
      }
      if !names.contains(name) { names.append(name) }
    }
    return names
  }

  /// A time as seconds, from `12.3`, `HH:MM:SS` or `D:HH:MM:SS`; nil for anything else.
  public static func time(_ text: String) -> Double? {
    Array(text.utf8).withUnsafeBytes { DecimalText.time($0) }
  }
}

/// What an import read and kept.
public struct ImportSummary: Sendable, Equatable {
  /// Steps selected by begin, end and step: all of them are in the trace.
  public var timesteps = 0
  /// Those of them that have no vehicle element in the input.
  public var emptyTimesteps = 0
  /// Rows kept: vehicle elements in the selected steps that pass the filters of place and type.
  public var vehicles = 0
  /// Person and container elements in the selected steps.
  public var persons = 0
  public var containers = 0
  /// Distinct vehicles with at least one row kept.
  public var ids = 0
  /// Time of the first and last selected step, seconds.
  public var firstTime = Double.nan
  public var lastTime = Double.nan
  /// Sums over the rows kept, in their order, of the values as they stand in the input (longitude and latitude
  /// are not projected first); a missing speed counts 0.
  public var sumX = 0.0
  public var sumY = 0.0
  public var sumSpeed = 0.0
  /// Rows kept that have no speed.
  public var rowsWithoutSpeed = 0
  /// Rows left out because SUMO's placeholder for no position stands in them.
  public var rowsWithoutPosition = 0
  /// Rows outside the rectangle because they are no longitude and latitude, where the others are.
  public var impossibleRowsOutside = 0
  /// Whether the input was longitude and latitude.
  public var isGeographic = false
  /// What the user should know, a sentence each without a full stop; the trace keeps them as its notes.
  public var warnings: [String] = []
  /// What stands where timesteps and vehicles do, but is neither, and was left out.
  public var leftOut: [LeftOut] = []
  /// Bytes of XML that were read.
  public var bytes = 0
  /// Digest of the content of the trace file.
  public var digest = ""

  public init() {}
}

/// Content that an import left out.
public struct LeftOut: Sendable, Equatable {
  /// What it is, such as `<vehjcle> in a timestep`.
  public var what: String
  public var count: Int
  /// Line of the first one.
  public var line: Int
}

extension ImportSummary {
  /// Kinds of content that are told apart; the rest is counted as others.
  private static let mostKinds = 16

  mutating func leaveOut(_ what: String, line: Int) {
    var what = what
    if leftOut.count >= ImportSummary.mostKinds, !leftOut.contains(where: { $0.what == what }) {
      what = "other content"
    }
    if let index = leftOut.firstIndex(where: { $0.what == what }) {
      leftOut[index].count += 1
    } else {
      leftOut.append(LeftOut(what: what, count: 1, line: line))
    }
  }

  /// What to say of content that was left out, a sentence each without a full stop.
  var leftOutWarnings: [String] {
    leftOut.map {
      "\($0.what) was left out (\($0.count) times, first in line \($0.line)); the input may be damaged"
    }
  }
}
