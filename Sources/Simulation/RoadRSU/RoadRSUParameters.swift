public import Support

/// How a vehicle picks the RSU that it asks (P2, Section III-A).
public enum DiversionRule: String, Sendable, CaseIterable {
  /// One of the two RSUs with the least predicted time, each with the other's share of the sum (24).
  case probabilistic
  /// The RSU with the least predicted time.
  case argmin
  /// Any RSU in range with equal probability.
  case random
  /// The RSU in range at the least distance.
  case nearest
}

/// What a new task waits for at an RSU.
public enum QueueWaitRule: String, Sendable, CaseIterable {
  /// The remaining service times of all tasks ahead, summed (17): time in which the server only waits for
  /// the data of a task ahead is not counted.
  case serviceTime = "service-time"
  /// The time until the last task ahead is finished: no two services overlap.
  case lastCompletion = "last-completion"
}

/// The constants of the road model in SI units.
public struct TaskConstants: Sendable {
  public var vehicles: Int
  public var slots: Int
  public var slotLength: Double
  /// Tasks per second of a vehicle.
  public var releaseRate: Double
  public var rsuHeight: Double
  public var rsuRange: Double
  public var transmitPower: Double
  public var channel: Channel
  public var pathLoss: PathLoss
  public var minimumDistance: Double
  /// Energy coefficient of computing, in J per FLOP and Hz squared.
  public var kappa: Double
  public var vehicleFrequency: Double
  public var rsuFrequency: Double
  /// Weight of energy in the cost, in s/J.
  public var beta: Double
  /// Seconds added to the cost of a task that misses its deadline; 0 switches it off.
  public var missedPenalty: Double
  public var deadlineFactor: Double
  public var deadlineFrequency: Double
  public var batteryLow: Double
  public var batteryHigh: Double
  public var drainsBattery: Bool
  /// Joules of a full battery.
  public var batteryCapacity: Double
  public var hasLocalQueue: Bool
  public var queueWaitRule: QueueWaitRule
  /// Slots between two broadcasts.
  public var broadcastInterval: Int
  public var diversion: DiversionRule

  public init(_ values: ParameterValues) {
    vehicles = values.integer("vehicles")
    slots = values.integer("slots")
    slotLength = values.number("slotLength")
    releaseRate = values.number("releaseRate")
    rsuHeight = values.number("rsuHeight")
    rsuRange = values.number("rsuRange")
    transmitPower = values.number("transmitPower")
    channel = Channel(
      bandwidth: values.number("bandwidth"),
      signalToNoise: transmitPower / values.number("noisePower"))
    pathLoss = PathLoss(
      constantDB: values.number("rsuPathLossConstant"), slopeDB: values.number("rsuPathLossSlope"))
    minimumDistance = values.number("minimumDistance")
    kappa = values.number("kappa")
    vehicleFrequency = values.number("vehicleFrequency")
    rsuFrequency = values.number("rsuFrequency")
    beta = values.number("beta")
    missedPenalty = values.optionalNumber("missedPenalty") ?? 0
    deadlineFactor = values.number("deadlineFactor")
    deadlineFrequency = values.number("deadlineFrequency")
    batteryLow = values.number("batteryLow")
    batteryHigh = values.number("batteryHigh")
    drainsBattery = values.flag("batteryDrain")
    batteryCapacity = values.number("batteryCapacity") * 3.6e6
    hasLocalQueue = values.flag("localQueue")
    queueWaitRule = QueueWaitRule(rawValue: values.text("queueWait")) ?? .serviceTime
    broadcastInterval = values.integer("broadcastInterval")
    diversion = DiversionRule(rawValue: values.text("diversion")) ?? .probabilistic
  }

  /// Battery coefficient α of (20) at a battery level in [0, 1].
  public static func batteryCoefficient(_ level: Double) -> Double {
    level > 1.0 / 3.0 ? 1 / level : 3
  }
}

extension RoadRSUEnvironment {
  private static let positive = 1e-300...Double.greatestFiniteMagnitude
  private static let notNegative = 0...Double.greatestFiniteMagnitude

