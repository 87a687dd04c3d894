/// The share of random actions: falls linearly from `start` to `end` over `steps`, then stays.
struct ExplorationSchedule {
  let start: Double
  let end: Double
  let steps: Int

  func epsilon(step: Int) -> Double {
    step >= steps ? end : start + (end - start) * Double(step) / Double(steps)
  }
}
