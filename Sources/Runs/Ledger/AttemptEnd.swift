/// How an attempt at a run ended, kept in the attempt's `cause.json`.
public struct AttemptEnd: Sendable, Equatable, Codable {
  /// What decides whether a run is tried again.
  public enum Kind: String, Sendable, CaseIterable, Codable {
    /// The result was published; asked for only when that result has been damaged since.
    case finished
    /// Stopped on request after a checkpoint.
    case stopped
    /// The checkpoint could not be used and was put aside: the next attempt starts anew.
    case restarted
    /// Another process had taken the run over, or had already published it.
    case superseded
    /// The process disappeared: kill -9, power cut, lost node.
    case lost
    /// The process crashed by its own fault.
    case crashed
    case outOfMemory
    /// A file of the run could not be written or read.
    case storage
    /// The run took longer than its limit.
    case timeLimit
    /// The run's input is wrong; another attempt would end the same way.
    case badInput
    /// Any other error of the run.
    case failed
  }

  public var kind: Kind
  public var message: String
  /// Whether the attempt left a checkpoint of its own.
  public var hasAdvanced: Bool

  public init(_ kind: Kind, _ message: String, hasAdvanced: Bool = false) {
    self.kind = kind
    self.message = message
    self.hasAdvanced = hasAdvanced
  }

  private enum CodingKeys: String, CodingKey {
    case kind, message
    case hasAdvanced = "advanced"
  }

  /// Whether a run is tried again after its attempts so far.
  public enum Verdict: Sendable, Equatable {
    /// Yes, so many seconds after somebody has looked at it first.
    case again(after: Double)
    /// No: it has failed.
    case never
  }

  /// Attempts that may end by the run's own crash, want of memory or storage trouble.
  public static let maximumFaults = 3
  /// Attempts in a row that may disappear without a new checkpoint: these are seldom the run's fault.
  public static let maximumLosses = 50

  /// The rule for trying again.
  ///
  /// - Parameter ends: ends of the attempts since the last `--retry`, oldest first.
  public static func verdict(_ ends: [AttemptEnd]) -> Verdict {
    guard let last = ends.last else { return .again(after: 0) }
    switch last.kind {
    case .badInput, .failed, .timeLimit: return .never
    case .finished, .stopped, .restarted, .superseded: return .again(after: 0)
    case .crashed, .outOfMemory, .storage:
      let faults = ends.count { [.crashed, .outOfMemory, .storage].contains($0.kind) }
      return faults >= maximumFaults ? .never : .again(after: faults == 1 ? 1 : 4)
    case .lost:
      var losses = 0
      for end in ends.reversed() {
        guard end.kind == .lost, !end.hasAdvanced else { break }
        losses += 1
      }
      if losses >= maximumLosses { return .never }
      return .again(after: losses <= 3 ? 0 : min(Double(1 << min(losses - 4, 5)), 30))
    }
  }
}
