internal import Support
public import Trace

/// What a slot's reward is.
public enum RewardRule: String, Sendable, CaseIterable {
  /// -P, P1 eq (58).
  case printed
  /// -(V sum d + sum (Q(t+1)^2 - Q(t)^2) / 2) with all queues; its sum over an episode telescopes exactly (ours).
  case drift
}

/// What stays the same through a run of the single-RSU model: sizes, capacities, DNN types, channel, place.
///
/// Clients are 0..<clients. Nodes are 0..<nodes: 0 is the RSU, 1... are service vehicles (files count from 1).
/// A cut is the number of layers that run locally, 0...L (phi - 1 of the papers): L is all local.
public final class SingleRSUScenario: Sendable {
  /// I.
  public let clients: Int
  /// S = J - 1.
  public let serviceVehicles: Int
  /// J: the RSU and the service vehicles.
  public var nodes: Int { serviceVehicles + 1 }
  /// T.
  public let slots: Int
  /// tau, in seconds.
  public let slotLength: Double
  /// V.
  public let delayWeight: Double
  public let gammaRule: GammaRule
  public let rewardRule: RewardRule

  /// Probability that a client has a task in a slot; P1: 1.
  public let taskProbability: Double
  /// Bounds of every queue's backlog at an episode's start, GFLOP; P1: 0, 0.
  public let initialBacklog: (low: Double, high: Double)
  /// Work of others at each edge queue: probability in a slot, and mean in GFLOP; P1: 0, 0.
  public let backgroundLoad: (probability: Double, mean: Double)

  /// Names of the DNN types in the run, in the order in which clients first have them.
  public let typeNames: [String]
  /// Type of each client, an index into `typeNames`.
  public let typeOfClient: [Int]
  /// K: types with a queue at the RSU.
  public var types: Int { typeNames.count }
  /// L of each type.
  public let layersOfType: [Int]
  /// Work before and after each cut in GFLOP, and its data in bits: `[type * cutStride + cut]`.
  public let localWork, remoteWork, cutBits: [Double]
  /// Room for the cuts of one type in the three tables.
  public let cutStride: Int

  /// f_i, GFLOP/s.
  public let clientCapacity: [Double]
  /// f_j of the service vehicles, GFLOP/s; index 0 is node 1.
  public let serviceCapacity: [Double]
  /// F, GFLOP/s.
  public let rsuCapacity: Double

  public let channel: Channel
  public let rsuPathLoss, vehiclePathLoss: PathLoss
  public let minimumDistance: Double
  /// Metres; nil without a limit.
  public let v2vRange: Double?
  public let rsuX, rsuY: Double
  /// The principal direction of travel at the RSU.
  public let axis: RoadAxis
  public let coverage: Double
  /// GFLOP and metres by which observations are divided.
  public let backlogScale, positionScale: Double
  public let seed: UInt64

  /// Mean rate to the RSU and to a vehicle, in bit/s.
  private let canonicalRates: (rsu: Double, vehicle: Double)

  let fading: RandomField
  let roles: RandomField
  let taskGeneration, initialBacklogs, background: RandomField

  /// Number of layers of a client's DNN.
  public func layers(ofClient client: Int) -> Int { layersOfType[typeOfClient[client]] }
  /// Number of joint actions (cut, node) of a client: (L + 1) J, P1 eq (56).
  public func actions(ofClient client: Int) -> Int { (layers(ofClient: client) + 1) * nodes }
  /// Numbers in a client's observation: 2J + 1, P1 eq (54).
  public var observationSize: Int { 2 * nodes + 1 }
  /// Queues in all: clients, types at the RSU, service vehicles, in that order.
  public var queues: Int { clients + types + serviceVehicles }

  /// Mean rate to a node, in bit/s, the same for every client, slot and episode: the mean over fading at the
  /// mean distance of vehicles spread evenly over the RSU's range (ours): half the coverage to the RSU,
  /// two thirds of it (or of the V2V range) between vehicles.
  public func canonicalRate(node: Int) -> Double {
    node == 0 ? canonicalRates.rsu : canonicalRates.vehicle
  }

  /// Name of a queue in files: `client:1`, `rsu:vgg16`, `service:2` (numbered as nodes: the RSU is 1).
  public func queueName(_ queue: Int) -> String {
    if queue < clients { return "client:\(queue + 1)" }
    if queue < clients + types { return "rsu:\(typeNames[queue - clients])" }
    return "service:\(queue - clients - types + 2)"
  }

