public import Support

/// P of a slot, P1 eq (34), as a function of the decisions: tables are filled once a slot, then every
/// evaluation is a few additions a client, one term a service vehicle and one division of the RSU's capacity.
///
/// The value splits into what each client costs by itself (local delay and queue, transmission), what the users
/// of each service vehicle cost together, and what the users of the RSU cost together. Work and backlogs are in
/// GFLOP, V weighs seconds.
public struct SlotObjective: Sendable {
  public let scenario: SingleRSUScenario
  /// Clients that have a task: the others cost nothing, whatever is decided for them.
  public private(set) var tasks: [Bool]
  /// Cost of running up to a cut locally, `[client * cutStride + cut]`: V d_loc + Q_i W.
  public private(set) var localCost: [Double]
  /// Cost of sending one bit, `[client * nodes + node]`: V / rate; infinite where a node is out of range.
  public private(set) var bitCost: [Double]
  /// What no decision changes: - sum Q f tau over clients and service vehicles, and sum Q times the work of others.
  public private(set) var constant = 0.0
  /// Backlogs of the types at the RSU, GFLOP.
  public private(set) var typeBacklog: [Double]
  /// Backlogs of the service vehicles, GFLOP; index 0 is node 1.
  public private(set) var serviceBacklog: [Double]

  private var typeUsers: [Int]
  private var typeWork: [Double]
  private var serviceUsers: [Int]
  private var serviceWork: [Double]
  private var gamma: [Double]
  private var pressure: [Double]
  private var typeCapacity: [Double]

  public init(scenario: SingleRSUScenario) {
    self.scenario = scenario
    tasks = [Bool](repeating: true, count: scenario.clients)
    localCost = [Double](repeating: 0, count: scenario.clients * scenario.cutStride)
    bitCost = [Double](repeating: 0, count: scenario.clients * scenario.nodes)
    typeBacklog = [Double](repeating: 0, count: scenario.types)
    serviceBacklog = [Double](repeating: 0, count: scenario.serviceVehicles)
    typeUsers = [Int](repeating: 0, count: scenario.types)
    typeWork = typeBacklog
    serviceUsers = [Int](repeating: 0, count: scenario.serviceVehicles)
    serviceWork = serviceBacklog
    gamma = typeBacklog
    pressure = typeBacklog
    typeCapacity = typeBacklog
  }

  /// Fills the tables for a slot.
  public mutating func prepare(_ situation: SlotSituation) {
    prepare(backlogs: situation.backlogs, tasks: situation.tasks) { client, node in
      situation.allows(client: client, node: node)
        ? situation.link(client: client, node: node).rate : 0
    }
    for (backlog, work) in zip(situation.backlogs, situation.background) {
      constant += backlog * work
    }
  }

  /// Fills the tables for backlogs (GFLOP) as they are, were or may be, with the mean rate of each kind of link: the
  /// canonical slot, which depends on queues and tasks alone.
  ///
  /// - Parameter situation: whose vehicles are in range of each other; nil for all.
  public mutating func prepareCanonical(
    backlogs: [Double], tasks: [Bool], reach situation: SlotSituation? = nil
  ) {
    let scenario = scenario
    prepare(backlogs: backlogs, tasks: tasks) { client, node in
      situation?.allows(client: client, node: node) ?? true
        ? scenario.canonicalRate(node: node) : 0
    }
  }

  private mutating func prepare(
    backlogs: [Double], tasks: [Bool], rate: (_ client: Int, _ node: Int) -> Double
  ) {
    self.tasks = tasks
    let stride = scenario.cutStride
    let weight = scenario.delayWeight
    let tau = scenario.slotLength
    constant = 0
    for i in 0..<scenario.clients {
      let type = scenario.typeOfClient[i]
      let capacity = scenario.clientCapacity[i]
      let backlog = backlogs[i]
      constant -= backlog * capacity * tau
      if !tasks[i] { continue }
      localCost[i * stride] = 0
      for cut in 1...scenario.layersOfType[type] {
        let work = scenario.localWork[type * stride + cut]
        localCost[i * stride + cut] = weight * ((backlog + work) / capacity) + backlog * work
      }
      for node in 0..<scenario.nodes {
        bitCost[i * scenario.nodes + node] = weight / rate(i, node)
      }
    }
    for k in 0..<scenario.types {
      typeBacklog[k] = backlogs[scenario.clients + k]
      pressure[k] = typeBacklog[k] * tau
    }
    for j in 0..<scenario.serviceVehicles {
      serviceBacklog[j] = backlogs[scenario.clients + scenario.types + j]
      constant -= serviceBacklog[j] * scenario.serviceCapacity[j] * tau
    }
  }

