public import Support

/// A uniform distribution between two numbers, [lowest, highest] in files.
struct UniformRange: SettingValue {
  var low, high: Double

  init(_ low: Double, _ high: Double) {
    self.low = low
    self.high = high
  }

  init?(_ value: ParameterValue) {
    guard let bounds = [Double](value), bounds.count == 2 else { return nil }
    self.init(bounds[0], bounds[1])
  }
  var parameterValue: ParameterValue { [low, high].parameterValue }

  /// - Throws: `InputError` when the lowest value is above the highest.
  func checked(_ parameter: Parameter) throws -> UniformRange {
    guard low <= high else {
      throw InputError(
        "the lowest value is above the highest", key: parameter.key, value: parameterValue.text,
        advice: "Give [lowest, highest]")
    }
    return self
  }
}

extension Setting where Value == UniformRange {
  /// A range whose ends lie in bounds.
  init(
    wrappedValue: UniformRange, in bounds: ClosedRange<Double>, unit: String, source: String,
    isImpliedAtDefault: Bool = false, _ summary: String
  ) {
    self.init(
      wrappedValue: wrappedValue, .list(of: .number(bounds), count: 2...2), unit: unit,
      source: source, isImpliedAtDefault: isImpliedAtDefault, summary)
  }
}

/// Work of others at an edge queue.
struct BackgroundLoad: DescribedSettingValue {
  /// That some arrives in a slot.
  var probability: Double
  /// GFLOP, when some arrives.
  var mean: Double

  static let kind = Parameter.Kind.parts([
    (name: "probability", kind: .number(0...1)), (name: "mean", kind: .number(0...1e9)),
  ])

  init(probability: Double, mean: Double) {
    self.probability = probability
    self.mean = mean
  }

  init?(_ value: ParameterValue) {
    guard let parts = [Double](value), parts.count == 2 else { return nil }
    self.init(probability: parts[0], mean: parts[1])
  }
  var parameterValue: ParameterValue { [probability, mean].parameterValue }
}

/// Which DNN each client has.
enum ClientTypes: DescribedSettingValue {
  /// The networks of P1 in turn, for every seed from another one on.
  case rotating
  /// Names or paths, repeated in order.
  case listed([String])

  /// The networks of P1, section 8.
  static let paper = ["alexnet", "resnet18", "vgg16"]
  private static let rotate = "rotate"

  static let kind = Parameter.Kind.either([
    .choice([rotate]), .list(of: .text, count: 1...1000),
  ])
  init?(_ value: ParameterValue) {
    if value == .text(ClientTypes.rotate) {
      self = .rotating
    } else if let names = [String](value) {
      self = .listed(names)
    } else {
      return nil
    }
  }
  var parameterValue: ParameterValue {
    switch self {
    case .rotating: .text(ClientTypes.rotate)
    case .listed(let names): names.parameterValue
    }
  }
}

/// Where the RSU stands.
enum RSUPlace: DescribedSettingValue {
  /// At the point with most qualifying windows.
  case automatic
  /// Metres in the trace's coordinates.
  case at(x: Double, y: Double)

  private static let auto = "auto"

  static let kind = Parameter.Kind.either([
    .choice([auto]), .list(of: .number(-1e9...1e9), count: 2...2),
  ])
  init?(_ value: ParameterValue) {
    if value == .text(RSUPlace.auto) {
      self = .automatic
    } else if let place = [Double](value), place.count == 2 {
      self = .at(x: place[0], y: place[1])
    } else {
      return nil
    }
  }
  var parameterValue: ParameterValue {
    switch self {
    case .automatic: .text(RSUPlace.auto)
    case .at(let x, let y): [x, y].parameterValue
    }
  }
}

private let drawnOnce = "P1 section 8, range; ours: drawn once a run from the scenario seed"

