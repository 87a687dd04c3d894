internal import Support

/// What is drawn in the stochastic variant of model 1: which clients have a task, backlogs at an episode's start, and
/// work of others at the edge.
///
/// Every number is a function of seed, episode, slot and client or queue, the same for every algorithm. Queues are
/// numbered within their kind, so that a sweep over numbers of vehicles keeps the draws of those it shares. With the
/// defaults nothing is drawn.
extension SingleRSUScenario {
  /// Kind of a queue and its number within the kind: 0 for clients, 1 for types at the RSU, 2 for service vehicles.
  private func place(ofQueue queue: Int) -> (kind: Int, number: Int) {
    if queue < clients { return (0, queue) }
    if queue < clients + types { return (1, queue - clients) }
    return (2, queue - clients - types)
  }

  /// Whether each client has a task.
  ///
  /// - Parameter episode: index of episode and phase in the random fields.
  func tasks(episode: Int, slot: Int) -> [Bool] {
    guard taskProbability < 1 else { return [Bool](repeating: true, count: clients) }
    return (0..<clients).map { taskGeneration.uniform(episode, slot, $0) < taskProbability }
  }

  /// Backlog of every queue at an episode's start, GFLOP.
  func initialBacklogs(episode: Int) -> [Double] {
    guard initialBacklog.high > 0 else { return [Double](repeating: 0, count: queues) }
    return (0..<queues).map { queue in
      let (kind, number) = place(ofQueue: queue)
      return initialBacklog.low
        + (initialBacklog.high - initialBacklog.low)
        * initialBacklogs.uniform(episode, kind, number)
    }
  }

  /// Work of others that arrives at every queue, GFLOP: none at the clients' own.
  func background(episode: Int, slot: Int) -> [Double] {
    guard backgroundLoad.probability > 0, backgroundLoad.mean > 0 else {
      return [Double](repeating: 0, count: queues)
    }
    return (0..<queues).map { queue in
      let (kind, number) = place(ofQueue: queue)
      let index = number << 2 | kind
      guard kind > 0,
        background.uniform(episode, slot, index << 1) < backgroundLoad.probability
      else { return 0 }
      return backgroundLoad.mean * background.exponential(episode, slot, index << 1 | 1)
    }
  }
}

// MARK: Load

extension SingleRSUScenario {
  /// Work that arrives in a slot on average, GFLOP: all of every client's task, and that of others.
  public var offeredWork: Double {
    let work = typeOfClient.reduce(0) { $0 + remoteWork[$1 * cutStride] }
    return taskProbability * work + Double(types + serviceVehicles) * meanBackground
  }

  /// Work of others that arrives at an edge queue in a slot on average, GFLOP.
  public var meanBackground: Double { backgroundLoad.probability * backgroundLoad.mean }

  /// Mean backlog of a queue at an episode's start, GFLOP.
  public var meanInitialBacklog: Double { (initialBacklog.low + initialBacklog.high) / 2 }

  /// All that clients, service vehicles and RSU can do, GFLOP/s.
  public var capacity: Double {
    clientCapacity.reduce(0, +) + serviceCapacity.reduce(0, +) + rsuCapacity
  }

  /// Offered work over capacity: from 1 on no algorithm can keep all queues stable.
  public var load: Double { offeredWork / (capacity * slotLength) }
}
