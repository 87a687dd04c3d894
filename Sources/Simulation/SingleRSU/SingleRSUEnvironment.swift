public import Support
public import Trace

/// One RSU, client and service vehicles that all stay in its range for an episode (P1).
///
/// Each slot every client has one task (or has one with some probability); its DNN is cut and the rest runs at the RSU
/// or a service vehicle.
public struct SingleRSUEnvironment: Environment {
  public typealias Situation = SlotSituation
  public typealias Decision = SlotDecision
  public typealias Outcome = SlotOutcome
  public typealias Metrics = SingleRSUMetrics

  public let scenario: SingleRSUScenario
  let windows: EpisodeWindows

  private var positions: EpisodePositions?
  private var fadingIndex = 0
  private var slot = 0
  private var backlogs: [Double] = []
  private var tasks: [Bool] = []
  private var background: [Double] = []
  private var gamma: [Double]
  private var pressure: [Double]
  private var typeCapacity: [Double]

  /// A run on windows of a trace.
  ///
  /// - Throws: `InputError` when no window has enough vehicles, with what the best one has.
  public init(parameters: ParameterValues, sources: ScenarioSources) throws {
    let settings = SingleRSUSettings(parameters)
    let trace = sources.trace
    let (coverage, slots, slotLength) = (settings.coverage, settings.slots, settings.slotLength)
    let gap = settings.interpolationGap
    let needed = try settings.neededVehicles()
    let rsu: (x: Double, y: Double) =
      switch settings.rsu {
      case .at(let x, let y): (x, y)
      case .automatic:
        try RSUPlacement.automatic(
          trace: trace, coverage: coverage, slots: slots, slotLength: slotLength,
          vehicles: needed, maximumGap: gap)
      }
    let qualifying = try QualifyingWindows(
      trace: trace, rsuX: rsu.x, rsuY: rsu.y, coverage: coverage, slots: slots,
      slotLength: slotLength, maximumGap: gap)
    let windows = try EpisodeWindows(
      qualifying: qualifying, trace: trace, vehicles: needed,
      trainShare: settings.trainShare,
      place: "within \(CSVWriter.text(of: coverage)) m of the RSU",
      key: "clients + serviceVehicles",
      advice: "Fewer vehicles, fewer slots, a larger coverage, another place of the RSU "
        + "(see 'veclab inspect') or a trace with more traffic would help",
      needsTraining: sources.needsTraining)
    let axis = try RoadAxis(
      trace: trace, nearX: rsu.x, nearY: rsu.y, radius: coverage,
      sampling: Sampling(slotLength: slotLength, interpolationGap: gap))
    try self.init(
      settings: settings, profiles: sources.profiles, seed: sources.seed, windows: windows,
      rsu: rsu, axis: axis)
  }

  /// A run on given windows, each with at least as many vehicles as there are roles, all present throughout.
  public init(
    parameters: ParameterValues, profiles: [String: DNNProfile], seed: UInt64,
    windows: EpisodeWindows, rsu: (x: Double, y: Double), axis: RoadAxis
  ) throws {
    try self.init(
      settings: SingleRSUSettings(parameters), profiles: profiles, seed: seed, windows: windows,
      rsu: rsu, axis: axis)
  }

  init(
    settings: SingleRSUSettings, profiles: [String: DNNProfile], seed: UInt64,
    windows: EpisodeWindows, rsu: (x: Double, y: Double), axis: RoadAxis
  ) throws {
    scenario = try SingleRSUScenario(
      settings: settings, profiles: profiles, seed: seed, rsuX: rsu.x, rsuY: rsu.y, axis: axis)
    self.windows = windows
    gamma = [Double](repeating: 0, count: scenario.types)
    pressure = gamma
    typeCapacity = gamma
  }

  public mutating func beginEpisode(_ episode: Int, phase: Phase) {
    positions = positions(episode: episode, phase: phase)
    fadingIndex = 2 * episode + phase.index
    slot = 0
    backlogs = scenario.initialBacklogs(episode: fadingIndex)
    drawSlot()
  }

  /// What happens in the slot whatever anybody decides.
  private mutating func drawSlot() {
    tasks = scenario.tasks(episode: fadingIndex, slot: slot)
    background = scenario.background(episode: fadingIndex, slot: slot)
  }

