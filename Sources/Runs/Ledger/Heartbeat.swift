internal import Glibc
internal import Support

/// A sign of life of an attempt, overwritten in place about once a second.
///
/// The file is one record of fixed length, closed by a checksum. It holds no time of day: an observer calls an
/// attempt stale when the bytes have not changed for a whole lease of the observer's own monotonic clock, so
/// that setting a machine's clock, or clocks that differ between machines, has no effect.
public struct Heartbeat: Sendable, Equatable, Codable {
  /// Raised with every beat.
  var beat = 0
  /// Seconds since the attempt began.
  public var elapsed = 0.0
  /// Seconds since the run last said how far it is.
  public var quiet = 0.0
  /// Episodes that were already done when the attempt said so first.
  public var firstEpisode = 0
  /// Seconds since the attempt began at which it said so first.
  public var firstElapsed = 0.0
  /// Resident memory in MiB.
  public var memory = 0.0
  private var episode: Int?
  private var episodes: Int?
  private var stage: String?

  static let length = 512

  init() {}

  /// How far the run is; nil before it has said so. A record has room for 30 characters of the stage.
  public var progress: RunProgress? {
    get {
      guard let episode, let episodes else { return nil }
      return RunProgress(episode: episode, episodes: episodes, stage: stage ?? "")
    }
    set {
      episode = newValue?.episode
      episodes = newValue?.episodes
      stage = newValue.map { String($0.stage.unicodeScalars.prefix(30)) }
    }
  }

  /// Episodes a second in this attempt; nil before the second report.
  public var speed: Double? {
    guard let progress, progress.episode > firstEpisode, elapsed - quiet > firstElapsed else {
      return nil
    }
    return Double(progress.episode - firstEpisode) / (elapsed - quiet - firstElapsed)
  }

  /// Seconds that the run still needs at the speed so far.
  public var secondsLeft: Double? {
    guard let progress, let speed else { return nil }
    return max(Double(progress.episodes - progress.episode) / speed - quiet, 0)
  }

  /// The record: text, blanks, checksum, line feed.
  var record: [UInt8] {
    let space = Heartbeat.length - 17
    var bytes = (try? JSONValue(encoding: self)).map { Array($0.canonical.utf8) } ?? []
    if bytes.isEmpty || bytes.count > space { bytes = Array("{}".utf8) }
    bytes += [UInt8](repeating: 32, count: space - bytes.count)
    return bytes + Array(Heartbeat.checksum(bytes[...]).utf8) + [10]
  }

  /// Nil for a record that is torn or damaged.
  package init?(record: [UInt8]) {
    guard record.count == Heartbeat.length else { return nil }
    let text = record[..<(Heartbeat.length - 17)]
    guard
      record[(Heartbeat.length - 17)...].dropLast().elementsEqual(
        Heartbeat.checksum(text).utf8),
      let heartbeat: Heartbeat = try? JSONValue(parsing: Array(text)).decoded()
    else { return nil }
    self = heartbeat
  }

  /// FNV-1a, 64 bits: it tells a torn record, not a forged one.
  private static func checksum(_ bytes: ArraySlice<UInt8>) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

/// The heartbeat file of an attempt, held open by its owner.
final class HeartbeatFile: Sendable {
  private let descriptor: Int32
  private let path: String

  init(path: String) throws {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw Files.failure("create", path) }
  }

  deinit { close(descriptor) }

  func write(_ heartbeat: Heartbeat) throws {
    let record = heartbeat.record
    let count = record.withUnsafeBytes { pwrite(descriptor, $0.baseAddress!, $0.count, 0) }
    guard count == record.count else { throw Files.failure("write", path) }
  }
}

/// Watches the attempts of others from one process and tells which have stopped beating.
package struct HeartbeatObserver {
  /// Seconds without a change after which an attempt counts as abandoned.
  let lease: Double
  private var seen: [String: (bytes: [UInt8], since: Double, hasChanged: Bool)] = [:]

  package init(lease: Double) { self.lease = lease }

  package enum Sight: Equatable {
    /// Not yet watched for long enough to know.
    case unknown
    /// The heart has beaten while being watched.
    case alive
    /// No beat for a whole lease.
    case stale
  }

  /// Compares an attempt's heartbeat with what was seen before; `attempt` is any name for it.
  package mutating func look(_ attempt: String, _ bytes: [UInt8], now: Double = monotonicSeconds())
    -> Sight
  {
    guard let before = seen[attempt] else {
      seen[attempt] = (bytes, now, false)
      return .unknown
    }
    if before.bytes != bytes {
      seen[attempt] = (bytes, now, true)
      return .alive
    }
    if now - before.since >= lease { return .stale }
    return before.hasChanged ? .alive : .unknown
  }

  /// Seconds since this process first asked about something.
  package mutating func seconds(since event: String, now: Double = monotonicSeconds()) -> Double {
    guard let before = seen[event] else {
      seen[event] = ([], now, false)
      return 0
    }
    return now - before.since
  }
}
