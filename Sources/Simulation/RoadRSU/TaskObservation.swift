internal import Glibc
public import Support

/// The state (26) as numbers of about unit size, for agents that learn.
///
/// Per request: position along the road, speed, DNN (one-hot), deadline, battery coefficient, greatest
/// frequencies, time for which the own processor is busy. Per RSU: whether it is in range, position along the
/// road from it, distance, rate, waiting time, queue length.
public struct TaskObservation: Sendable {
  /// Half the length of the road, in metres.
  public let halfLength: Double
  /// In m/s.
  public let speedScale = 30.0
  /// In seconds.
  public let deadlineScale: Double
  public let alphaScale = 3.0
  public let frequencyScale = 1e10
  /// In bit/s.
  public let rateScale: Double
  /// In seconds and in tasks: both enter as ln(1 + value / scale).
  public let waitScale = 1.0
  public let lengthScale = 1.0
  let range: Double
  let typeCount: Int
  let vehicleFrequency: Double
  let rsuFrequency: Double

  init(model: TaskModel, halfLength: Double) {
    self.halfLength = max(halfLength, 1)
    range = model.constants.rsuRange
    deadlineScale = model.types.map(\.deadline).max() ?? 1
    rateScale = model.constants.channel.bandwidth * 10
    typeCount = model.types.count
    vehicleFrequency = model.constants.vehicleFrequency
    rsuFrequency = model.constants.rsuFrequency
  }

  /// Numbers about the request itself.
  public var requestCount: Int { 7 + typeCount }
  /// Numbers about one RSU.
  public static let linkCount = 6

  /// The scales, for the run's record.
  public var scales: JSONValue {
    .object([
      "position_m": .number(halfLength), "speed_mps": .number(speedScale),
      "deadline_s": .number(deadlineScale), "alpha": .number(alphaScale),
      "frequency_hz": .number(frequencyScale), "distance_m": .number(range),
      "rate_bps": .number(rateScale), "wait_s": .number(waitScale),
      "queue_length": .number(lengthScale),
    ])
  }

  /// Appends the numbers about the request.
  public func appendRequest(_ situation: TaskSituation, to values: inout [Float]) {
    values.append(Float(situation.along / halfLength))
    values.append(Float(situation.speed / speedScale))
    for type in 0..<typeCount { values.append(type == situation.type ? 1 : 0) }
    values.append(Float(situation.deadline / deadlineScale))
    values.append(Float(situation.alpha / alphaScale))
    values.append(Float(vehicleFrequency / frequencyScale))
    values.append(Float(rsuFrequency / frequencyScale))
    values.append(Float(log1p(situation.localWait / waitScale)))
  }

  /// Appends the numbers about one RSU; nil (out of range) gives zeros.
  public func appendLink(_ link: RSULink?, to values: inout [Float]) {
    guard let link else {
      for _ in 0..<TaskObservation.linkCount { values.append(0) }
      return
    }
    values.append(1)
    values.append(Float(link.along / range))
    values.append(Float(link.distance / range))
    values.append(Float(link.rate / rateScale))
    values.append(Float(log1p(link.queueWait / waitScale)))
    values.append(Float(log1p(Double(link.queueLength) / lengthScale)))
  }
}
