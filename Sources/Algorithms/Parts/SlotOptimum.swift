internal import Simulation
internal import Support

/// The minimiser of P of the slot, over all cuts and nodes.
///
/// Given all nodes, the cuts of clients at a service vehicle separate: with n users there, each one's cost is
/// linear in its own work. A dynamic programme over subsets of clients therefore gives the least cost of every
/// subset that stays away from the RSU. The group at the RSU is coupled by the division of its capacity: groups
/// are tried in order of a lower bound until none can be better than the best decision found.
struct SlotOptimum {
  /// More clients than this would take minutes a slot.
  static let mostClients = 12

  private var away: AwayFromRSU
  private var groups: RSUGroups
  private let warmStart: Bool

  /// - Parameter warmStart: whether two best-response descents give the first bound; without them it is only slower.
  /// - Throws: `InputError` for more clients than `mostClients`.
  init(scenario: SingleRSUScenario, warmStart: Bool = true) throws {
    guard scenario.clients <= SlotOptimum.mostClients else {
      throw InputError(
        "the exact algorithm takes at most \(SlotOptimum.mostClients) clients", key: "clients",
        value: "\(scenario.clients)", advice: "coordinate-descent scales to any number")
    }
    self.warmStart = warmStart
    away = AwayFromRSU(scenario: scenario)
    groups = RSUGroups(scenario: scenario)
  }

  /// The decision of least P for a prepared slot; clients without a task have cut and node 0.
  mutating func solve(_ objective: inout SlotObjective) -> SlotDecision {
    let clients = objective.scenario.clients
    let zeros = [Int](repeating: 0, count: clients)
    // A good decision to begin with cuts most of the search.
    var best = SlotDecision(
      cuts: zeros.indices.map { objective.scenario.layers(ofClient: $0) }, nodes: zeros)
    var bestValue = objective.value(best)
    if warmStart {
      bestValue = objective.descend(&best)
      var other = SlotDecision(cuts: zeros, nodes: zeros)
      let otherValue = objective.descend(&other)
      if otherValue < bestValue { (best, bestValue) = (other, otherValue) }
    }

    away.solve(objective)
    groups.prepare(objective)
    let everyone = objective.tasks.indices.reduce(0) {
      objective.tasks[$1] ? $0 | 1 << $1 : $0
    }
    let order = (0...everyone).filter { $0 & ~everyone == 0 }.map { group in
      (
        group: group,
        bound: groups.lowerBound(group) + away.cost[everyone ^ group] + objective.constant
      )
    }.sorted { ($0.bound, $0.group) < ($1.bound, $1.group) }
    for candidate in order {
      if candidate.bound >= bestValue { break }
      let rest = away.cost[everyone ^ candidate.group] + objective.constant
      guard let found = groups.solve(candidate.group, below: bestValue - rest) else { continue }
      var decision = SlotDecision(cuts: zeros, nodes: zeros)
      away.fill(&decision, clients: everyone ^ candidate.group)
      for client in 0..<clients where candidate.group >> client & 1 == 1 {
        decision.cuts[client] = found[client]
      }
      let value = objective.value(decision)
      if value < bestValue { (best, bestValue) = (decision, value) }
    }
    return best
  }
}

/// Least cost of every subset of clients with none of them at the RSU.
private struct AwayFromRSU {
  let scenario: SingleRSUScenario
  /// Least cost by subset (bit i for client i).
  private(set) var cost: [Double]
  /// Members of service vehicle j in the best assignment of a subset to vehicles 0...j, `[j << clients | subset]`.
  private var members: [Int]
  /// Best cut of a client with `users` users at vehicle j, `[(j * clients + client) * (clients + 1) + users]`.
  private var cuts: [Int]
  private var ownCost: [Double]

  init(scenario: SingleRSUScenario) {
    self.scenario = scenario
    let clients = scenario.clients
    cost = [Double](repeating: 0, count: 1 << clients)
    members = [Int](repeating: 0, count: scenario.serviceVehicles << clients)
    cuts = [Int](repeating: 0, count: scenario.serviceVehicles * clients * (clients + 1))
    ownCost = [Double](repeating: 0, count: clients * (clients + 1))
  }

