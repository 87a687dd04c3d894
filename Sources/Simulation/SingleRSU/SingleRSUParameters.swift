public import Support

extension SingleRSUEnvironment {
  public static let modelName = "single-rsu"

  private static let anyPositive = 1e-12...1e15
  private static let anyNumber = -1e6...1e6

  /// A pair [low, high] of a uniform distribution.
  private static func range(
    _ key: String, _ low: Double, _ high: Double, _ summary: String
  ) -> Parameter {
    Parameter(
      key, .list(of: .number(1e-6...1e9), count: 2...2),
      default: .list([.number(low), .number(high)]), unit: "GFLOP/s",
      source: "P1 section 8, range; ours: drawn once a run from the scenario seed", summary)
  }

  public static let parameters: [Parameter] = [
    Parameter(
      "clients", .integer(1...1000), default: .integer(5), source: "P1 section 8",
      "Number of client vehicles (I), each with one task a slot."),
    Parameter(
      "serviceVehicles", .integer(0...1000), default: .integer(5), source: "P1 section 8",
      "Number of service vehicles (S = J - 1)."),
    Parameter(
      "slots", .integer(1...100_000), default: .integer(30), source: "P1 section 8",
      "Slots of an episode (T)."),
    Parameter(
      "slotLength", .number(1e-3...3600), default: .number(1), unit: "s", source: "P1 section 8",
      "Length of a slot (tau)."),
    Parameter(
      "V", .number(1e-6...1e9), default: .number(10), source: "P1 eq (34), section 8",
      "Weight of delay against queue drift."),
    Parameter(
      "dnnTypes", .either([.choice([rotate]), .list(of: .text, count: 1...1000)]),
      default: .list(paperTypes.map { .text($0) }),
      source: "ours; P1 names the networks, not who runs which",
      "DNN of each client vehicle, by name or path; repeated in order if shorter than the clients. "
        + "rotate: AlexNet, ResNet18 and VGG16 in turn, from type (seed - 1) mod 3 on, so that seeds a "
        + "multiple of 3 give every number of clients the same mix."),
    Parameter(
      "taskProbability", .number(0...1), default: .number(1),
      source: "ours; P1 section 3: a client can generate a task", isImpliedAtDefault: true,
      "Probability that a client has a task in a slot; without one it decides nothing."),
    Parameter(
      "initialBacklog", .list(of: .number(0...1e9), count: 2...2),
      default: .list([.number(0), .number(0)]), unit: "GFLOP", source: "ours; P1: empty queues",
      isImpliedAtDefault: true,
      "Lowest and highest backlog of a queue at an episode's start, drawn uniformly for every queue."
    ),
    Parameter(
      "backgroundLoad",
      .parts([(name: "probability", kind: .number(0...1)), (name: "mean", kind: .number(0...1e9))]),
      default: .list([.number(0), .number(0)]), source: "ours; P1 has none",
      isImpliedAtDefault: true,
      "Work of others at every edge queue: probability that some arrives in a slot, and its mean in "
        + "GFLOP (exponential)."),
    Parameter(
      "reward", .choice(RewardRule.allCases.map(\.rawValue)), default: .text("printed"),
      source: "P1 eq (58); drift: ours", isImpliedAtDefault: true,
      "Reward of a slot: printed is -P; drift is -(V sum of delays + sum of (Q(t+1)^2 - Q(t)^2) / 2), "
        + "which pays nothing for bursts."),
    Parameter(
      "workload", .choice(Workload.allCases.map(\.rawValue)), default: .text("p1"),
      source: "P1 eq (6)", "Formula that counts the work of a layer."),
    Parameter(
      "skipAware", .flag, default: .flag(false), source: "ours",
      "Whether a cut inside a residual block ships the skip connection's tensor too."),
    Parameter(
      "bandwidth", .number(anyPositive), default: .number(10e6), unit: "Hz",
      source: "P1 eq (2), section 8", "Bandwidth of every link (B)."),
    Parameter(
      "transmitPower", .number(-200...200), default: .number(23), unit: "dBm",
      source: "P1 eq (2), section 8", "Transmit power of a client vehicle (p)."),
    Parameter(
      "noisePower", .number(-300...200), default: .number(-114), unit: "dBm",
      source: "P1 eq (2), section 8", "Noise power (sigma^2)."),
    Parameter(
      "rsuPathLossConstant", .number(anyNumber), default: .number(-38.4), unit: "dB",
      source: "3GPP urban line of sight at 2 GHz", "Gain to the RSU at 1 m."),
    Parameter(
      "rsuPathLossSlope", .number(0...1000), default: .number(21), unit: "dB",
      source: "3GPP urban line of sight at 2 GHz", "Loss to the RSU for each tenfold distance."),
    Parameter(
      "vehiclePathLossConstant", .number(anyNumber), default: .number(-44.23), unit: "dB",
      source: "3GPP urban line of sight at 2 GHz", "Gain between vehicles at 1 m."),
    Parameter(
      "vehiclePathLossSlope", .number(0...1000), default: .number(16.7), unit: "dB",
      source: "3GPP urban line of sight at 2 GHz",
      "Loss between vehicles for each tenfold distance."),
    Parameter(
      "minimumDistance", .number(1e-3...1e6), default: .number(1), unit: "m", source: "ours",
      "Distances below this count as this."),
    range("clientCapacity", 4, 6, "Lowest and highest capacity of a client vehicle (f_i)."),
    range("serviceCapacity", 6, 8, "Lowest and highest capacity of a service vehicle (f_j)."),
    Parameter(
      "rsuCapacity", .number(1e-6...1e9), default: .number(30), unit: "GFLOP/s",
      source: "P1 section 8", "Capacity of the RSU (F), divided among DNN types in every slot."),
    Parameter(
      "gamma", .choice(GammaRule.allCases.map(\.rawValue)), default: .text("corrected"),
      source: "P1 eq (48); corrected: derivative of eq (44)",
      "Weight of a DNN type in the division of the RSU's capacity."),
    Parameter(
      "rsu",
      .either([
        .choice(["auto"]), .list(of: .number(-1e9...1e9), count: 2...2),
      ]), default: .text("auto"), unit: "m", source: "ours",
      "Place of the RSU: [x, y], or auto for the point with most qualifying windows."),
    Parameter(
      "coverage", .number(1...1e6), default: .number(500), unit: "m", source: "P1 section 8",
      "Range of the RSU within which vehicles qualify for a window."),
    Parameter(
      "v2vRange", .optional(.number(1e-3...1e6)), default: .none, unit: "m", source: "ours",
      "Range beyond which a service vehicle cannot be chosen; none: no limit."),
    Parameter(
      "windowVehicles", .optional(.integer(1...2000)), default: .none, source: "ours",
      "Vehicles that a window must have; none: clients + serviceVehicles. Set it to the largest sum "
        + "of a sweep to use the same windows at every point."),
    Parameter(
      "interpolationGap", .number(0...3600), default: .number(2), unit: "s", source: "ours",
      "Samples of a vehicle that are farther apart are not interpolated: it is absent between them."
    ),
    Parameter(
      "trainShare", .number(0...0.99), default: .number(0.7), source: "ours",
      "Share of the trace's time, from its start, that training windows lie in; evaluation has the rest "
        + "(0, the whole trace, is for 'veclab evaluate' only)."
    ),
    Parameter(
      "observationBacklogScale", .number(1e-9...1e9), default: .number(30), unit: "GFLOP",
      source: "ours", "Backlogs are divided by this in observations."),
    Parameter(
      "observationPositionScale", .optional(.number(1e-9...1e9)), default: .none, unit: "m",
      source: "ours", "Positions are divided by this in observations; none: by the coverage."),
  ]