  /// The vehicles of an episode by role, drawn from the seed, the phase and the episode.
  func positions(episode: Int, phase: Phase) -> EpisodePositions {
    let window = windows.window(episode: episode, phase: phase, seed: scenario.seed)
    let count = window.names.count
    precondition(count >= scenario.clients + scenario.serviceVehicles)
    precondition(window.slots >= scenario.slots)
    // Clients from the front of one permutation, service vehicles from its back: with the same windows,
    // more of one role takes no vehicle from the other.
    var stream = scenario.roles.stream(phase.index, episode)
    let order = stream.sample(count, of: count)
    let columns =
      Array(order[..<scenario.clients])
      + order[(count - scenario.serviceVehicles)...].reversed()
    return EpisodePositions(window: window, columns: columns)
  }

  public var windowStart: Double { positions?.startTime ?? .nan }
  public var isEpisodeOver: Bool { slot >= scenario.slots }

  public var situation: SlotSituation? {
    positions.map {
      SlotSituation(
        scenario: scenario, slot: slot, positions: $0, fadingIndex: fadingIndex, backlogs: backlogs,
        tasks: tasks, background: background)
    }
  }

  /// Replaces the backlogs (clients, types at the RSU, service vehicles; GFLOP), to look at a chosen state.
  public mutating func setBacklogs(_ values: [Double]) {
    precondition(values.count == scenario.queues)
    backlogs = values
  }

  /// Carries out the decisions of a slot; what they say for a client without a task is not looked at.
  ///
  /// - Throws: `InputError` for a cut or node that does not exist, or a node beyond the V2V range.
  public mutating func apply(_ decision: SlotDecision) throws -> SlotOutcome {
    guard let situation, !isEpisodeOver else {
      preconditionFailure("a decision needs an episode that has begun and is not over")
    }
    try check(decision, in: situation)
    var queues = arrivals(of: decision, in: situation)
    divideRSUCapacity(queues)
    let (clients, types) = (scenario.clients, scenario.types)
    for i in 0..<clients { queues[i].capacity = scenario.clientCapacity[i] }
    for k in 0..<types { queues[clients + k].capacity = typeCapacity[k] }
    for j in 0..<scenario.serviceVehicles {
      queues[clients + types + j].capacity = scenario.serviceCapacity[j]
    }

    var delaySum = 0.0
    var outcomes: [TaskOutcome] = []
    outcomes.reserveCapacity(clients)
    for i in 0..<clients where situation.tasks[i] {
      let task = outcome(
        ofClient: i, cut: decision.cuts[i], node: decision.nodes[i], in: situation, queues: queues)
      delaySum += task.delay
      outcomes.append(task)
    }
    let (drift, squares) = advance(&queues)
    let objective = scenario.delayWeight * delaySum + drift
    return SlotOutcome(
      situation: situation, tasks: outcomes, queues: queues, objective: objective,
      reward: scenario.rewardRule == .printed
        ? -objective : -(scenario.delayWeight * delaySum + squares))
  }

  /// Users and work that the decisions bring to each queue, without the work of others.
  private func arrivals(
    of decision: SlotDecision, in situation: SlotSituation
  ) -> [QueueOutcome] {
    let scenario = scenario
    var queues = [QueueOutcome](unsafeUninitializedCapacity: scenario.queues) { buffer, count in
      for i in 0..<scenario.queues {
        buffer.initializeElement(
          at: i,
          to: QueueOutcome(
            capacity: 0, users: 0, backlog: backlogs[i], arrivals: 0, backlogAfter: 0))
      }
      count = scenario.queues
    }
    for i in 0..<scenario.clients where situation.tasks[i] {
      let type = scenario.typeOfClient[i]
      let cut = decision.cuts[i]
      if cut > 0 {
        queues[i].users = 1
        queues[i].arrivals = scenario.localWork[type * scenario.cutStride + cut]
      }
      if cut < scenario.layersOfType[type] {
        let queue = scenario.queue(client: i, node: decision.nodes[i])
        queues[queue].users += 1
        queues[queue].arrivals += scenario.remoteWork[type * scenario.cutStride + cut]
      }
    }
    return queues
  }