  mutating func solve(_ objective: SlotObjective) {
    let clients = scenario.clients
    let everyone = objective.tasks.indices.reduce(0) {
      objective.tasks[$1] ? $0 | 1 << $1 : $0
    }
    let subsets = (0...everyone).filter { $0 & ~everyone == 0 }
    let stride = scenario.cutStride
    // All local.
    cost[0] = 0
    for subset in subsets.dropFirst() {
      let client = subset.trailingZeroBitCount
      cost[subset] =
        cost[subset & (subset - 1)]
        + objective.localCost[client * stride + scenario.layers(ofClient: client)]
    }
    var groupCost = [Double](repeating: 0, count: 1 << clients)
    var before = cost
    for j in 0..<scenario.serviceVehicles {
      tabulate(j, objective)
      for subset in subsets.dropFirst() {
        let users = subset.nonzeroBitCount
        var sum = 0.0
        var rest = subset
        while rest != 0 {
          sum += ownCost[rest.trailingZeroBitCount * (clients + 1) + users]
          rest &= rest - 1
        }
        groupCost[subset] = sum
      }
      swap(&before, &cost)
      for subset in subsets {
        var best = before[subset]
        var choice = 0
        var group = subset
        while group != 0 {
          let sum = before[subset ^ group] + groupCost[group]
          if sum < best {
            best = sum
            choice = group
          }
          group = (group - 1) & subset
        }
        cost[subset] = best
        members[j << clients | subset] = choice
      }
    }
  }

  /// Best cut and cost of every client at vehicle j, for every number of users.
  private mutating func tabulate(_ j: Int, _ objective: SlotObjective) {
    let clients = scenario.clients
    let stride = scenario.cutStride
    let perWeight = scenario.delayWeight / scenario.serviceCapacity[j]
    let backlog = objective.serviceBacklog[j]
    for client in 0..<clients {
      let type = scenario.typeOfClient[client]
      let perBit = objective.bitCost[client * scenario.nodes + j + 1]
      for users in 1...clients {
        let perWork = perWeight * (1 + Double(users - 1) / 2) + backlog
        var least = Double.infinity
        var choice = 0
        for cut in 0..<scenario.layersOfType[type] {
          let entry = type * stride + cut
          let sum =
            objective.localCost[client * stride + cut] + perBit * scenario.cutBits[entry]
            + perWork * scenario.remoteWork[entry]
          if sum < least {
            least = sum
            choice = cut
          }
        }
        ownCost[client * (clients + 1) + users] = least + perWeight * backlog
        cuts[(j * clients + client) * (clients + 1) + users] = choice
      }
    }
  }

  /// Writes the best choices of a subset into a decision.
  func fill(_ decision: inout SlotDecision, clients subset: Int) {
    let clients = scenario.clients
    var rest = subset
    for j in stride(from: scenario.serviceVehicles - 1, through: 0, by: -1) {
      let group = members[j << clients | rest]
      for client in 0..<clients where group >> client & 1 == 1 {
        decision.nodes[client] = j + 1
        decision.cuts[client] =
          cuts[(j * clients + client) * (clients + 1) + group.nonzeroBitCount]
      }
      rest ^= group
    }
    for client in 0..<clients where rest >> client & 1 == 1 {
      decision.nodes[client] = 0
      decision.cuts[client] = scenario.layers(ofClient: client)
    }
  }
}

/// Best cuts of a group of clients that all use the RSU.
///
/// With n_k users of type k that bring R_k, the RSU costs sum_k weight_k / f_k - Q_k tau f_k + Q_k R_k, weight_k
/// = V [n_k Q_k + (1 + (n_k - 1) / 2) R_k]. Under the corrected rule f minimises that, so the cost is concave in
/// R, and the best cuts of a type lie on the lower envelope of own cost + v R over v = V (1 + (n_k - 1) / 2) / f_k:
/// a short list of cut vectors for each type. Under the printed rule f is not the minimiser and nothing is concave;
/// there boxes of cuts are halved, with bounds from the monotony of f_k in the printed weights.
private struct RSUGroups {
  let scenario: SingleRSUScenario
  /// Cost of a client's cut by itself at the RSU, `[client * cutStride + cut]`: local, sending, Q_k R.
  private var ownCost: [Double]
  private var backlog: [Double]
  private var pressure: [Double]
  /// Least of own cost + v R at the least v that can be, V (1 + (n - 1) / 2) / F, by users of the type.
  private var leastCost: [Double]
  /// Least own cost of each client.
  private var leastOwnCost: [Double]
  private var gamma: [Double]
  private var capacity: [Double]
  private var users: [Int]