  /// Whether a client may choose a node in this slot.
  @inline(__always)
  public func allows(client: Int, node: Int) -> Bool {
    bitCost[client * scenario.nodes + node] < .infinity
  }

  /// An allowed node, drawn uniformly; the RSU where no link of the client has a rate, so that none is allowed.
  public func drawNode(client: Int, using stream: inout RandomStream) -> Int {
    let nodes = scenario.nodes
    guard (0..<nodes).contains(where: { allows(client: client, node: $0) }) else { return 0 }
    while true {
      let node = stream.index(below: nodes)
      if allows(client: client, node: node) { return node }
    }
  }

  /// What `users` with `work` in all cost together at service vehicle j (node j + 1).
  @inline(__always)
  public func serviceCost(_ j: Int, users: Int, work: Double) -> Double {
    let share = 1 + Double(users - 1) / 2
    let delay = (Double(users) * serviceBacklog[j] + share * work) / scenario.serviceCapacity[j]
    return scenario.delayWeight * delay + serviceBacklog[j] * work
  }

  /// What the users of the RSU cost together, given their number and work per type; no user costs too, or
  /// rather earns what the idle capacity serves of the backlogs.
  public mutating func rsuCost(users: [Int], work: [Double]) -> Double {
    for k in 0..<scenario.types {
      gamma[k] = scenario.gammaRule.weight(
        users: users[k], work: work[k], backlog: typeBacklog[k],
        delayWeight: scenario.delayWeight)
    }
    RSUAllocation.divide(
      gamma: gamma, pressure: pressure, total: scenario.rsuCapacity, into: &typeCapacity)
    var cost = 0.0
    for k in 0..<scenario.types {
      let capacity = typeCapacity[k]
      if users[k] > 0 {
        let weight = GammaRule.corrected.weight(
          users: users[k], work: work[k], backlog: typeBacklog[k],
          delayWeight: scenario.delayWeight)
        cost += weight / capacity + typeBacklog[k] * work[k]
      }
      cost -= pressure[k] * capacity
    }
    return cost
  }

  /// The capacities of the last `rsuCost`, GFLOP/s per type.
  public var lastCapacities: [Double] { typeCapacity }

  private mutating func rsuCost() -> Double {
    rsuCost(users: typeUsers, work: typeWork)
  }

  /// P of a whole decision: `cuts[offset + i]` local layers of client i, `nodes[offset + i]` for the rest.
  public mutating func value(cuts: [Int], nodes: [Int], at offset: Int = 0) -> Double {
    countUsers(except: -1, cuts: cuts, nodes: nodes, at: offset)
    var sum = constant
    let stride = scenario.cutStride
    for i in 0..<scenario.clients where tasks[i] {
      let type = scenario.typeOfClient[i]
      let cut = cuts[offset + i]
      sum += localCost[i * stride + cut]
      if cut < scenario.layersOfType[type] {
        sum +=
          bitCost[i * scenario.nodes + nodes[offset + i]] * scenario.cutBits[type * stride + cut]
      }
    }
    for j in 0..<scenario.serviceVehicles where serviceUsers[j] > 0 {
      sum += serviceCost(j, users: serviceUsers[j], work: serviceWork[j])
    }
    return sum + rsuCost()
  }

  /// P of a whole decision.
  public mutating func value(_ decision: SlotDecision) -> Double {
    value(cuts: decision.cuts, nodes: decision.nodes)
  }

