public import Support
public import Trace

/// Model 2: a road with several RSUs, energy, battery and deadlines (P2).
///
/// An episode is a window of slots. At the start of a slot the RSUs broadcast if it is time to, then the tasks
/// released in the slot are decided at once (P_d = P_g), in the order of the task vehicles; each request
/// sees the queues that the former ones left. A rate holds from the decision on until the data are sent, even
/// if the vehicle leaves the RSU's range meanwhile.
public struct RoadRSUEnvironment: Environment {
  public static let modelName = "road-rsu"
  public static let version = 2

  public let model: TaskModel
  public let axis: RoadAxis
  /// Scale factors of the observation.
  public let observation: TaskObservation
  private let windows: EpisodeWindows
  private let seed: UInt64
  private let drawnConstants: JSONValue

  private let sampling: RandomField
  private let releases: TaskReleases
  private let taskType: RandomField
  private let batteryField: RandomField
  private let fading: RandomField
  private let diversionField: RandomField
  /// Middle of the RSUs along the axis, and each RSU's coordinate along it.
  private let middle: Double
  private let rsuAlong: [Double]

  // The episode.
  private var key = 0
  private var window: TraceWindow
  /// The task vehicles' columns in the window.
  private var columns: [Int] = []
  private var batteries: [Double] = []
  /// When each vehicle's own processor is free, in seconds from the window's start.
  private var localFree: [Double] = []
  private var queues: [RSUQueue]
  private var broadcastWaits: [Double]
  /// The next slot whose broadcast has not been made.
  private var nextBroadcast = 0
  /// Released tasks in order of decision: slot times the number of vehicles, plus vehicle.
  private var requests: [Int] = []
  private var nextRequest = 0
  private var meanQueueLength = 0.0
  public private(set) var situation: TaskSituation?

  public init(parameters: ParameterValues, sources: ScenarioSources) throws {
    try RoadRSUEnvironment.check(parameters)
    let windows = try EpisodeWindows(
      road: sources.trace, parameters: parameters, needsTraining: sources.needsTraining)
    try self.init(
      parameters: parameters, profiles: sources.profiles, seed: sources.seed,
      axis: RoadAxis(
        trace: sources.trace,
        sampling: Sampling(
          slotLength: parameters.number("slotLength"),
          interpolationGap: parameters.number("interpolationGap"))), windows: windows)
  }

  /// An environment on windows in memory, for tests and measurements.
  ///
  /// - Parameters:
  ///   - axis: Of the road; RSUs without given positions stand along it.
  ///   - windows: Each must have the length and the vehicles that the parameters ask for.
  public init(
    parameters: ParameterValues, profiles: [String: DNNProfile], seed: UInt64, axis: RoadAxis,
    windows: [TraceWindow]
  ) throws {
    try RoadRSUEnvironment.check(parameters)
    for window in windows {
      guard window.slots == parameters.integer("slots"),
        window.slotLength == parameters.number("slotLength"),
        window.vehicles.count >= parameters.integer("vehicles"),
        !window.x.contains(where: \.isNaN)
      else {
        throw InputError(
          "a window does not fit the parameters: \(window.slots) slots of \(window.slotLength) s, "
            + "\(window.vehicles.count) vehicles",
          advice: "Its vehicles must be present throughout and at least as many as asked for")
      }
    }
    guard !windows.isEmpty else { throw InputError("there is no window") }
    try self.init(
      parameters: parameters, profiles: profiles, seed: seed, axis: axis,
      windows: EpisodeWindows(train: windows, evaluation: windows))
  }

