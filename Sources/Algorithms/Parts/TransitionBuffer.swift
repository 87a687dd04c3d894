internal import Support

/// One decision of an agent and what it led to, as its learner stores it.
struct Transition: Equatable {
  /// What a value is bootstrapped from: the state that followed, and how many choices are allowed there.
  struct Successor: Equatable {
    var state: [Float]
    var allowed: Int
  }

  /// Observation that the decision was taken on.
  var state: [Float]
  /// DNN type of the task.
  var type = 0
  /// How many choices are allowed in the state.
  var allowed: Int
  /// The discrete part of the action.
  var choice: Int
  /// The continuous parts of the action, in (-1, 1).
  var actions: [Float] = []
  var reward: Double
  /// nil: the reward is all that is learnt from.
  var next: Successor?
}

/// A replay buffer of transitions of one agent, the oldest replaced when it is full.
struct TransitionBuffer {
  let capacity: Int
  /// Lengths of an observation and of the continuous actions.
  let stateCount: Int
  let actionCount: Int
  private(set) var count = 0
  private var next = 0
  /// Per transition: observation, next observation (zeros without a successor), continuous actions.
  private var numbers: [Float] = []
  /// Per transition: allowed choices, choice, allowed next choices (0 without a successor), DNN type.
  private var indices: [Int32] = []
  private var rewards: [Double] = []

  private var width: Int { 2 * stateCount + actionCount }
  private static let indexWidth = 4

  init(capacity: Int, stateCount: Int, actionCount: Int) {
    self.capacity = capacity
    self.stateCount = stateCount
    self.actionCount = actionCount
  }

  mutating func append(_ transition: Transition) {
    precondition(
      transition.state.count == stateCount && transition.actions.count == actionCount
        && transition.next.map { $0.state.count == stateCount } ?? true)
    let row =
      transition.state + (transition.next?.state ?? Array(repeating: 0, count: stateCount))
      + transition.actions
    let rowIndices = [
      transition.allowed, transition.choice, transition.next?.allowed ?? 0, transition.type,
    ]
    if count < capacity {
      numbers.append(contentsOf: row)
      for index in rowIndices { indices.append(Int32(index)) }
      rewards.append(transition.reward)
      count += 1
    } else {
      for i in 0..<width { numbers[next * width + i] = row[i] }
      for i in rowIndices.indices {
        indices[next * TransitionBuffer.indexWidth + i] = Int32(rowIndices[i])
      }
      rewards[next] = transition.reward
    }
    next = (next + 1) % capacity
  }

  func state(_ row: Int, _ i: Int) -> Float { numbers[row * width + i] }
  func nextState(_ row: Int, _ i: Int) -> Float { numbers[row * width + stateCount + i] }
  func action(_ row: Int, _ k: Int) -> Float { numbers[row * width + 2 * stateCount + k] }
  func allowed(_ row: Int) -> Int { Int(indices[row * TransitionBuffer.indexWidth]) }
  func choice(_ row: Int) -> Int { Int(indices[row * TransitionBuffer.indexWidth + 1]) }
  /// 0 for a transition without a successor.
  func nextAllowed(_ row: Int) -> Int { Int(indices[row * TransitionBuffer.indexWidth + 2]) }
  func type(_ row: Int) -> Int { Int(indices[row * TransitionBuffer.indexWidth + 3]) }
  func reward(_ row: Int) -> Double { rewards[row] }

  /// A stored transition, in the order of their places.
  subscript(row: Int) -> Transition {
    Transition(
      state: (0..<stateCount).map { state(row, $0) }, type: type(row), allowed: allowed(row),
      choice: choice(row),
      actions: (0..<actionCount).map { action(row, $0) }, reward: reward(row),
      next: nextAllowed(row) == 0
        ? nil
        : Transition.Successor(
          state: (0..<stateCount).map { nextState(row, $0) }, allowed: nextAllowed(row)))
  }

  func save(to writer: inout StateWriter) {
    writer.section("transitions")
    for value in [capacity, stateCount, actionCount, count, next] { writer.write(value) }
    writer.write(array: numbers)
    writer.write(array: indices)
    writer.write(array: rewards)
  }

  mutating func restore(from reader: inout StateReader) throws {
    try reader.section("transitions")
    let sizes = try (0..<5).map { _ in try reader.readInteger() }
    guard sizes[0] == capacity, sizes[1] == stateCount, sizes[2] == actionCount,
      (0...capacity).contains(sizes[3]), (0..<capacity).contains(sizes[4]),
      sizes[3] == capacity || sizes[4] == sizes[3]
    else {
      throw InputError(
        "saved replay buffer has other sizes than this agent's",
        advice: "Use the settings that the state was saved with")
    }
    numbers = try reader.readArray(count: sizes[3] * width)
    indices = try reader.readArray(count: sizes[3] * TransitionBuffer.indexWidth)
    rewards = try reader.readArray(count: sizes[3])
    count = sizes[3]
    next = sizes[4]
  }
}
