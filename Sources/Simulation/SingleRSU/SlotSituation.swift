internal import Support
internal import Trace

/// A radio link from a client to a node in one slot.
public struct Link: Sendable, Equatable {
  /// In metres, at least the minimum distance.
  public let distance: Double
  /// Rayleigh fading of the power, from Exp(1).
  public let fading: Double
  /// In bit/s, P1 eq (2).
  public let rate: Double
}

/// What an agent may look at when it decides for all clients in a slot.
public struct SlotSituation: Sendable {
  public let scenario: SingleRSUScenario
  /// Counted from 0; equal to the number of slots after the last one.
  public let slot: Int
  let positions: EpisodePositions
  /// Index of the episode in the field of fading: training and evaluation do not share any.
  let fadingIndex: Int
  /// Backlogs at the slot's start in GFLOP: clients, types at the RSU, service vehicles.
  public let backlogs: [Double]
  /// Whether each client has a task in this slot.
  public let tasks: [Bool]
  /// Work of others that will arrive in this slot, by queue, GFLOP: no agent may look at it.
  let background: [Double]

  /// Start of the slot on the trace's clock, in seconds.
  public var time: Double { positions.startTime + Double(slot) * scenario.slotLength }

  /// Q_i, GFLOP.
  @inline(__always)
  public func clientBacklog(_ client: Int) -> Double { backlogs[client] }
  /// Q_k at the RSU, GFLOP.
  @inline(__always)
  public func rsuBacklog(type: Int) -> Double { backlogs[scenario.clients + type] }
  /// Q_j of node 1..., GFLOP.
  @inline(__always)
  public func serviceBacklog(node: Int) -> Double {
    backlogs[scenario.clients + scenario.types + node - 1]
  }
  /// Backlog of the queue that a client's task would join at a node, GFLOP.
  @inline(__always)
  public func edgeBacklog(client: Int, node: Int) -> Double {
    node == 0 ? rsuBacklog(type: scenario.typeOfClient[client]) : serviceBacklog(node: node)
  }

  /// Name of a client's vehicle in the trace.
  public func vehicleName(client: Int) -> String { positions.names[client] }
  /// Name of the vehicle of node 1... in the trace.
  public func vehicleName(node: Int) -> String { positions.names[scenario.clients + node - 1] }
  /// Place of a client, in metres.
  public func clientPosition(_ client: Int) -> (x: Double, y: Double) {
    positions.position(slot: slot, role: client)
  }
  /// Place of a node, in metres.
  public func nodePosition(_ node: Int) -> (x: Double, y: Double) {
    node == 0
      ? (scenario.rsuX, scenario.rsuY)
      : positions.position(slot: slot, role: scenario.clients + node - 1)
  }
  /// Coordinate of a place along the direction of travel, 0 at the RSU, in metres.
  public func along(_ place: (x: Double, y: Double)) -> Double {
    scenario.axis.along(x: place.x, y: place.y)
      - scenario.axis.along(x: scenario.rsuX, y: scenario.rsuY)
  }

  /// Distance between a client and a node in metres, at least the minimum distance.
  public func distance(client: Int, node: Int) -> Double {
    let a = clientPosition(client)
    let b = nodePosition(node)
    let dx = a.x - b.x
    let dy = a.y - b.y
    return max((dx * dx + dy * dy).squareRoot(), scenario.minimumDistance)
  }

  /// The link from a client to a node: a function of seed, episode, slot and pair alone.
  public func link(client: Int, node: Int) -> Link {
    let distance = distance(client: client, node: node)
    let fading = scenario.fading.exponential(fadingIndex, slot, client << 20 | node)
    let loss = node == 0 ? scenario.rsuPathLoss : scenario.vehiclePathLoss
    return Link(
      distance: distance, fading: fading,
      rate: scenario.channel.rate(gain: loss.gain(distance: distance), fading: fading))
  }

  /// Whether a client may choose a node: always, but for service vehicles beyond the V2V range.
  public func allows(client: Int, node: Int) -> Bool {
    guard node > 0, let range = scenario.v2vRange else { return true }
    return distance(client: client, node: node) <= range
  }

  /// The allowed node whose queue for this client's task is shortest; the first of several.
  public func shortestQueue(client: Int) -> Int {
    var best = 0
    var least = edgeBacklog(client: client, node: 0)
    for node in 1..<scenario.nodes {
      let backlog = serviceBacklog(node: node)
      if backlog < least, allows(client: client, node: node) {
        best = node
        least = backlog
      }
    }
    return best
  }

  /// A client's observation, P1 eq (54), scaled: own backlog, that of its type at the RSU, those of the
  /// service vehicles; own position, those of the service vehicles (`observationSize` numbers).
  public func observation(ofClient client: Int) -> [Float] {
    var values = [Float](repeating: 0, count: scenario.observationSize)
    writeObservation(ofClient: client, to: &values, at: 0)
    return values
  }

  /// The joint state, P1 eq (55): the observations of all clients, one after the other.
  public func jointState() -> [Float] {
    let size = scenario.observationSize
    var values = [Float](repeating: 0, count: size * scenario.clients)
    for client in 0..<scenario.clients {
      writeObservation(ofClient: client, to: &values, at: client * size)
    }
    return values
  }

  /// Writes a client's observation into `values[offset...]`.
  public func writeObservation(ofClient client: Int, to values: inout [Float], at offset: Int) {
    let services = scenario.serviceVehicles
    values[offset] = Float(clientBacklog(client) / scenario.backlogScale)
    values[offset + 1] = Float(
      rsuBacklog(type: scenario.typeOfClient[client]) / scenario.backlogScale)
    values[offset + 2 + services] = Float(along(clientPosition(client)) / scenario.positionScale)
    for node in 1..<scenario.nodes {
      values[offset + 1 + node] = Float(serviceBacklog(node: node) / scenario.backlogScale)
      values[offset + 2 + services + node] = Float(
        along(nodePosition(node)) / scenario.positionScale)
    }
  }
}

/// Cut and node of every client in a slot.
public struct SlotDecision: Sendable, Equatable {
  /// Number of layers that run locally (phi - 1), 0...L.
  public var cuts: [Int]
  /// Node that gets the rest (xi - 1), 0 for the RSU; of no effect for a task that is all local.
  public var nodes: [Int]

  public init(cuts: [Int], nodes: [Int]) {
    self.cuts = cuts
    self.nodes = nodes
  }

  /// The decision of joint actions a = cut * J + node, P1 eq (56).
  public init(actions: [Int], nodes count: Int) {
    cuts = actions.map { $0 / count }
    nodes = actions.map { $0 % count }
  }

  /// The joint actions a = cut * J + node.
  public func actions(nodes count: Int) -> [Int] {
    zip(cuts, nodes).map { $0 * count + $1 }
  }
}
