/// The tasks at one RSU, in order of decision.
///
/// A task k joins when it is decided. It is finished at c_k = P_g + t (18); its service takes the last t_RSU
/// seconds before that. So at time P_d its remaining service time is min(t_RSU, c_k - P_d), and nothing once
/// c_k <= P_d.
struct RSUQueue: Sendable {
  private var completions: [Double] = []
  private var services: [Double] = []

  /// Number of tasks that are not finished, as of the last `removeFinished`.
  var count: Int { completions.count }

  mutating func removeAll() {
    completions.removeAll(keepingCapacity: true)
    services.removeAll(keepingCapacity: true)
  }

  mutating func append(completion: Double, service: Double) {
    completions.append(completion)
    services.append(service)
  }

  /// Forgets the tasks that are finished at `time`; the order of the others stays.
  mutating func removeFinished(at time: Double) {
    var kept = 0
    for i in completions.indices where completions[i] > time {
      completions[kept] = completions[i]
      services[kept] = services[i]
      kept += 1
    }
    completions.removeLast(completions.count - kept)
    services.removeLast(services.count - kept)
  }

  /// Waiting time of a task that is decided at `time`; `removeFinished` must have been called for it.
  func wait(at time: Double, rule: QueueWaitRule) -> Double {
    var wait = 0.0
    switch rule {
    case .serviceTime:
      for i in completions.indices { wait += min(services[i], completions[i] - time) }
    case .lastCompletion:
      for completion in completions { wait = max(wait, completion - time) }
    }
    return wait
  }
}