  private init(
    parameters: ParameterValues, profiles: [String: DNNProfile], seed: UInt64, axis: RoadAxis,
    windows: EpisodeWindows
  ) throws {
    let constants = TaskConstants(parameters)
    let chosen = try RoadRSUEnvironment.profileNames(parameters).map { name in
      guard let profile = profiles[name] else {
        throw InputError("has no profile", key: "dnnTypes", value: name)
      }
      return profile
    }
    let rsus = try RSURow.positions(axis: axis, parameters: parameters)
    let model = TaskModel(
      constants: constants, profiles: chosen,
      workload: Workload(rawValue: parameters.text("workload")) ?? .p2,
      skipAware: parameters.flag("skipAware"), rsuX: rsus.x, rsuY: rsus.y)
    self.model = model
    self.axis = axis
    self.windows = windows
    self.seed = seed
    rsuAlong = zip(rsus.x, rsus.y).map { axis.along(x: $0, y: $1) }
    let least = rsuAlong.min() ?? 0
    let greatest = rsuAlong.max() ?? 0
    middle = (least + greatest) / 2
    observation = TaskObservation(model: model, halfLength: (axis.end - axis.start) / 2)
    sampling = RandomField(seed: seed, .vehicleSample)
    releases = TaskReleases(constants: constants, seed: seed)
    taskType = RandomField(seed: seed, .taskType)
    batteryField = RandomField(seed: seed, .battery)
    fading = RandomField(seed: seed, .fading)
    diversionField = RandomField(seed: seed, .diversion)
    window = TraceWindow(
      startTime: 0, slotLength: constants.slotLength, slots: 0, vehicles: [], names: [], x: [],
      y: [],
      speed: [])
    queues = [RSUQueue](repeating: RSUQueue(), count: model.rsuCount)
    broadcastWaits = [Double](repeating: 0, count: model.rsuCount)
    drawnConstants = RoadRSUEnvironment.constants(
      model: model, axis: axis, windows: windows, observation: observation)
  }

  public static func profileNames(_ parameters: ParameterValues) -> [String] {
    parameters.list("dnnTypes").map(\.text)
  }

  /// A policy sees a task's DNN as its place in the list: one that it knows keeps its place.
  public static func keepObservation(
    of trained: ParameterValues, in values: inout ParameterValues
  ) {
    let places = profileNames(trained)
    for (i, name) in profileNames(values).enumerated()
    where places.contains(name) && (i >= places.count || places[i] != name) {
      values["dnnTypes"] = trained["dnnTypes"]
    }
  }

  public var constants: JSONValue { drawnConstants }

  private static func constants(
    model: TaskModel, axis: RoadAxis, windows: EpisodeWindows, observation: TaskObservation
  ) -> JSONValue {
    func list(_ starts: [Double]) -> JSONValue {
      .object([
        "count": .integer(starts.count),
        "starts_s": EpisodeWindows.stretches(starts, slotLength: model.constants.slotLength),
      ])
    }
    return .object([
      "rsus": .list(
        (0..<model.rsuCount).map {
          .object([
            "x_m": .number(model.rsuX[$0]), "y_m": .number(model.rsuY[$0]),
            "z_m": .number(model.constants.rsuHeight),
          ])
        }),
      "road_axis": .object([
        "origin_x_m": .number(axis.originX), "origin_y_m": .number(axis.originY),
        "direction_x": .number(axis.directionX), "direction_y": .number(axis.directionY),
        "start_m": .number(axis.start), "end_m": .number(axis.end),
      ]),
      "load": .number(model.load),
      "dnn_types": .list(
        model.types.map {
          .object([
            "name": .text($0.name), "layers": .integer($0.layers),
            "work_gflop": .number($0.cuts.localFLOP[$0.layers] / 1e9),
            "deadline_s": .number($0.deadline),
          ])
        }),
      "observation": observation.scales,
      "train_windows": list(windows.trainStarts),
      "eval_windows": list(windows.evaluationStarts),
    ])
  }

  public mutating func beginEpisode(_ episode: Int, phase: Phase) {
    key = TaskReleases.key(episode: episode, phase: phase)
    let constants = model.constants
    let vehicles = constants.vehicles
    window = windows.window(episode: episode, phase: phase, seed: seed)
    var sampleStream = sampling.stream(key)
    columns = sampleStream.sample(vehicles, of: window.vehicles.count)
    batteries = (0..<vehicles).map {
      constants.batteryLow
        + (constants.batteryHigh - constants.batteryLow) * batteryField.uniform(key, $0)
    }
    localFree = [Double](repeating: 0, count: vehicles)
    for rsu in queues.indices {
      queues[rsu].removeAll()
      broadcastWaits[rsu] = 0
    }
    nextBroadcast = 0

    requests.removeAll(keepingCapacity: true)
    releases.forEach(key) { slot, vehicle in requests.append(slot * vehicles + vehicle) }
    nextRequest = 0
    prepareSituation()
  }

  public var windowStart: Double { window.startTime }

  public var isEpisodeOver: Bool { situation == nil }