/// The parameters of the single-RSU model.
struct SingleRSUSettings: Settings {
  @Setting(
    1...1000, source: "P1 section 8",
    "Number of client vehicles (I), each with one task a slot.")
  var clients = 5
  @Setting(0...1000, source: "P1 section 8", "Number of service vehicles (S = J - 1).")
  var serviceVehicles = 5
  @Setting(1...100_000, source: "P1 section 8", "Slots of an episode (T).")
  var slots = 30
  @Setting(1e-3...3600, unit: "s", source: "P1 section 8", "Length of a slot (tau).")
  var slotLength = 1.0
  @Setting(
    1e-6...1e9, key: "V", source: "P1 eq (34), section 8",
    "Weight of delay against queue drift.")
  var delayWeight = 10.0
  @Setting(
    source: "ours; P1 names the networks, not who runs which",
    "DNN of each client vehicle, by name or path; repeated in order if shorter than the clients. "
      + "rotate: AlexNet, ResNet18 and VGG16 in turn, from type (seed - 1) mod 3 on, so that seeds a "
      + "multiple of 3 give every number of clients the same mix.")
  var dnnTypes = ClientTypes.listed(ClientTypes.paper)
  @Setting(
    0...1, source: "ours; P1 section 3: a client can generate a task", isImpliedAtDefault: true,
    "Probability that a client has a task in a slot; without one it decides nothing.")
  var taskProbability = 1.0
  @Setting(
    in: 0...1e9, unit: "GFLOP", source: "ours; P1: empty queues", isImpliedAtDefault: true,
    "Lowest and highest backlog of a queue at an episode's start, drawn uniformly for every queue.")
  var initialBacklog = UniformRange(0, 0)
  @Setting(
    source: "ours; P1 has none", isImpliedAtDefault: true,
    "Work of others at every edge queue: probability that some arrives in a slot, and its mean in "
      + "GFLOP (exponential).")
  var backgroundLoad = BackgroundLoad(probability: 0, mean: 0)
  @Setting(
    source: "P1 eq (58); drift: ours", isImpliedAtDefault: true,
    "Reward of a slot: printed is -P; drift is -(V sum of delays + sum of (Q(t+1)^2 - Q(t)^2) / 2), "
      + "which pays nothing for bursts.")
  var reward = RewardRule.printed
  @Setting(source: "P1 eq (6)", "Formula that counts the work of a layer.")
  var workload = Workload.p1
  @Setting(
    source: "ours", "Whether a cut inside a residual block ships the skip connection's tensor too.")
  var skipAware = false
  @Setting(
    1e-12...1e15, unit: "Hz", source: "P1 eq (2), section 8", "Bandwidth of every link (B).")
  var bandwidth = 10e6
  @Setting(
    -200...200, unit: "dBm", source: "P1 eq (2), section 8",
    "Transmit power of a client vehicle (p).")
  var transmitPower = 23.0
  @Setting(-300...200, unit: "dBm", source: "P1 eq (2), section 8", "Noise power (sigma^2).")
  var noisePower = -114.0
  @Setting(
    -1e6...1e6, unit: "dB", source: "3GPP urban line of sight at 2 GHz", "Gain to the RSU at 1 m.")
  var rsuPathLossConstant = -38.4
  @Setting(
    0...1000, unit: "dB", source: "3GPP urban line of sight at 2 GHz",
    "Loss to the RSU for each tenfold distance.")
  var rsuPathLossSlope = 21.0
  @Setting(
    -1e6...1e6, unit: "dB", source: "3GPP urban line of sight at 2 GHz",
    "Gain between vehicles at 1 m.")
  var vehiclePathLossConstant = -44.23
  @Setting(
    0...1000, unit: "dB", source: "3GPP urban line of sight at 2 GHz",
    "Loss between vehicles for each tenfold distance.")
  var vehiclePathLossSlope = 16.7
  @Setting(1e-3...1e6, unit: "m", source: "ours", "Distances below this count as this.")
  var minimumDistance = 1.0
  @Setting(
    in: 1e-6...1e9, unit: "GFLOP/s", source: drawnOnce,
    "Lowest and highest capacity of a client vehicle (f_i).")
  var clientCapacity = UniformRange(4, 6)
  @Setting(
    in: 1e-6...1e9, unit: "GFLOP/s", source: drawnOnce,
    "Lowest and highest capacity of a service vehicle (f_j).")
  var serviceCapacity = UniformRange(6, 8)
  @Setting(
    1e-6...1e9, unit: "GFLOP/s", source: "P1 section 8",
    "Capacity of the RSU (F), divided among DNN types in every slot.")
  var rsuCapacity = 30.0
  @Setting(
    source: "P1 eq (48); corrected: derivative of eq (44)",
    "Weight of a DNN type in the division of the RSU's capacity.")
  var gamma = GammaRule.corrected
  @Setting(
    unit: "m", source: "ours",
    "Place of the RSU: [x, y], or auto for the point with most qualifying windows.")
  var rsu = RSUPlace.automatic
  @Setting(
    1...1e6, unit: "m", source: "P1 section 8",
    "Range of the RSU within which vehicles qualify for a window.")
  var coverage = 500.0
  @Setting(
    1e-3...1e6, unit: "m", source: "ours",
    "Range beyond which a service vehicle cannot be chosen; none: no limit.")
  var v2vRange: Double? = nil
  @Setting(
    1...2000, source: "ours",
    "Vehicles that a window must have; none: clients + serviceVehicles. Set it to the largest sum "
      + "of a sweep to use the same windows at every point.")
  var windowVehicles: Int? = nil
  @Setting(
    0...3600, unit: "s", source: "ours",
    "Samples of a vehicle that are farther apart are not interpolated: it is absent between them.")
  var interpolationGap = 2.0
  @Setting(
    0...0.99, source: "ours",
    "Share of the trace's time, from its start, that training windows lie in; evaluation has the rest "
      + "(0, the whole trace, is for 'veclab evaluate' only).")
  var trainShare = 0.7
  @Setting(
    1e-9...1e9, unit: "GFLOP", source: "ours", "Backlogs are divided by this in observations.")
  var observationBacklogScale = 30.0
  @Setting(
    1e-9...1e9, unit: "m", source: "ours",
    "Positions are divided by this in observations; none: by the coverage.")
  var observationPositionScale: Double? = nil

