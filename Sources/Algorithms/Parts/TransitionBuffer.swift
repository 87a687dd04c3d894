internal import Support

/// A replay buffer of transitions of one agent, the oldest replaced when it is full.
///
/// A transition is a row of numbers: observation, next observation, continuous actions; and a row of whole
/// numbers: choice, allowed choices, allowed next choices, or whatever the owner puts there.
struct TransitionBuffer {
  let capacity: Int
  let width: Int
  let indexWidth: Int
  private(set) var count = 0
  private var next = 0
  private var numbers: [Float] = []
  private var indices: [Int32] = []
  private var rewards: [Double] = []

  init(capacity: Int, width: Int, indexWidth: Int) {
    self.capacity = capacity
    self.width = width
    self.indexWidth = indexWidth
  }

  mutating func append(_ row: [Float], indices rowIndices: [Int], reward: Double) {
    precondition(row.count == width && rowIndices.count == indexWidth)
    if count < capacity {
      numbers.append(contentsOf: row)
      for index in rowIndices { indices.append(Int32(index)) }
      rewards.append(reward)
      count += 1
    } else {
      for i in 0..<width { numbers[next * width + i] = row[i] }
      for i in 0..<indexWidth { indices[next * indexWidth + i] = Int32(rowIndices[i]) }
      rewards[next] = reward
    }
    next = (next + 1) % capacity
  }

  func number(_ row: Int, _ column: Int) -> Float { numbers[row * width + column] }
  func index(_ row: Int, _ column: Int) -> Int { Int(indices[row * indexWidth + column]) }
  func reward(_ row: Int) -> Double { rewards[row] }

  /// Mean and standard deviation of the rewards in the buffer.
  var rewardMoments: (mean: Double, deviation: Double) {
    (Statistics.mean(rewards), Statistics.standardDeviation(rewards))
  }

  func save(to writer: inout StateWriter) {
    writer.section("transitions")
    for value in [capacity, width, indexWidth, count, next] { writer.write(value) }
    writer.write(array: numbers)
    writer.write(array: indices)
    writer.write(array: rewards)
  }

  mutating func restore(from reader: inout StateReader) throws {
    try reader.section("transitions")
    let sizes = try (0..<5).map { _ in try reader.readInteger() }
    guard sizes[0] == capacity, sizes[1] == width, sizes[2] == indexWidth,
      (0...capacity).contains(sizes[3]), (0..<capacity).contains(sizes[4]),
      sizes[3] == capacity || sizes[4] == sizes[3]
    else {
      throw InputError(
        "saved replay buffer has other sizes than this agent's",
        advice: "Use the settings that the state was saved with")
    }
    numbers = try reader.readArray(count: sizes[3] * width)
    indices = try reader.readArray(count: sizes[3] * indexWidth)
    rewards = try reader.readArray(count: sizes[3])
    count = sizes[3]
    next = sizes[4]
  }
}
