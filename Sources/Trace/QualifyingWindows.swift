import Support

/// A stretch of consecutive slots that a vehicle spends within range of a point.
public struct Stay: Sendable, Equatable {
  /// Index in the trace.
  public var vehicle: Int
  public var firstSlot: Int
  public var lastSlot: Int

  public var slots: Int { lastSlot - firstSlot + 1 }
}

/// The windows of the single-RSU model in a trace.
///
/// Candidate windows start at `firstTime + n * slotLength` and end within the trace. A vehicle qualifies for a
/// window if it is present, and within `coverage` metres (in two dimensions) of the RSU, at the start of every
/// slot. One pass over the trace finds them all.
public struct QualifyingWindows: Sendable {
  public struct Candidate: Sendable, Equatable {
    /// Index of the window's first slot, counted from the start of the trace.
    public var firstSlot: Int
    public var startTime: Double
    /// `startTime + slots * slotLength`: the end of the last slot.
    public var endTime: Double
    /// Number of vehicles that qualify.
    public var vehicles: Int
  }

  /// All windows in order of time, those without a qualifying vehicle included.
  public let candidates: [Candidate]
  /// When which vehicle was in range: ordered by first slot, then by vehicle.
  public let stays: [Stay]
  /// Slots that start within the trace.
  public let slotCount: Int
  public let slots: Int
  public let slotLength: Double
  private let trace: TraceFile
  /// Largest distance in time of two samples that are interpolated between, seconds.
  public let maximumGap: Double

  /// - Parameters:
  ///   - coverage: Metres.
  ///   - slots: Length of a window.
  ///   - slotLength: Seconds.
  ///   - maximumGap: Largest distance in time of two samples to interpolate between, seconds.
  /// - Throws: `InputError` if the trace is too long for that slot length.
  public init(
    trace: TraceFile, rsuX: Double, rsuY: Double, coverage: Double, slots: Int, slotLength: Double,
    maximumGap: Double = 2
  ) throws {
    precondition(slots >= 1 && slotLength > 0 && maximumGap >= 0)
    self.trace = trace
    self.slots = slots
    self.slotLength = slotLength
    self.maximumGap = maximumGap
    slotCount = try trace.slotCount(length: slotLength)
    let clock = SlotClock(start: trace.header.firstTime, length: slotLength)

    var stays: [Stay] = []
    var open = [Int](repeating: -1, count: trace.header.vehicles)
    var last = [Int](repeating: -2, count: trace.header.vehicles)
    trace.forEachSlotRow(clock: clock, slots: slotCount, maximumGap: maximumGap) { row in
      let dx = row.x - rsuX
      let dy = row.y - rsuY
      guard dx * dx + dy * dy <= coverage * coverage else { return }
      let vehicle = row.vehicle
      if last[vehicle] != row.slot - 1 {
        if open[vehicle] >= 0 {
          stays.append(
            Stay(vehicle: vehicle, firstSlot: open[vehicle], lastSlot: last[vehicle]))
        }
        open[vehicle] = row.slot
      }
      last[vehicle] = row.slot
    }
    for vehicle in open.indices where open[vehicle] >= 0 {
      stays.append(Stay(vehicle: vehicle, firstSlot: open[vehicle], lastSlot: last[vehicle]))
    }
    stays.sort { ($0.firstSlot, $0.vehicle) < ($1.firstSlot, $1.vehicle) }
    self.stays = stays

    let counts = QualifyingWindows.counts(stays: stays, slots: slots, slotCount: slotCount)
    candidates = counts.enumerated().map { first, vehicles in
      Candidate(
        firstSlot: first, startTime: clock.time(first), endTime: clock.time(first + slots),
        vehicles: vehicles)
    }
  }

  /// Number of vehicles that qualify for each window, by its first slot.
  private static func counts(stays: [Stay], slots: Int, slotCount: Int) -> [Int] {
    guard slotCount >= slots else { return [] }
    var changes = [Int](repeating: 0, count: slotCount - slots + 2)
    for stay in stays where stay.slots >= slots {
      changes[stay.firstSlot] += 1
      changes[stay.lastSlot - slots + 2] -= 1
    }
    var count = 0
    return changes.dropLast().map {
      count += $0
      return count
    }
  }

  /// The windows of training, which end in the first `trainShare` of the trace's time, and those of evaluation,
  /// which start in the rest; one across the split is of neither.
  public func split(trainShare: Double) -> (training: [Candidate], evaluation: [Candidate]) {
    let first = trace.header.firstTime
    // Rounded to a nanosecond, as the ends of windows are: a window that ends at the split is not lost.
    let split = ((first + trainShare * (trace.header.lastTime - first)) * 1e9).rounded() / 1e9
    return (candidates.filter { $0.endTime <= split }, candidates.filter { $0.startTime >= split })
  }

  /// The first of the windows with most qualifying vehicles; nil if the trace is shorter than a window.
  public var best: Candidate? {
    candidates.max { ($0.vehicles, $1.firstSlot) < ($1.vehicles, $0.firstSlot) }
  }

  /// Vehicles in range at the start of every slot of the trace.
  public var vehiclesInRange: [Int] {
    QualifyingWindows.counts(stays: stays, slots: 1, slotCount: slotCount)
  }

  /// The start of a slot, counted from the start of the trace, in trace time.
  public func time(slot: Int) -> Double {
    SlotClock(start: trace.header.firstTime, length: slotLength).time(slot)
  }

  /// The qualifying vehicles of a window.
  public func window(_ candidate: Candidate) -> TraceWindow {
    let lastSlot = candidate.firstSlot + slots - 1
    let vehicles = stays.filter {
      $0.firstSlot <= candidate.firstSlot && $0.lastSlot >= lastSlot
    }.map(\.vehicle).sorted()
    return trace.window(
      clock: SlotClock(start: candidate.startTime, length: slotLength), slots: slots,
      maximumGap: maximumGap, only: vehicles)
  }
}
