public import Support
public import Trace

/// What a slot's reward is.
public enum RewardRule: String, Sendable, CaseIterable, DescribedSettingValue {
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
  let initialBacklog: UniformRange
  /// Work of others at each edge queue: probability in a slot, and mean in GFLOP; P1: 0, 0.
  let backgroundLoad: BackgroundLoad

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
    settings: SingleRSUSettings, profiles: [String: DNNProfile], seed: UInt64,
    rsuX: Double, rsuY: Double, axis: RoadAxis
  ) throws {
    clients = settings.clients
    serviceVehicles = settings.serviceVehicles
    slots = settings.slots
    slotLength = settings.slotLength
    delayWeight = settings.delayWeight
    gammaRule = settings.gamma
    rewardRule = settings.reward
    taskProbability = settings.taskProbability
    initialBacklog = try settings.initialBacklog.checked(settings.$initialBacklog)
    backgroundLoad = settings.backgroundLoad
    self.seed = seed
    self.rsuX = rsuX
    self.rsuY = rsuY
    self.axis = axis

    let tables = try TypeTables(settings, profiles: profiles, seed: seed)
    typeNames = tables.names
    typeOfClient = tables.ofClient
    layersOfType = tables.layers
    cutStride = tables.stride
    localWork = tables.localWork
    remoteWork = tables.remoteWork
    cutBits = tables.bits

    // Indexed by vehicle, so that a sweep over numbers of vehicles keeps the capacities of those it shares.
    let capacities = RandomField(seed: seed, .capacities)
    func draw(_ range: UniformRange, group: Int, count: Int) -> [Double] {
      (0..<count).map { range.low + (range.high - range.low) * capacities.uniform(group, $0) }
    }
    clientCapacity = try draw(
      settings.clientCapacity.checked(settings.$clientCapacity), group: 0, count: clients)
    serviceCapacity = try draw(
      settings.serviceCapacity.checked(settings.$serviceCapacity), group: 1,
      count: serviceVehicles)
    rsuCapacity = settings.rsuCapacity

    channel = settings.channel
    rsuPathLoss = settings.rsuPathLoss
    vehiclePathLoss = settings.vehiclePathLoss
    minimumDistance = settings.minimumDistance
    v2vRange = settings.v2vRange
    coverage = settings.coverage
    backlogScale = settings.observationBacklogScale
    positionScale = settings.observationPositionScale ?? settings.coverage
    canonicalRates = settings.canonicalRates
    fading = RandomField(seed: seed, .fading)
    roles = RandomField(seed: seed, .roles)
    taskGeneration = RandomField(seed: seed, .taskGeneration)
    initialBacklogs = RandomField(seed: seed, .initialBacklog)
    background = RandomField(seed: seed, .backgroundLoad)
  }
}

extension SingleRSUSettings {
  var channel: Channel {
    Channel(
      bandwidth: bandwidth, transmitPowerDBm: transmitPower, noisePowerDBm: noisePower)
  }
  var rsuPathLoss: PathLoss {
    PathLoss(constantDB: rsuPathLossConstant, slopeDB: rsuPathLossSlope)
  }
  var vehiclePathLoss: PathLoss {
    PathLoss(constantDB: vehiclePathLossConstant, slopeDB: vehiclePathLossSlope)
  }

  /// As `SingleRSUScenario.canonicalRate`, to the RSU and to a vehicle.
  fileprivate var canonicalRates: (rsu: Double, vehicle: Double) {
    func rate(_ pathLoss: PathLoss, distance: Double) -> Double {
      channel.meanRate(gain: pathLoss.gain(distance: max(distance, minimumDistance)))
    }
    return (
      rate(rsuPathLoss, distance: coverage / 2),
      rate(vehiclePathLoss, distance: min(coverage, v2vRange ?? .infinity) * 2 / 3)
    )
  }
}

/// The DNN types of a run, who has which, and their cuts; fields as those of the scenario.
private struct TypeTables {
  let names: [String]
  let ofClient, layers: [Int]
  let localWork, remoteWork, bits: [Double]
  let stride: Int

  /// - Throws: `InputError` for a DNN without a profile, or two profiles of the same name.
  init(_ settings: SingleRSUSettings, profiles: [String: DNNProfile], seed: UInt64) throws {
    let key = settings.$dnnTypes.key
    let given = settings.profileNames
    let chosen = try given.map { name in
      guard let profile = profiles[name] else {
        throw InputError(
          "is not a known DNN", key: key, value: name,
          advice: "Known are \(profiles.keys.sorted().joined(separator: ", "))")
      }
      return profile
    }
    for (k, profile) in chosen.enumerated()
    where chosen[..<k].contains(where: { $0.name == profile.name }) {
      throw InputError(
        "gives two tables of the same name '\(profile.name)'", key: key, value: given[k],
        advice: "Rename one of the files: the name marks the type's queue at the RSU")
    }
    names = chosen.map(\.name)
    ofClient = settings.typeVector(seed: seed).map { given.firstIndex(of: $0) ?? 0 }
    layers = chosen.map(\.layers.count)
    let cuts = chosen.map { $0.cuts(settings.workload, skipAware: settings.skipAware) }
    let stride = (layers.max() ?? 0) + 1
    self.stride = stride
    func table(_ values: (DNNCuts) -> [Double]) -> [Double] {
      cuts.flatMap { cut in
        let row = values(cut)
        return row + [Double](repeating: 0, count: stride - row.count)
      }
    }
    localWork = table { $0.localFLOP.map { $0 / 1e9 } }
    remoteWork = table { $0.remoteFLOP.map { $0 / 1e9 } }
    bits = table { $0.bits }
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