  public mutating func apply(_ decision: TaskDecision) throws -> DecidedTask {
    guard let situation else {
      throw InputError("a decision after the last task of the episode")
    }
    let costs = try model.cost(of: decision, in: situation)
    var link: RSULink?
    if decision.cut < model.types[situation.type].layers {
      link = situation.link(to: decision.rsu)
      queues[decision.rsu - 1].append(
        completion: situation.release + costs.delay, service: costs.remoteTime)
    }
    if model.constants.hasLocalQueue, costs.localFLOP > 0 {
      localFree[situation.vehicle] = situation.decision + situation.localWait + costs.localTime
    }
    if model.constants.drainsBattery {
      let used =
        (costs.vehicleEnergy + costs.transmitEnergy) / model.constants.batteryCapacity
      batteries[situation.vehicle] = max(0, batteries[situation.vehicle] - used)
    }
    let outcome = DecidedTask(
      situation: situation, decision: decision, costs: costs,
      vehicleName: window.names[columns[situation.vehicle]], dnn: model.types[situation.type].name,
      link: link, meanQueueLength: meanQueueLength)
    nextRequest += 1
    prepareSituation()
    return outcome
  }

  /// The start of a slot, in seconds from the window's start, rounded to a nanosecond as in the trace.
  private func time(slot: Int) -> Double {
    (Double(slot) * model.constants.slotLength * 1e9).rounded() / 1e9
  }

  /// Makes the broadcasts up to and including a slot's; only the last of them can still be heard.
  private mutating func broadcast(upTo slot: Int) {
    guard slot >= nextBroadcast else { return }
    let interval = model.constants.broadcastInterval
    let last = slot - slot % interval
    let time = time(slot: last)
    for rsu in queues.indices {
      queues[rsu].removeFinished(at: time)
      broadcastWaits[rsu] = queues[rsu].wait(at: time, rule: model.constants.queueWaitRule)
    }
    nextBroadcast = last + interval
  }

  /// Sets `situation` for the next request.
  private mutating func prepareSituation() {
    guard nextRequest < requests.count else {
      situation = nil
      return
    }
    let constants = model.constants
    let vehicles = constants.vehicles
    let request = requests[nextRequest]
    let slot = request / vehicles
    let vehicle = request % vehicles
    broadcast(upTo: slot)
    let now = time(slot: slot)
    let cell = slot * window.vehicles.count + columns[vehicle]
    let vehicleX = window.x[cell]
    let vehicleY = window.y[cell]
    let along = axis.along(x: vehicleX, y: vehicleY)
    let height = constants.rsuHeight

    var links: [RSULink] = []
    var queued = 0
    for rsu in queues.indices {
      queues[rsu].removeFinished(at: now)
      queued += queues[rsu].count
      let dx = vehicleX - model.rsuX[rsu]
      let dy = vehicleY - model.rsuY[rsu]
      let distance = (dx * dx + dy * dy + height * height).squareRoot()
      guard distance <= constants.rsuRange else { continue }
      if links.isEmpty { links.reserveCapacity(4) }
      let power = fading.exponential(key, slot, vehicle * 1024 + rsu)
      links.append(
        RSULink(
          rsu: rsu + 1, distance: distance, along: along - rsuAlong[rsu], fading: power,
          rate: model.rate(distance: distance, fading: power),
          queueWait: queues[rsu].wait(at: now, rule: constants.queueWaitRule),
          queueLength: queues[rsu].count, broadcastWait: broadcastWaits[rsu]))
    }
    meanQueueLength = Double(queued) / Double(queues.count)

    let type = min(
      Int(taskType.uniform(key, slot, vehicle) * Double(model.types.count)),
      model.types.count - 1)
    let battery = batteries[vehicle]
    situation = TaskSituation(
      task: nextRequest + 1, slot: slot, vehicle: vehicle, release: now, decision: now,
      x: vehicleX, y: vehicleY, along: along - middle, speed: window.speed[cell], type: type,
      deadline: model.types[type].deadline, battery: battery,
      alpha: TaskConstants.batteryCoefficient(battery),
      localWait: constants.hasLocalQueue ? max(0, localFree[vehicle] - now) : 0, links: links,
      diverted: constants.diversion.pick(
        links, mostBits: model.types[type].mostBits,
        draw: diversionField.uniform(key, slot, vehicle)))
  }
}