  init(scenario: SingleRSUScenario) {
    self.scenario = scenario
    ownCost = [Double](repeating: 0, count: scenario.clients * scenario.cutStride)
    backlog = [Double](repeating: 0, count: scenario.types)
    pressure = backlog
    gamma = backlog
    capacity = backlog
    leastCost = [Double](repeating: 0, count: scenario.clients * (scenario.clients + 1))
    leastOwnCost = [Double](repeating: 0, count: scenario.clients)
    users = [Int](repeating: 0, count: scenario.types)
  }

  /// 1 + (n - 1) / 2.
  private func share(_ users: Int) -> Double { 1 + Double(users - 1) / 2 }

  mutating func prepare(_ objective: SlotObjective) {
    backlog = objective.typeBacklog
    for k in backlog.indices { pressure[k] = backlog[k] * scenario.slotLength }
    for client in 0..<scenario.clients {
      let type = scenario.typeOfClient[client]
      let perBit = objective.bitCost[client * scenario.nodes]
      leastOwnCost[client] = .infinity
      for cut in 0..<scenario.layersOfType[type] {
        let entry = type * scenario.cutStride + cut
        let own =
          objective.localCost[client * scenario.cutStride + cut]
          + perBit * scenario.cutBits[entry] + backlog[type] * scenario.remoteWork[entry]
        ownCost[client * scenario.cutStride + cut] = own
        leastOwnCost[client] = min(leastOwnCost[client], own)
      }
      for users in 1...scenario.clients {
        leastCost[client * (scenario.clients + 1) + users] = leastSum(
          client, cuts: 0..<scenario.layersOfType[type],
          perWork: scenario.delayWeight * share(users) / scenario.rsuCapacity)
      }
    }
  }

  /// Least own cost + v R of a client over a range of cuts.
  private func leastSum(_ client: Int, cuts: Range<Int>, perWork: Double) -> Double {
    let type = scenario.typeOfClient[client]
    var least = Double.infinity
    for cut in cuts {
      least = min(
        least,
        ownCost[client * scenario.cutStride + cut]
          + perWork * scenario.remoteWork[type * scenario.cutStride + cut])
    }
    return least
  }

  private mutating func countUsers(_ group: Int) {
    for k in users.indices { users[k] = 0 }
    for client in 0..<scenario.clients where group >> client & 1 == 1 {
      users[scenario.typeOfClient[client]] += 1
    }
  }

  /// Cost of the shared part at the best division for weights `gamma`.
  private mutating func leastSharedCost() -> Double {
    RSUAllocation.divide(
      gamma: gamma, pressure: pressure, total: scenario.rsuCapacity, into: &capacity)
    var cost = 0.0
    for k in gamma.indices {
      if gamma[k] > 0 { cost += gamma[k] / capacity[k] }
      cost -= pressure[k] * capacity[k]
    }
    return cost
  }

  /// No choice of cuts costs the group less, under either rule.
  mutating func lowerBound(_ group: Int) -> Double {
    countUsers(group)
    // Every type has all of the capacity, and it serves the longest queue.
    var alone = -(pressure.max() ?? 0) * scenario.rsuCapacity
    // All do what is best for themselves, but bring the least work.
    var own = 0.0
    for k in users.indices {
      gamma[k] = Double(users[k]) * backlog[k] * scenario.delayWeight
      alone += gamma[k] / scenario.rsuCapacity
    }
    for client in 0..<scenario.clients where group >> client & 1 == 1 {
      let type = scenario.typeOfClient[client]
      let least = scenario.remoteWork[
        type * scenario.cutStride + scenario.layersOfType[type] - 1]
      gamma[type] += scenario.delayWeight * share(users[type]) * least
      own += leastOwnCost[client]
      alone += leastCost[client * (scenario.clients + 1) + users[type]]
    }
    return max(alone, own + leastSharedCost())
  }

  /// The best cut of every member (by client), if the group's cost is below a limit; else nil.
  mutating func solve(_ group: Int, below limit: Double) -> [Int]? {
    countUsers(group)
    switch scenario.gammaRule {
    case .corrected: return solveByEnvelopes(group, below: limit)
    case .printed: return solveByBoxes(group, below: limit)
    }
  }

  // MARK: Corrected rule

