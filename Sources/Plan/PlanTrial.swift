internal import Simulation
internal import Support

extension Plan {
  /// Most distinct environments that `tryOut` makes, and the seconds after which it stops: planning stays quick.
  private static let mostTrials = 200
  private static let trialTime = Duration.seconds(2)

  /// Makes the environments of the plan's runs, and the agents that do not learn, to find before anything is run
  /// what they would refuse: combinations of parameters, and those that the trace cannot serve.
  ///
  /// Runs that differ in seed and algorithm alone share an environment. Of large plans only a sample is tried.
  ///
  /// - Throws: `InputError` with the place in the experiment file of the value that it names, and the run.
  public func tryOut(_ experiment: Experiment, results: String) throws {
    let model = experiment.model
    let sources = RunSources(experimentFolder: "\(results)/\(experiment.name)")
    let modelKeys = Set(model.parameters.map(\.key))
    var groups: [String: [Int]] = [:]
    var order: [String] = []
    for index in Plan.sample(runs.count, atMost: 25 * Plan.mostTrials) {
      let run = runs[index].specification
      let own = run.parameters.filter { modelKeys.contains($0.key) }
      let key = JSONValue.object([
        "parameters": .object(own.mapValues(\.json)), "trace": .text(run.trace),
        "profiles": .object(run.profiles.mapValues { .text($0) }),
      ]).canonical
      if groups[key] == nil { order.append(key) }
      groups[key, default: []].append(index)
    }
    let start = ContinuousClock.now
    var refusals = InputErrors()
    for place in Plan.sample(order.count, atMost: Plan.mostTrials) {
      if start.duration(to: .now) > Plan.trialTime || refusals.errors.count >= 20 { break }
      // Of one kind of scenario the first refusal is enough; of one place in the file, too.
      do {
        try tryOut(groups[order[place]] ?? [], experiment, sources)
      } catch let error as InputError {
        let isKnown = refusals.errors.contains {
          $0.line == error.line && $0.column == error.column && $0.key == error.key
        }
        if !isKnown { refusals.add(error) }
      }
    }
    try refusals.throwIfAny()
  }

  /// Runs of equal model parameters, trace and DNN tables.
  private func tryOut(
    _ indices: [Int], _ experiment: Experiment, _ sources: RunSources
  ) throws {
    let model = experiment.model
    var trial: AgentTrial?
    var tried: Set<String> = []
    for index in indices {
      let run = runs[index]
      guard let algorithm = model.algorithm(run.specification.algorithm) else { continue }
      do {
        let parameters = try ParameterValues(
          schema: model.schema(of: algorithm), setting: run.specification.parameters)
        if trial == nil {
          var profiles: [String: DNNProfile] = [:]
          for (name, path) in run.profilePaths { profiles[name] = try sources.profile(name, path) }
          trial = try model.tryOut(
            parameters,
            ScenarioSources(
              trace: sources.trace(run.tracePath), profiles: profiles,
              seed: UInt64(parameters.integer("seed"))))
        }
        // Learners would allocate networks and replay buffers; external agents are programs to start.
        if algorithm.isLearner || algorithm.agent != nil { continue }
        let own = algorithm.parameters.map { "\($0.key)=\(parameters[$0.key].text)" }
        if tried.insert(([algorithm.name] + own).joined(separator: " ")).inserted {
          try trial?(algorithm.name, parameters)
        }
      } catch let error as InputError {
        throw located(error, run: index, experiment)
      }
    }
  }

  /// An error of a run, put in the place of the value that it names, if the file gives that.
  private func located(_ error: InputError, run: Int, _ experiment: Experiment) -> InputError {
    let values = points.first { $0.run == run }?.values
    let point = experiment.points.first { point in
      Dictionary(uniqueKeysWithValues: point.settings.map { ($0.key, $0.value) }) == values
    }
    // A condition on a sum names all its terms.
    let setting = (error.key ?? "").split(separator: "+").lazy
      .map { $0.filter { $0 != " " } }
      .compactMap { key in point?[key] ?? experiment.parameters.first { $0.key == key } }.first
    var result = error
    if let file = error.file { result.problem = "\(file): \(error.problem)" }
    result.problem += ", in the run '\(runs[run].label)'"
    result.file = experiment.file
    result.line = setting?.location.line
    result.column = setting?.location.column
    result.key = setting?.location.key ?? error.key
    return result
  }

  /// Indices below `count`, evenly spread when there are more than `limit`.
  private static func sample(_ count: Int, atMost limit: Int) -> [Int] {
    if count <= limit { return Array(0..<count) }
    return (0..<limit).map { $0 * count / limit }
  }
}
