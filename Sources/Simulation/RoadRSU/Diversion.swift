extension DiversionRule {
  /// Index of the RSU that a vehicle asks, among those in range; nil when there is none.
  ///
  /// The predicted time of an RSU is the time to send the largest cut of the task's DNN at the current rate,
  /// and the waiting time that the RSU broadcast last (23). Equal RSUs rank by number.
  /// - Parameter draw: Uniform in [0, 1).
  func pick(_ links: [RSULink], mostBits: Double, draw: Double) -> Int? {
    guard links.count > 1 else { return links.indices.first }
    func predicted(_ index: Int) -> Double {
      mostBits / links[index].rate + links[index].broadcastWait
    }
    switch self {
    case .random:
      return min(Int(draw * Double(links.count)), links.count - 1)
    case .nearest:
      return links.indices.min { links[$0].distance < links[$1].distance }
    case .argmin, .probabilistic:
      var best = (index: 0, time: predicted(0))
      var second = (index: 1, time: predicted(1))
      if second.time < best.time { swap(&best, &second) }
      for index in 2..<max(links.count, 2) {
        let time = predicted(index)
        if time < best.time {
          second = best
          best = (index, time)
        } else if time < second.time {
          second = (index, time)
        }
      }
      if self == .argmin { return best.index }
      // Beyond what Double holds both are equally hopeless.
      guard second.time.isFinite else { return best.index }
      return draw * (best.time + second.time) < second.time ? best.index : second.index
    }
  }
}