  /// Adds the work of others, serves every queue and goes on to the next slot.
  ///
  /// - Returns: sum of Q (arrivals - f tau), and half the sum of the changes of Q^2.
  private mutating func advance(
    _ queues: inout [QueueOutcome]
  ) -> (drift: Double, squares: Double) {
    var drift = 0.0
    var squares = 0.0
    for i in queues.indices {
      queues[i].background = background[i]
      queues[i].arrivals += background[i]
      let queue = queues[i]
      let served = queue.capacity * scenario.slotLength
      drift += queue.backlog * (queue.arrivals - served)
      let after = backlogAfterSlot(queue.backlog, served: served, arrivals: queue.arrivals)
      squares += (after * after - queue.backlog * queue.backlog) / 2
      queues[i].backlogAfter = after
      backlogs[i] = after
    }
    slot += 1
    drawSlot()
    return (drift, squares)
  }

  /// P1 eq (44)-(53) with the users and the tasks' work of the slot; fills `typeCapacity`.
  private mutating func divideRSUCapacity(_ queues: [QueueOutcome]) {
    for k in 0..<scenario.types {
      let queue = queues[scenario.clients + k]
      gamma[k] = scenario.gammaRule.weight(
        users: queue.users, work: queue.arrivals, backlog: queue.backlog,
        delayWeight: scenario.delayWeight)
      pressure[k] = queue.backlog * scenario.slotLength
    }
    RSUAllocation.divide(
      gamma: gamma, pressure: pressure, total: scenario.rsuCapacity, into: &typeCapacity)
  }

  /// Delays of one task, P1 eq (4)-(19), with `queues` holding users, arrivals and capacities of the slot.
  private func outcome(
    ofClient client: Int, cut: Int, node: Int, in situation: SlotSituation, queues: [QueueOutcome]
  ) -> TaskOutcome {
    let type = scenario.typeOfClient[client]
    let entry = type * scenario.cutStride + cut
    let isRemote = cut < scenario.layersOfType[type]
    let link = situation.link(client: client, node: node)
    let edge = queues[scenario.queue(client: client, node: node)]
    let localBacklog = situation.clientBacklog(client)
    let localWork = scenario.localWork[entry]
    let remoteWork = scenario.remoteWork[entry]
    let bits = scenario.cutBits[entry]
    var task = TaskOutcome(
      client: client, cut: cut, node: node, isRemote: isRemote, link: link, localWork: localWork,
      remoteWork: remoteWork, cutBits: bits, localBacklog: localBacklog, edgeBacklog: edge.backlog,
      localDelay: 0, transmitDelay: 0, edgeDelay: 0)
    if cut > 0 { task.localDelay = (localBacklog + localWork) / scenario.clientCapacity[client] }
    if isRemote {
      task.transmitDelay = bits / link.rate
      task.edgeDelay =
        (edge.backlog + remoteWork) / edge.capacity
        + (edge.arrivals - remoteWork) / (2 * edge.capacity)
    }
    return task
  }

  private func check(_ decision: SlotDecision, in situation: SlotSituation) throws {
    guard decision.cuts.count == scenario.clients, decision.nodes.count == scenario.clients else {
      throw InputError(
        "a decision needs a cut and a node for each of \(scenario.clients) clients",
        value: "\(decision.cuts.count) cuts, \(decision.nodes.count) nodes")
    }
    for i in 0..<scenario.clients where situation.tasks[i] {
      let layers = scenario.layers(ofClient: i)
      guard (0...layers).contains(decision.cuts[i]) else {
        throw InputError(
          "client \(i + 1) can be cut at 1 to \(layers + 1)", key: "cut",
          value: "\(decision.cuts[i] + 1)")
      }
      guard (0..<scenario.nodes).contains(decision.nodes[i]) else {
        throw InputError(
          "nodes are 1 to \(scenario.nodes)", key: "node", value: "\(decision.nodes[i] + 1)")
      }
      if scenario.v2vRange != nil,
        !situation.allows(client: i, node: decision.nodes[i])
      {
        throw InputError(
          "the service vehicle is beyond the V2V range of client \(i + 1)", key: "node",
          value: "\(decision.nodes[i] + 1)")
      }
    }
  }
}

extension SingleRSUScenario {
  /// Index of the queue that a client's task joins at a node.
  @inline(__always)
  func queue(client: Int, node: Int) -> Int {
    clients + (node == 0 ? typeOfClient[client] : types + node - 1)
  }
}

extension Phase {
  /// Index in random fields: training and evaluation share no draw.
  fileprivate var index: Int { self == .train ? 0 : 1 }
}
