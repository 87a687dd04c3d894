internal import Support

/// Where a learner's measures stand, from the `progress.csv` that a running attempt keeps.
public struct LearningProgress: Sendable, Equatable {
  /// The measure that algorithms are compared by, e.g. `mean_delay_s`; less is better.
  public let measure: String
  /// Mean over the first episodes.
  public let first: Double
  /// Mean over the latest episodes.
  public let last: Double
  /// Episodes that each mean is over, at most 10.
  public let episodes: Int

  /// - Returns: nil while there is no curve of at least two episodes.
  init?(path: String) {
    guard let bytes = try? Files.read(path, limit: 1 << 26),
      // The last line may be half written.
      let end = bytes.lastIndex(of: UInt8(ascii: "\n")),
      let table = try? CSVTable(text: String(decoding: bytes[...end], as: UTF8.self), file: path),
      table.columns.count > 2
    else { return nil }
    let values = table.rows.compactMap { Double($0[2]) }
    let count = min(10, values.count / 2)
    guard count > 0 else { return nil }
    measure = table.columns[2]
    episodes = count
    first = Statistics.mean(Array(values.prefix(count)))
    last = Statistics.mean(Array(values.suffix(count)))
  }

  /// `mean_delay_s 24.7 at first, 3.1 now`.
  public var sentence: String { "\(measure) \(short(first)) at first, \(short(last)) now" }

  var json: JSONValue {
    .object([
      "measure": .text(measure), "first": .number(first), "last": .number(last),
      "episodes": .integer(episodes),
    ])
  }
}