  /// Names (or paths) of the DNN types that have a queue at the RSU, each once: those that the clients have, in order
  /// of the clients; all of P1's, in P1's order, when they rotate, so that a type's place does not depend on the seed.
  var profileNames: [String] {
    if case .rotating = dnnTypes { return ClientTypes.paper }
    var names: [String] = []
    for name in typeVector(seed: 1) where !names.contains(name) { names.append(name) }
    return names
  }

  /// DNN type of each client, by name: the list, repeated in order.
  ///
  /// - Parameter seed: of the scenario; it matters to types that rotate only.
  func typeVector(seed: UInt64) -> [String] {
    var list = ClientTypes.paper
    var first = 0
    switch dnnTypes {
    case .rotating: first = Int((seed &- 1) % UInt64(list.count))
    case .listed(let names): list = names
    }
    return (0..<clients).map { list[(first + $0) % list.count] }
  }

  /// Vehicles that a window must have.
  func neededVehicles() throws -> Int {
    let roles = clients + serviceVehicles
    guard let windowVehicles else { return roles }
    guard windowVehicles >= roles else {
      throw InputError(
        "is less than clients + serviceVehicles, \(roles)", key: $windowVehicles.key,
        value: "\(windowVehicles)", advice: "Set it to the largest sum of the sweep, or to none")
    }
    return windowVehicles
  }
}

extension SingleRSUEnvironment {
  public static let modelName = "single-rsu"

  public static let parameters: [Parameter] = SingleRSUSettings.parameters

  /// Another coverage leaves the scale of positions as it was.
  public static func keepObservation(
    of trained: ParameterValues, in values: inout ParameterValues
  ) {
    let trained = SingleRSUSettings(trained)
    var kept = SingleRSUSettings(values)
    kept.observationBacklogScale = trained.observationBacklogScale
    kept.observationPositionScale = trained.observationPositionScale
    if kept.observationPositionScale == nil, kept.coverage != trained.coverage {
      kept.observationPositionScale = trained.coverage
    }
    values.set(kept)
  }

  /// Names (or paths) of the DNN types that have a queue at the RSU, each once, in the order of their queues.
  public static func profileNames(_ parameters: ParameterValues) -> [String] {
    SingleRSUSettings(parameters).profileNames
  }
}
