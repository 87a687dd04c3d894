internal import Simulation
internal import Support

/// The lines of `progress.csv`: what a learner measures while it trains, for those who watch.
///
/// They are taken from the rows of `episodes.csv` as these grow, those of a checkpoint included, so that a resumed
/// attempt shows the whole curve.
struct LearningCurve {
  /// Seconds after which what is new is shown.
  private static let interval = Duration.seconds(5)

  /// Places of the shown columns in a row of `episodes.csv`.
  private let places: [Int]
  private let phase: Int
  private var header: [UInt8]
  /// Bytes of `episodes.csv` that are done with.
  private var done: Int
  private var last: ContinuousClock.Instant?

  init<Metrics: EpisodeMetrics>(of metrics: Metrics.Type, episodes: CSVWriter) {
    let shown = ["episode", "return", Metrics.comparedBy, "loss"]
      .filter(episodes.columns.contains)
    places = shown.compactMap { episodes.columns.firstIndex(of: $0) }
    phase = episodes.columns.firstIndex(of: "phase") ?? 1
    header = Array((shown.joined(separator: ",") + "\n").utf8)
    done = (episodes.bytes.firstIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
  }

  /// The lines that are new, with the header before the first; nil while it is too early for more.
  mutating func lines(from episodes: CSVWriter) -> [UInt8]? {
    if let last, last.duration(to: .now) < LearningCurve.interval { return nil }
    guard episodes.bytes.count > done else { return nil }
    last = .now
    var lines = header
    header = []
    for row in episodes.bytes[done...].split(separator: UInt8(ascii: "\n")) {
      let cells = row.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
      guard cells[phase].elementsEqual(Phase.train.rawValue.utf8) else { continue }
      lines += places.map { cells[$0] }.joined(separator: [UInt8(ascii: ",")])
      lines.append(UInt8(ascii: "\n"))
    }
    done = episodes.bytes.count
    return lines
  }
}