  /// A client's best choice against the others' choices.
  public struct BestResponse: Sendable, Equatable {
    public var cut: Int
    public var node: Int
    /// P with the best choice less P with the present one: at most 0.
    public var change: Double
  }

  /// The cut and node with which P is least if only this client may change.
  public mutating func bestResponse(
    of client: Int, cuts: [Int], nodes: [Int]
  ) -> BestResponse {
    guard tasks[client] else {
      return BestResponse(cut: cuts[client], node: nodes[client], change: 0)
    }
    let stride = scenario.cutStride
    let type = scenario.typeOfClient[client]
    let layers = scenario.layersOfType[type]
    countUsers(except: client, cuts: cuts, nodes: nodes)
    let present = (cut: cuts[client], node: nodes[client])

    // Costs are relative to a slot without this client.
    var best = BestResponse(cut: layers, node: 0, change: localCost[client * stride + layers])
    var presentCost = present.cut == layers ? best.change : .infinity
    for node in 1..<scenario.nodes {
      let perBit = bitCost[client * scenario.nodes + node]
      if perBit == .infinity { continue }
      let j = node - 1
      // With n other users that bring R: (1 + n / 2) r of the newcomer, R / 2 more for the others.
      let others = Double(serviceUsers[j])
      let perWeight = scenario.delayWeight / scenario.serviceCapacity[j]
      let perWork = perWeight * (1 + others / 2) + serviceBacklog[j]
      let joining = perWeight * (serviceBacklog[j] + serviceWork[j] / 2)
      for cut in 0..<layers {
        let entry = type * stride + cut
        let cost =
          localCost[client * stride + cut] + perBit * scenario.cutBits[entry]
          + perWork * scenario.remoteWork[entry] + joining
        if cost < best.change { best = BestResponse(cut: cut, node: node, change: cost) }
        if cut == present.cut && node == present.node { presentCost = cost }
      }
    }

    let baseCost = rsuCost()
    let perBit = bitCost[client * scenario.nodes]
    let backlog = typeBacklog[type]
    let workBefore = typeWork[type]
    let weightBefore = correctedWeight(type)
    typeUsers[type] += 1
    for cut in 0..<layers {
      let entry = type * stride + cut
      let work = scenario.remoteWork[entry]
      typeWork[type] = workBefore + work
      let ownCost = localCost[client * stride + cut] + perBit * scenario.cutBits[entry]
      let isPresent = cut == present.cut && present.node == 0
      if scenario.gammaRule == .corrected && !isPresent {
        // With the minimising allocation another unit of weight costs at least 1 / F.
        let least =
          (correctedWeight(type) - weightBefore) / scenario.rsuCapacity + backlog * work
        if ownCost + least >= best.change { continue }
      }
      let cost = ownCost + (rsuCost() - baseCost)
      if cost < best.change { best = BestResponse(cut: cut, node: 0, change: cost) }
      if isPresent { presentCost = cost }
    }
    best.change -= presentCost
    return best.change < 0
      ? best : BestResponse(cut: present.cut, node: present.node, change: 0)
  }

  /// P of every action a = cut J + node of a client less P of the slot without it, the others' choices as they are.
  ///
  /// Infinite for a node out of range. All-local actions cost the same at every node.
  /// - Complexity: (L + 1) J evaluations of a few operations, L divisions of the RSU's capacity.
  public mutating func costs(
    ofClient client: Int, cuts: [Int], nodes: [Int]
  ) -> [Double] {
    let stride = scenario.cutStride
    let type = scenario.typeOfClient[client]
    let layers = scenario.layersOfType[type]
    countUsers(except: client, cuts: cuts, nodes: nodes)
    var result = [Double](
      repeating: localCost[client * stride + layers], count: (layers + 1) * scenario.nodes)
    let withoutClient = rsuCost()
    let workBefore = typeWork[type]
    typeUsers[type] += 1
    for cut in 0..<layers {
      let entry = type * stride + cut
      let work = scenario.remoteWork[entry]
      typeWork[type] = workBefore + work
      let own = localCost[client * stride + cut]
      let bits = scenario.cutBits[entry]
      for node in 0..<scenario.nodes {
        let shared =
          node == 0
          ? rsuCost() - withoutClient
          : serviceCost(
            node - 1, users: serviceUsers[node - 1] + 1, work: serviceWork[node - 1] + work)
            - (serviceUsers[node - 1] == 0
              ? 0
              : serviceCost(node - 1, users: serviceUsers[node - 1], work: serviceWork[node - 1]))
        result[cut * scenario.nodes + node] =
          own + bitCost[client * scenario.nodes + node] * bits + shared
      }
    }
    return result
  }