  /// Another coverage leaves the scale of positions as it was.
  public static func keepObservation(
    of trained: ParameterValues, in values: inout ParameterValues
  ) {
    values["observationBacklogScale"] = trained["observationBacklogScale"]
    var scale = trained["observationPositionScale"]
    if scale == .none, values["coverage"] != trained["coverage"] { scale = trained["coverage"] }
    values["observationPositionScale"] = scale
  }

  /// The word that has `dnnTypes` begin with another type for every seed.
  static let rotate = "rotate"
  /// The networks of P1, section 8.
  static let paperTypes = ["alexnet", "resnet18", "vgg16"]

  /// Names (or paths) of the DNN types that have a queue at the RSU, each once: those that the clients have, in order
  /// of the clients; all of P1's, in P1's order, when they rotate, so that a type's place does not depend on the seed.
  public static func profileNames(_ parameters: ParameterValues) -> [String] {
    if parameters["dnnTypes"] == .text(rotate) { return paperTypes }
    var names: [String] = []
    for name in typeVector(parameters, seed: 1) where !names.contains(name) { names.append(name) }
    return names
  }

  /// DNN type of each client, by name: the list, repeated in order.
  ///
  /// - Parameter seed: of the scenario; it matters to types that rotate only.
  public static func typeVector(_ parameters: ParameterValues, seed: UInt64) -> [String] {
    var list = paperTypes
    var first = 0
    if case .list(let names) = parameters["dnnTypes"] {
      list = names.map(\.text)
    } else {
      first = Int((seed &- 1) % UInt64(list.count))
    }
    return (0..<parameters.integer("clients")).map { list[(first + $0) % list.count] }
  }
}