  init(
    parameters: ParameterValues, profiles: [String: DNNProfile], seed: UInt64,
    rsuX: Double, rsuY: Double, axis: RoadAxis
  ) throws {
    clients = parameters.integer("clients")
    serviceVehicles = parameters.integer("serviceVehicles")
    slots = parameters.integer("slots")
    slotLength = parameters.number("slotLength")
    delayWeight = parameters.number("V")
    gammaRule = GammaRule(rawValue: parameters.text("gamma")) ?? .corrected
    rewardRule = RewardRule(rawValue: parameters.text("reward")) ?? .printed
    taskProbability = parameters.number("taskProbability")
    initialBacklog = try SingleRSUScenario.range("initialBacklog", parameters)
    let others = parameters.list("backgroundLoad").map { ParameterValue.numberValue($0) }
    backgroundLoad = (others[0], others[1])
    self.seed = seed
    self.rsuX = rsuX
    self.rsuY = rsuY
    self.axis = axis

    let names = SingleRSUEnvironment.profileNames(parameters)
    let chosen = try names.map { name in
      guard let profile = profiles[name] else {
        throw InputError(
          "is not a known DNN", key: "dnnTypes", value: name,
          advice: "Known are \(profiles.keys.sorted().joined(separator: ", "))")
      }
      return profile
    }
    for (k, profile) in chosen.enumerated()
    where chosen[..<k].contains(where: { $0.name == profile.name }) {
      throw InputError(
        "gives two tables of the same name '\(profile.name)'", key: "dnnTypes", value: names[k],
        advice: "Rename one of the files: the name marks the type's queue at the RSU")
    }
    typeNames = chosen.map(\.name)
    typeOfClient = SingleRSUEnvironment.typeVector(parameters, seed: seed).map {
      names.firstIndex(of: $0) ?? 0
    }
    layersOfType = chosen.map(\.layers.count)
    let workload = Workload(rawValue: parameters.text("workload")) ?? .p1
    let cuts = chosen.map { $0.cuts(workload, skipAware: parameters.flag("skipAware")) }
    let stride = (layersOfType.max() ?? 0) + 1
    cutStride = stride
    func table(_ values: (DNNCuts) -> [Double]) -> [Double] {
      cuts.flatMap { cut in
        let row = values(cut)
        return row + [Double](repeating: 0, count: stride - row.count)
      }
    }
    localWork = table { $0.localFLOP.map { $0 / 1e9 } }
    remoteWork = table { $0.remoteFLOP.map { $0 / 1e9 } }
    cutBits = table { $0.bits }

    // Indexed by vehicle, so that a sweep over numbers of vehicles keeps the capacities of those it shares.
    let capacities = RandomField(seed: seed, .capacities)
    func draw(_ key: String, group: Int, count: Int) throws -> [Double] {
      let range = try SingleRSUScenario.range(key, parameters)
      return (0..<count).map {
        range.low + (range.high - range.low) * capacities.uniform(group, $0)
      }
    }
    clientCapacity = try draw("clientCapacity", group: 0, count: clients)
    serviceCapacity = try draw("serviceCapacity", group: 1, count: serviceVehicles)
    rsuCapacity = parameters.number("rsuCapacity")

    channel = Channel(
      bandwidth: parameters.number("bandwidth"),
      transmitPowerDBm: parameters.number("transmitPower"),
      noisePowerDBm: parameters.number("noisePower"))
    rsuPathLoss = PathLoss(
      constantDB: parameters.number("rsuPathLossConstant"),
      slopeDB: parameters.number("rsuPathLossSlope"))
    vehiclePathLoss = PathLoss(
      constantDB: parameters.number("vehiclePathLossConstant"),
      slopeDB: parameters.number("vehiclePathLossSlope"))
    minimumDistance = parameters.number("minimumDistance")
    v2vRange = parameters.optionalNumber("v2vRange")
    coverage = parameters.number("coverage")
    backlogScale = parameters.number("observationBacklogScale")
    positionScale = parameters.optionalNumber("observationPositionScale") ?? coverage
    canonicalRates = (
      channel.meanRate(
        gain: rsuPathLoss.gain(distance: max(coverage / 2, minimumDistance))),
      channel.meanRate(
        gain: vehiclePathLoss.gain(
          distance: max(min(coverage, v2vRange ?? .infinity) * 2 / 3, minimumDistance)))
    )
    fading = RandomField(seed: seed, .fading)
    roles = RandomField(seed: seed, .roles)
    taskGeneration = RandomField(seed: seed, .taskGeneration)
    initialBacklogs = RandomField(seed: seed, .initialBacklog)
    background = RandomField(seed: seed, .backgroundLoad)
  }

  /// A pair [low, high] of a uniform distribution.
  private static func range(
    _ key: String, _ parameters: ParameterValues
  ) throws -> (low: Double, high: Double) {
    let range = parameters.list(key).map { ParameterValue.numberValue($0) }
    guard range[0] <= range[1] else {
      throw InputError(
        "the lowest value is above the highest", key: key, value: parameters[key].text,
        advice: "Give [lowest, highest]")
    }
    return (range[0], range[1])
  }
}

extension ParameterValue {
  /// The number of a value that a schema has checked to be one.
  static func numberValue(_ value: ParameterValue) -> Double {
    switch value {
    case .number(let x): x
    case .integer(let x): Double(x)
    default: .nan
    }
  }
}

/// Where the vehicles of an episode are, by role: clients first, then service vehicles.
public final class EpisodePositions: Sendable {
  /// Start of the first slot on the trace's clock, in seconds.
  public let startTime: Double
  /// Vehicle of each role.
  public let names: [String]
  let slots: Int
  /// Metres, `[slot * roles + role]`.
  let x, y: [Double]

  /// Takes the vehicles in the given columns of a window, in that order.
  init(window: TraceWindow, columns: [Int]) {
    startTime = window.startTime
    slots = window.slots
    names = columns.map { window.names[$0] }
    let width = window.names.count
    var x: [Double] = []
    var y: [Double] = []
    x.reserveCapacity(slots * columns.count)
    y.reserveCapacity(slots * columns.count)
    for slot in 0..<slots {
      for column in columns {
        x.append(window.x[slot * width + column])
        y.append(window.y[slot * width + column])
      }
    }
    self.x = x
    self.y = y
  }

  /// Position at a slot's start; after the last slot vehicles stay where they were at its start.
  @inline(__always)
  func position(slot: Int, role: Int) -> (x: Double, y: Double) {
    let index = min(slot, slots - 1) * names.count + role
    return (x[index], y[index])
  }
}