  /// Every queue that is to be expected after a decision in the prepared slot, GFLOP: the RSU's capacity divided as if
  /// all of the slot's tasks were there, the tasks' work weighted, the work of others at its mean.
  ///
  /// - Parameter taskShare: the probability of each client's task.
  public mutating func expectedBacklogs(
    after decision: SlotDecision, from backlogs: [Double], taskShare: [Double]
  ) -> [Double] {
    countUsers(except: -1, cuts: decision.cuts, nodes: decision.nodes)
    _ = rsuCost()
    let edge = scenario.clients..<scenario.queues
    var arrivals = [Double](repeating: 0, count: scenario.clients)
    arrivals += edge.map { _ in scenario.meanBackground }
    for i in 0..<scenario.clients where tasks[i] {
      let type = scenario.typeOfClient[i]
      let entry = type * scenario.cutStride + decision.cuts[i]
      arrivals[i] += taskShare[i] * scenario.localWork[entry]
      if decision.cuts[i] < scenario.layersOfType[type] {
        arrivals[scenario.queue(client: i, node: decision.nodes[i])] +=
          taskShare[i] * scenario.remoteWork[entry]
      }
    }
    let capacities = scenario.clientCapacity + typeCapacity + scenario.serviceCapacity
    return backlogs.indices.map {
      backlogAfterSlot(
        backlogs[$0], served: capacities[$0] * scenario.slotLength, arrivals: arrivals[$0])
    }
  }

  /// Lets one client after the other take its best response until none gains: P of the decision left.
  public mutating func descend(_ decision: inout SlotDecision) -> Double {
    // Gains of the size of rounding errors are none: they could go round in circles.
    let threshold = 1e-12 * (1 + abs(value(decision)))
    var client = 0
    var settled = 0
    while settled < scenario.clients {
      let response = bestResponse(
        of: client, cuts: decision.cuts, nodes: decision.nodes)
      if response.change < -threshold {
        decision.cuts[client] = response.cut
        decision.nodes[client] = response.node
        settled = 0
      } else {
        settled += 1
      }
      client = client + 1 == scenario.clients ? 0 : client + 1
    }
    return value(decision)
  }

  private func correctedWeight(_ type: Int) -> Double {
    GammaRule.corrected.weight(
      users: typeUsers[type], work: typeWork[type], backlog: typeBacklog[type],
      delayWeight: scenario.delayWeight)
  }

  /// Counts users and work of every shared queue; `client` is left out.
  private mutating func countUsers(
    except client: Int, cuts: [Int], nodes: [Int], at offset: Int = 0
  ) {
    for k in 0..<scenario.types {
      typeUsers[k] = 0
      typeWork[k] = 0
    }
    for j in 0..<scenario.serviceVehicles {
      serviceUsers[j] = 0
      serviceWork[j] = 0
    }
    for i in 0..<scenario.clients where i != client && tasks[i] {
      let type = scenario.typeOfClient[i]
      let cut = cuts[offset + i]
      let node = nodes[offset + i]
      if cut == scenario.layersOfType[type] { continue }
      let work = scenario.remoteWork[type * scenario.cutStride + cut]
      if node == 0 {
        typeUsers[type] += 1
        typeWork[type] += work
      } else {
        serviceUsers[node - 1] += 1
        serviceWork[node - 1] += work
      }
    }
  }
}
