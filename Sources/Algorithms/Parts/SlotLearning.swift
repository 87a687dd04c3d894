internal import Neural
internal import Simulation
internal import Support

/// Parameters of `SlotLearning`.
struct SlotLearningSettings: Settings {
  @Setting(
    1...1_000_000, unit: "episodes", source: "ours",
    "Training episodes after which nothing is learnt any more.")
  var learnEpisodes = 60
  @Setting(1e-8...1, source: "ours", "Step size of Adam at the start.")
  var learningRate = 1e-3
  @Setting(
    0...1, source: "ours",
    "Step size of Adam at the end of learning, towards which it falls linearly.")
  var finalLearningRate = 1e-4
  @Setting(1...4096, source: "ours", "Joint slots of a mini-batch.")
  var batchSize = 64
  @Setting(1...10_000_000, unit: "slots", source: "ours", "Joint slots that are kept.")
  var replayCapacity = 1500
  @Setting(
    1...1_000_000, unit: "slots", source: "ours",
    "Joint slots that must be kept before the first step.")
  var warmupSlots = 300
  @Setting(1...1000, source: "ours", "Steps of Adam after each slot.")
  var stepsPerSlot = 10
  @Setting(
    each: 1...4096, count: 1...8, source: "ours",
    "Widths of the hidden layers of a client's network.")
  var hidden = [128, 128]
}

/// The training procedure of learners that are told, slot by slot, how good each client's decision was: a ring of the
/// last joint slots, some steps of Adam after each slot, a learning rate that falls linearly.
///
/// A row of the ring holds what every client observed, then what is said of it, client by client.
struct SlotLearning {
  let settings: SlotLearningSettings
  private let warmupSlots: Int
  /// Slots of learning in the whole run.
  private let slots: Int

  private let width: Int
  private var capacity: Int { settings.replayCapacity }
  private var rows: [Float] = []
  private var count = 0
  private var next = 0
  /// Slots learnt from so far.
  private var slot = 0
  private var episode = 0
  private var stream: RandomStream
  private var losses = (sum: 0.0, count: 0)

  /// - Parameters:
  ///   - slots: of an episode.
  ///   - width: numbers of a row.
  init(_ settings: SlotLearningSettings, slots: Int, width: Int, context: AgentContext) {
    self.settings = settings
    warmupSlots = min(settings.warmupSlots, settings.replayCapacity)
    self.slots = max(1, min(settings.learnEpisodes, context.episodes) * slots)
    self.width = width
    stream = RandomStream(seed: context.seed, .replay)
  }

  var statistics: AgentStatistics {
    AgentStatistics(losses: losses.sum, steps: losses.count)
  }

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    losses = (0, 0)
    if phase == .train { self.episode = episode }
  }

  /// Whether this training episode is still one to learn from.
  var isLearning: Bool { episode <= settings.learnEpisodes }

  /// Keeps a row; the oldest goes when there is no room.
  mutating func append(_ row: [Float]) {
    precondition(row.count == width)
    if count < capacity {
      rows += row
      count += 1
    } else {
      for i in 0..<width { rows[next * width + i] = row[i] }
      next = (next + 1) % capacity
    }
    slot += 1
  }

  /// Steps to take now.
  var dueSteps: Int { count >= warmupSlots ? settings.stepsPerSlot : 0 }

  /// Adam with the rate of the slot.
  var adam: Adam {
    let done = min(Double(slot) / Double(slots), 1)
    return Adam(
      learningRate: settings.learningRate
        + (settings.finalLearningRate - settings.learningRate) * done)
  }

  /// Rows drawn uniformly with replacement.
  mutating func sample() -> [ArraySlice<Float>] {
    (0..<settings.batchSize).map { _ in
      let i = stream.index(below: count)
      return rows[i * width..<(i + 1) * width]
    }
  }

  /// Keeps account of a step.
  ///
  /// - Throws: `InputError` when training has diverged.
  mutating func record(_ result: (loss: Double, gradientNorm: Double)) throws {
    guard result.loss.isFinite, result.gradientNorm.isFinite else {
      throw InputError(
        "training diverged: the loss is \(result.loss), the gradients' norm "
          + "\(result.gradientNorm) in episode \(episode)", advice: "Try a smaller learningRate")
    }
    losses.sum += result.loss
    losses.count += 1
  }

  /// What each client observed in the rows of a batch, [rows, size] for each client, from column `offset` on.
  static func inputs(
    _ batch: [ArraySlice<Float>], clients: Int, size: Int, into matrices: [Matrix]
  ) {
    for (b, row) in batch.enumerated() {
      for client in 0..<clients {
        let start = row.startIndex + client * size
        matrices[client].setRow(b, Array(row[start..<start + size]))
      }
    }
  }

  // MARK: State

  func saveState(to writer: inout StateWriter) {
    writer.section("slot-learning")
    writer.write(episode)
    writer.write(slot)
    writer.write(next)
    writer.write(count)
    writer.write(stream)
    writer.write(array: rows)
  }

  mutating func restoreState(from reader: inout StateReader) throws {
    try reader.section("slot-learning")
    episode = try reader.readInteger()
    slot = try reader.readInteger()
    next = try reader.readInteger()
    count = try reader.readInteger()
    stream = try reader.readStream()
    guard (0...capacity).contains(count), (0..<max(1, capacity)).contains(next) else {
      throw InputError("saved ring of \(count) slots does not fit \(capacity)")
    }
    rows = try reader.readArray(of: Float.self, count: count * width)
  }
}

/// The exact minimiser of P with mean rates: what an all-knowing teacher would do in a slot.
///
/// It depends on queues and tasks alone, not on fading and positions, so it can be learnt from queues.
struct CanonicalTeacher {
  private var objective: SlotObjective
  private var optimum: SlotOptimum

  init(_ scenario: SingleRSUScenario) throws {
    objective = SlotObjective(scenario: scenario)
    optimum = try SlotOptimum(scenario: scenario)
  }

  /// Every client's action a = cut J + node; nil for a client without a task.
  mutating func actions(_ situation: SlotSituation) -> [Int?] {
    objective.prepareCanonical(
      backlogs: situation.backlogs, tasks: situation.tasks,
      reach: situation.scenario.v2vRange == nil ? nil : situation)
    let decision = optimum.solve(&objective)
    let actions = decision.actions(nodes: situation.scenario.nodes)
    return situation.tasks.indices.map { situation.tasks[$0] ? actions[$0] : nil }
  }
}

extension SlotSituation {
  /// The client's action with the highest score among those whose node is in range; the first of several.
  func bestAction(ofClient client: Int, scores: [Float]) -> Int {
    let nodes = scenario.nodes
    let allowed =
      scenario.v2vRange == nil
      ? nil : (0..<nodes).map { allows(client: client, node: $0) }
    var best = 0  // node 0, the RSU, is always in range
    for action in scores.indices
    where scores[action] > scores[best] && allowed?[action % nodes] ?? true {
      best = action
    }
    return best
  }
}
