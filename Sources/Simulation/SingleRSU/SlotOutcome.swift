/// What became of one client's task in a slot.
public struct TaskOutcome: Sendable, Equatable {
  /// The client whose task it is.
  public var client: Int
  /// Number of layers that ran locally (phi - 1).
  public var cut: Int
  /// Node chosen (xi - 1).
  public var node: Int
  /// Whether anything ran at the node.
  public var isRemote: Bool
  /// Link to the node chosen.
  public var link: Link
  /// W_i, R_i in GFLOP.
  public var localWork, remoteWork: Double
  /// Data sent, in bits.
  public var cutBits: Double
  /// Backlogs at the slot's start in GFLOP: the client's own, and that of the queue chosen.
  public var localBacklog, edgeBacklog: Double
  /// In seconds, P1 eq (7), (5), and (9), (11) or (15), (17).
  public var localDelay, transmitDelay, edgeDelay: Double
  /// In seconds, P1 eq (19).
  public var delay: Double { localDelay + transmitDelay + edgeDelay }
}

/// What became of one queue in a slot.
public struct QueueOutcome: Sendable, Equatable {
  /// In GFLOP/s; of a type at the RSU: what the slot gave it.
  public var capacity: Double
  /// Tasks that brought work.
  public var users: Int
  /// In GFLOP: at the slot's start, brought in the slot (`background` included), at its end.
  public var backlog, arrivals, backlogAfter: Double
  /// Work of others among the arrivals, in GFLOP.
  public var background = 0.0
}

/// Everything that followed from the decisions of a slot.
public struct SlotOutcome: Sendable {
  public let situation: SlotSituation
  /// One for each client that has a task, in the clients' order.
  public let tasks: [TaskOutcome]
  /// Clients, types at the RSU, service vehicles.
  public let queues: [QueueOutcome]
  /// P of the slot, P1 eq (34).
  public let objective: Double
  /// What agents are paid: -P, P1 eq (58), unless the scenario's rule is another.
  public let reward: Double
}
