internal import Neural
internal import Support

/// The last joint transitions of a team of agents, kept as plain numbers in a ring (P1, Sec. 7.5.3).
///
/// A transition is the joint state s [N S], the agents' actions [N], the reward and the joint state that followed.
struct JointReplayBuffer {
  let capacity: Int
  let agents: Int
  let stateSize: Int
  /// Number of flags of allowed next actions in a transition; 0 when every action always is.
  let maskSize: Int
  private(set) var count = 0
  private var next = 0
  private var states: [Float] = []
  private var nextStates: [Float] = []
  private var actions: [Int32] = []
  private var rewards: [Double] = []
  private var masks: [Bool] = []

  init(capacity: Int, agents: Int, stateSize: Int, maskSize: Int) {
    self.capacity = capacity
    self.agents = agents
    self.stateSize = stateSize
    self.maskSize = maskSize
  }

  /// Adds a transition; when full, the oldest goes.
  mutating func append(
    state: [Float], actions: [Int], reward: Double, nextState: [Float], nextAllowed: [Bool]
  ) {
    precondition(
      state.count == stateSize && nextState.count == stateSize && actions.count == agents
        && nextAllowed.count == maskSize)
    if count < capacity {
      states += state
      nextStates += nextState
      self.actions += actions.map { Int32($0) }
      rewards.append(reward)
      masks += nextAllowed
      count += 1
      return
    }
    for i in 0..<stateSize {
      states[next * stateSize + i] = state[i]
      nextStates[next * stateSize + i] = nextState[i]
    }
    for i in 0..<agents { self.actions[next * agents + i] = Int32(actions[i]) }
    rewards[next] = reward
    for i in 0..<maskSize { masks[next * maskSize + i] = nextAllowed[i] }
    next = (next + 1) % capacity
  }

  /// Fills a mini-batch with transitions drawn uniformly, with replacement.
  ///
  /// - Parameter rewardScale: What rewards are divided by.
  func sample(into batch: JointBatch, rewardScale: Double, using stream: inout RandomStream) {
    if maskSize > 0, batch.nextAllowed == nil {
      batch.nextAllowed = Array(repeating: true, count: batch.size * maskSize)
    }
    for b in 0..<batch.size {
      let i = stream.index(below: count)
      batch.states.setRow(b, Array(states[i * stateSize..<(i + 1) * stateSize]))
      batch.nextStates.setRow(b, Array(nextStates[i * stateSize..<(i + 1) * stateSize]))
      for n in 0..<agents { batch.actions[b * agents + n] = Int(actions[i * agents + n]) }
      batch.rewards[b] = Float(rewards[i] / rewardScale)
      batch.bootstrap[b] = 1
      for k in 0..<maskSize { batch.nextAllowed?[b * maskSize + k] = masks[i * maskSize + k] }
    }
  }

  func save(to writer: inout StateWriter) {
    writer.section("joint-replay-buffer")
    writer.write(next)
    writer.write(count)
    writer.write(array: states)
    writer.write(array: nextStates)
    writer.write(array: actions)
    writer.write(array: rewards)
    writer.write(array: masks.map { $0 ? 1 : 0 as UInt8 })
  }

  mutating func restore(from reader: inout StateReader) throws {
    try reader.section("joint-replay-buffer")
    let next = try reader.readInteger()
    let count = try reader.readInteger()
    guard (0...capacity).contains(count), (0..<max(1, capacity)).contains(next) else {
      throw InputError("saved replay buffer of \(count) transitions does not fit \(capacity)")
    }
    states = try reader.readArray(count: count * stateSize)
    nextStates = try reader.readArray(count: count * stateSize)
    actions = try reader.readArray(count: count * agents)
    rewards = try reader.readArray(count: count)
    masks = try reader.readArray(of: UInt8.self, count: count * maskSize).map { $0 != 0 }
    self.next = next
    self.count = count
  }
}