  /// One vector of cuts of the members of a type.
  private struct Stretch {
    var work: Double
    var ownCost: Double
    /// By client; 0 where not a member.
    var cuts: [Int]
  }

  /// The cut vectors of a type's members along the lower envelope, in order of falling work.
  private func envelope(type: Int, group: Int) -> [Stretch] {
    let stride = scenario.cutStride
    let firstSlope = scenario.delayWeight * share(users[type]) / scenario.rsuCapacity
    var start = Stretch(
      work: 0, ownCost: 0, cuts: [Int](repeating: 0, count: scenario.clients))
    var changes: [(slope: Double, client: Int, cut: Int)] = []
    for client in 0..<scenario.clients
    where group >> client & 1 == 1 && scenario.typeOfClient[client] == type {
      func own(_ cut: Int) -> Double { ownCost[client * stride + cut] }
      func work(_ cut: Int) -> Double { scenario.remoteWork[type * stride + cut] }
      var cut = 0
      for other in 1..<scenario.layersOfType[type]
      where own(other) + firstSlope * work(other) <= own(cut) + firstSlope * work(cut) {
        cut = other
      }
      start.cuts[client] = cut
      start.work += work(cut)
      start.ownCost += own(cut)
      while true {
        // A later cut brings less work: the next one on the envelope takes over at the least slope.
        var next: (slope: Double, cut: Int)?
        for other in (cut + 1)..<max(scenario.layersOfType[type], cut + 1) {
          let slope = (own(other) - own(cut)) / (work(cut) - work(other))
          if next.map({ slope <= $0.slope }) ?? true { next = (slope, other) }
        }
        guard let next else { break }
        changes.append((next.slope, client, next.cut))
        cut = next.cut
      }
    }
    changes.sort { ($0.slope, $0.client, $0.cut) < ($1.slope, $1.client, $1.cut) }
    var stretches = [start]
    for change in changes {
      var next = stretches[stretches.count - 1]
      let (new, old) = (change.cut, next.cuts[change.client])
      next.work +=
        scenario.remoteWork[type * stride + new] - scenario.remoteWork[type * stride + old]
      next.ownCost += ownCost[change.client * stride + new] - ownCost[change.client * stride + old]
      next.cuts[change.client] = new
      stretches.append(next)
    }
    return stretches
  }

  private mutating func solveByEnvelopes(_ group: Int, below limit: Double) -> [Int]? {
    let types = users.indices.filter { users[$0] > 0 }
    let envelopes = types.map { envelope(type: $0, group: group) }
    for k in gamma.indices { gamma[k] = 0 }
    // Until a type's stretch is chosen, it counts with the least work and the least own cost of any.
    var remaining = 0.0
    for (place, k) in types.enumerated() {
      let stretches = envelopes[place]
      gamma[k] = weight(k, stretches[stretches.count - 1].work)
      remaining += stretches.reduce(.infinity) { min($0, $1.ownCost) }
    }
    var chosen = [Int](repeating: 0, count: types.count)
    var best: [Int]?
    var bestCost = limit
    func descend(_ place: Int, _ ownCost: Double, _ remaining: Double, _ self: inout RSUGroups) {
      if place == types.count {
        bestCost = ownCost + self.leastSharedCost()
        best = chosen
        return
      }
      let k = types[place]
      let stretches = envelopes[place]
      let least = stretches.reduce(Double.infinity) { min($0, $1.ownCost) }
      let before = self.gamma[k]
      for (index, stretch) in stretches.enumerated() {
        self.gamma[k] = self.weight(k, stretch.work)
        let sum = ownCost + stretch.ownCost
        let rest = remaining - least
        chosen[place] = index
        if sum + rest + self.leastSharedCost() < bestCost { descend(place + 1, sum, rest, &self) }
      }
      self.gamma[k] = before
    }
    descend(0, 0, remaining, &self)
    guard let best else { return nil }
    var cuts = [Int](repeating: 0, count: scenario.clients)
    for (place, index) in best.enumerated() {
      for client in cuts.indices { cuts[client] += envelopes[place][index].cuts[client] }
    }
    return cuts
  }

  private func weight(_ type: Int, _ work: Double) -> Double {
    scenario.gammaRule.weight(
      users: users[type], work: work, backlog: backlog[type], delayWeight: scenario.delayWeight)
  }

  // MARK: Printed rule

