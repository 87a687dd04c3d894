/// Limits of one attempt at a run; nil means none.
public struct RunLimits: Sendable, Equatable {
  /// Seconds by the wall clock.
  public var time: Double?
  /// Resident memory in MiB.
  public var memory: Double?

  public init(time: Double? = nil, memory: Double? = nil) {
    self.time = time
    self.memory = memory
  }
}