  public static let parameters: [Parameter] = [
    Parameter(
      "vehicles", .integer(1...10_000), default: .integer(15), source: "P2 IV-C",
      "Task vehicles: a seeded sample of those present through the window."),
    Parameter(
      "slots", .integer(1...1_000_000), default: .integer(600), unit: "slots", source: "ours",
      "Length of an episode."),
    Parameter(
      "slotLength", .number(0.001...60), default: .number(0.1), unit: "s", source: "ours",
      "Length of a slot."),
    Parameter(
      "windowVehicles", .optional(.integer(1...10_000)), default: .none, source: "ours",
      "Vehicles that must be present through a window; none: vehicles. Set it to the largest number of "
        + "a sweep to use the same windows at every point."),
    Parameter(
      "trainShare", .number(0...0.99), default: .number(0.7), source: "ours",
      "Share of the trace, from its start, whose windows are for training; the rest is for evaluation "
        + "(0, the whole trace, is for 'veclab evaluate' only)."
    ),
    Parameter(
      "interpolationGap", .number(0...3600), default: .number(2), unit: "s", source: "ours",
      "Largest time between two samples of a vehicle that positions are interpolated over."),
    Parameter(
      "dnnTypes", .list(of: .text, count: 1...64),
      default: .list(["tinyyolov2", "alexnet", "vgg16", "nin"].map { .text($0) }),
      source: "P2 IV-A", "DNN of a task, drawn uniformly: shipped names or paths of layer tables."),
    Parameter(
      "workload", .choice(Workload.allCases.map(\.rawValue)),
      default: .text(Workload.p2.rawValue), source: "P2 (4), (6)", "How a layer's work is counted."
    ),
    Parameter(
      "skipAware", .flag, default: .flag(false), source: "ours",
      "Whether a cut inside a residual block sends the skip tensor too."),
    Parameter(
      "releaseRate", .number(0...1000), default: .number(0.05), unit: "tasks/s", source: "ours",
      "Rate at which a vehicle releases tasks, one Bernoulli draw a slot."),
    Parameter(
      "rsuCount", .either([.integer(1...1000), .choice(["cover"])]), default: .integer(4),
      source: "ours",
      "RSUs along the road's axis, centred; cover: as many as its whole length needs."),
    Parameter(
      "rsuSpacing", .number(1...100_000), default: .number(500), unit: "m", source: "ours",
      "Distance between neighbouring RSUs along the road's axis."),
    Parameter(
      "rsuOffset", .number(-1000...1000), default: .number(12), unit: "m", source: "ours",
      "Distance of the RSUs from the road's axis, to the right of the main direction of travel."),
    Parameter(
      "rsuPositions",
      .optional(
        .list(of: .list(of: .number(-1e9...1e9), count: 2...2), count: 1...1000)),
      default: .none, unit: "m", source: "ours",
      "Positions [x, y] of the RSUs in the trace's coordinates, instead of count and spacing."),
    Parameter(
      "rsuHeight", .number(0...1000), default: .number(4), unit: "m", source: "P2 IV-A",
      "Height of an RSU's antenna above those of the vehicles."),
    Parameter(
      "rsuRange", .number(1...1e6), default: .number(500), unit: "m", source: "P2 IV-A",
      "Greatest three-dimensional distance at which a vehicle reaches an RSU."),
    Parameter(
      "bandwidth", .number(positive), default: .number(20e6), unit: "Hz", source: "P2 IV-A",
      "Channel bandwidth B of (12)."),
    Parameter(
      "transmitPower", .number(positive), default: .number(0.2), unit: "W", source: "ours",
      "Transmission power P of (12) and (14)."),
    Parameter(
      "noisePower", .number(positive), default: .number(3e-13), unit: "W", source: "P2 IV-A",
      "Gaussian white noise N0 of (12)."),
    Parameter(
      "rsuPathLossConstant", .number(-1e6...1e6), default: .number(-38.4), unit: "dB",
      source: "3GPP urban line of sight at 2 GHz", "Gain to an RSU at 1 m."),
    Parameter(
      "rsuPathLossSlope", .number(0...1000), default: .number(21), unit: "dB",
      source: "3GPP urban line of sight at 2 GHz", "Loss to an RSU for each tenfold distance."),
    Parameter(
      "minimumDistance", .number(1e-3...1e6), default: .number(1), unit: "m", source: "ours",
      "Path loss below this distance is that at this distance."),
    Parameter(
      "kappa", .number(notNegative), default: .number(1e-26), unit: "J/(FLOP Hz^2)",
      source: "P2 IV-A", "Energy coefficient of computing in (10) and (15)."),
    Parameter(
      "vehicleFrequency", .number(positive), default: .number(3e9), unit: "Hz", source: "P2 IV-A",
      "Greatest frequency of a vehicle's processor."),
    Parameter(
      "rsuFrequency", .number(positive), default: .number(7e9), unit: "Hz", source: "P2 IV-A",
      "Greatest frequency of an RSU's server."),
    Parameter(
      "beta", .number(notNegative), default: .number(3e-4), unit: "s/J", source: "ours",
      "Balance coefficient of time and energy in (21)."),
    Parameter(
      "missedPenalty", .optional(.number(notNegative)), default: .number(5), unit: "s",
      source: "ours", "Added to the cost of a task that misses its deadline; none: nothing is."),
    Parameter(
      "deadlineFactor", .number(positive), default: .number(1.2), source: "ours",
      "Deadline of a task, in local execution times at deadlineFrequency."),
    Parameter(
      "deadlineFrequency", .number(positive), default: .number(3e9), unit: "Hz", source: "ours",
      "Frequency of the local execution that deadlines are measured in."),
    Parameter(
      "batteryLow", .number(0...1), default: .number(0.05), source: "ours",
      "Least battery level at the start of an episode."),
    Parameter(
      "batteryHigh", .number(0...1), default: .number(1), source: "ours",
      "Greatest battery level at the start of an episode."),
    Parameter(
      "batteryDrain", .flag, default: .flag(false), source: "ours",
      "Whether computing and sending lower the battery level in an episode."),
    Parameter(
      "batteryCapacity", .number(positive), default: .number(1), unit: "kWh", source: "ours",
      "Energy of a full battery, for batteryDrain."),
    Parameter(
      "localQueue", .flag, default: .flag(false), source: "ours",
      "Whether the tasks of a vehicle queue for its own processor."),
    Parameter(
      "queueWait", .choice(QueueWaitRule.allCases.map(\.rawValue)),
      default: .text(QueueWaitRule.serviceTime.rawValue), source: "P2 (17)",
      "What a task waits for at an RSU: the summed remaining service times of the tasks ahead, or "
        + "the completion of the last of them."),
    Parameter(
      "broadcastInterval", .integer(1...1_000_000), default: .integer(5), unit: "slots",
      source: "ours", "Slots between two broadcasts of the RSUs' waiting times (22)."),
    Parameter(
      "diversion", .choice(DiversionRule.allCases.map(\.rawValue)),
      default: .text(DiversionRule.probabilistic.rawValue), source: "P2 (24)",
      "How a vehicle picks the RSU that it asks."),
  ]

  /// What single parameters cannot say about each other.
  static func check(_ values: ParameterValues) throws {
    let probability = values.number("releaseRate") * values.number("slotLength")
    if probability > 1 {
      throw InputError(
        "is more than one task a slot", key: "releaseRate",
        value: values["releaseRate"].text,
        advice:
          "At most \(CSVWriter.text(of: 1 / values.number("slotLength"))) tasks/s fit slots of "
          + "\(values["slotLength"].text) s; take shorter slots")
    }
    if values.number("batteryLow") > values.number("batteryHigh") {
      throw InputError(
        "is greater than batteryHigh", key: "batteryLow", value: values["batteryLow"].text,
        advice: "batteryHigh is \(values["batteryHigh"].text)")
    }
    if case .integer(let needed) = values["windowVehicles"], needed < values.integer("vehicles") {
      throw InputError(
        "is less than vehicles", key: "windowVehicles", value: "\(needed)",
        advice: "vehicles is \(values.integer("vehicles"))")
    }
    if values.number("batteryHigh") <= 0 {
      throw InputError(
        "must be above 0", key: "batteryHigh", value: values["batteryHigh"].text,
        advice: "The default is 1")
    }
  }
}