  /// Ranges of cuts, one for each member, and no less than what any choice in them costs.
  private struct Box {
    /// First cut (most work) and last cut (least work), by member.
    var first, last: [Int]
    var bound: Double
    /// The cuts that the bound would like best.
    var favourite: [Int]
  }

  private mutating func solveByBoxes(_ group: Int, below limit: Double) -> [Int]? {
    let members = (0..<scenario.clients).filter { group >> $0 & 1 == 1 }
    var best: [Int]?
    var bestCost = limit
    var whole = Box(
      first: members.map { _ in 0 },
      last: members.map { scenario.layers(ofClient: $0) - 1 }, bound: 0, favourite: [])
    bound(&whole, members)
    var stack = [whole]
    while let box = stack.popLast() {
      if box.bound >= bestCost { continue }
      let cost = cost(ofCuts: box.favourite, members)
      if cost < bestCost {
        bestCost = cost
        best = box.favourite
      }
      // Halve the range that leaves most work open.
      var widest = -1
      var width = 0.0
      for (place, client) in members.enumerated() where box.first[place] < box.last[place] {
        let row = scenario.typeOfClient[client] * scenario.cutStride
        let open =
          scenario.remoteWork[row + box.first[place]] - scenario.remoteWork[row + box.last[place]]
        if open > width { (widest, width) = (place, open) }
      }
      if widest < 0 { continue }
      let middle = (box.first[widest] + box.last[widest]) / 2
      var low = box
      low.last[widest] = middle
      var high = box
      high.first[widest] = middle + 1
      bound(&low, members)
      bound(&high, members)
      if low.bound < high.bound { swap(&low, &high) }
      stack.append(low)
      stack.append(high)
    }
    guard let best else { return nil }
    var cuts = [Int](repeating: 0, count: scenario.clients)
    for (place, client) in members.enumerated() { cuts[client] = best[place] }
    return cuts
  }

  /// Cost of the group with given cuts and the division of the printed rule.
  private mutating func cost(ofCuts cuts: [Int], _ members: [Int]) -> Double {
    var work = [Double](repeating: 0, count: users.count)
    var cost = 0.0
    for (place, client) in members.enumerated() {
      let type = scenario.typeOfClient[client]
      work[type] += scenario.remoteWork[type * scenario.cutStride + cuts[place]]
      cost += ownCost[client * scenario.cutStride + cuts[place]]
    }
    for k in users.indices { gamma[k] = weight(k, work[k]) }
    RSUAllocation.divide(
      gamma: gamma, pressure: pressure, total: scenario.rsuCapacity, into: &capacity)
    for k in users.indices {
      if users[k] > 0 {
        cost +=
          GammaRule.corrected.weight(
            users: users[k], work: work[k], backlog: backlog[k],
            delayWeight: scenario.delayWeight) / capacity[k]
      }
      cost -= pressure[k] * capacity[k]
    }
    return cost
  }

  /// Fills in a box's bound: each type has the most capacity that any choice in the box can give it, which is
  /// when it brings most work and the others least.
  private mutating func bound(_ box: inout Box, _ members: [Int]) {
    var least = [Double](repeating: 0, count: users.count)
    var most = least
    for (place, client) in members.enumerated() {
      let type = scenario.typeOfClient[client]
      most[type] += scenario.remoteWork[type * scenario.cutStride + box.first[place]]
      least[type] += scenario.remoteWork[type * scenario.cutStride + box.last[place]]
    }
    box.bound = 0
    box.favourite = box.first
    for k in users.indices {
      for other in users.indices { gamma[other] = weight(other, least[other]) }
      gamma[k] = weight(k, most[k])
      RSUAllocation.divide(
        gamma: gamma, pressure: pressure, total: scenario.rsuCapacity, into: &capacity)
      box.bound -= pressure[k] * capacity[k]
      if users[k] == 0 { continue }
      let perWork = scenario.delayWeight * share(users[k]) / capacity[k]
      box.bound += Double(users[k]) * backlog[k] * scenario.delayWeight / capacity[k]
      for (place, client) in members.enumerated() where scenario.typeOfClient[client] == k {
        var lowest = Double.infinity
        for cut in box.first[place]...box.last[place] {
          let sum =
            ownCost[client * scenario.cutStride + cut]
            + perWork * scenario.remoteWork[k * scenario.cutStride + cut]
          if sum < lowest {
            lowest = sum
            box.favourite[place] = cut
          }
        }
        box.bound += lowest
      }
    }
  }
}
