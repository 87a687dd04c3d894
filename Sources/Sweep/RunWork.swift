internal import Support

/// What an episode costs in proportion: a product of the parameters that make it long.
///
/// It only carries a measurement of one point of the grid over to others of the same algorithm; what it cannot know
/// (the search tree of an exact optimum, a cache that no longer holds the networks) is measured.
enum RunWork {
  /// - Parameter parameters: those of the run's document; a parameter that it lacks counts as 1.
  static func perEpisode(_ parameters: [String: JSONValue]) -> Double {
    func number(_ key: String) -> Double? { parameters[key]?.numberValue }
    var work = 1.0
    // Slots, agents, tasks, searches and gradient steps of an episode.
    let factors = [
      "slots", "clients", "vehicles", "populationSize", "population", "generations", "starts",
      "batchSize", "denoisingSteps", "updatesPerTask",
    ]
    for key in factors {
      if let value = number(key), value > 0 { work *= value }
    }
    // Actions of an agent grow with the nodes that it can choose.
    if let vehicles = number("serviceVehicles") { work *= 1 + max(vehicles, 0) }
    // A slot costs something without a task, too.
    if let rate = number("releaseRate") {
      work *= 0.01 + min(rate * (number("slotLength") ?? 1), 1)
    }
    if let probability = number("taskProbability"), probability > 0 { work *= probability }
    if let layers = parameters["hidden"]?.listValue?.compactMap(\.numberValue), !layers.isEmpty {
      // A layer's cost is its weights; what is around the hidden layers is about a hundred wide.
      work *= zip([100] + layers, layers + [100]).reduce(0) { $0 + $1.0 * $1.1 }
    }
    return work
  }
}
