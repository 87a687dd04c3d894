package import Simulation
public import Support

/// One scenario of an experiment, whatever algorithm decides in it: for environments that are driven from outside.
public struct ExperimentScenario: Sendable {
  public let model: AnyModel
  /// Of the model, and `seed`.
  public let parameters: ParameterValues
  /// As in a run's document, without an algorithm.
  public let document: JSONValue
  let tracePath: String
  let profilePaths: [String: String]

  /// The same scenario of another seed.
  public func with(seed: Int) throws -> ExperimentScenario {
    var values = parameters.values
    values[ExperimentScenario.seed.key] = .integer(seed)
    let parameters = try ParameterValues(
      schema: ExperimentScenario.schema(of: model), setting: values)
    var members = document.objectValue ?? [:]
    members["parameters"] = parameters.json
    return ExperimentScenario(
      model: model, parameters: parameters, document: .object(members), tracePath: tracePath,
      profilePaths: profilePaths)
  }

  /// Makes the environment, as a run of this seed has it.
  package func environment<Model: Environment>(
    _ model: Model.Type, sources: RunSources
  ) throws -> Model {
    var profiles: [String: DNNProfile] = [:]
    for (name, path) in profilePaths { profiles[name] = try sources.profile(name, path) }
    return try Model(
      parameters: parameters,
      sources: ScenarioSources(
        trace: sources.trace(tracePath), profiles: profiles,
        seed: UInt64(parameters.integer(ExperimentScenario.seed.key))))
  }

  fileprivate static let seed = RunParameters.all[0]

  fileprivate static func schema(of model: AnyModel) -> [Parameter] { model.parameters + [seed] }
}

extension Experiment {
  /// The scenario that the file and some settings describe.
  ///
  /// Settings replace what the file says. What the grid varies besides must be given; of several seeds the first is taken.
  ///
  /// - Parameters:
  ///   - settings: parameters of the model, `seed` and `trace`.
  ///   - results: folder of all experiments' results: an FCD trace is imported into it.
  /// - Throws: `InputError` that names the option or the place in the file.
  public func scenario(_ settings: [PointFilter], results: String) throws -> ExperimentScenario {
    let schema = ExperimentScenario.schema(of: model)
    var given: [String: ParameterValue] = [:]
    for setting in settings {
      let known = schema.first { $0.key == setting.key }
      guard known != nil || setting.key == "trace" else {
        let keys = schema.map(\.key) + ["trace"]
        throw InputError(
          "is not a parameter of model '\(model.name)'", key: "--parameters", value: setting.key,
          advice: nearestName(to: setting.key, among: keys).map { "Did you mean '\($0)'?" }
            ?? "'veclab algorithms' lists them")
      }
      if given[setting.key] != nil {
        throw InputError(
          "is given twice", key: "--parameters", value: setting.key, advice: "Give it once")
      }
      given[setting.key] =
        try known.map { try $0.checked(setting.value(for: $0)) }
        ?? setting.values[0]
    }
    let point = try point(given, of: schema)
    func setting(_ key: String) -> Setting? {
      point[key] ?? parameters.first { $0.key == key }
    }
    var values: [String: ParameterValue] = given
    values["trace"] = nil
    for parameter in schema where values[parameter.key] == nil {
      guard let setting = setting(parameter.key) else { continue }
      do {
        values[parameter.key] = try parameter.checked(setting.value)
      } catch let error as InputError {
        throw setting.location.locating(error)
      }
    }
    return try scenario(
      ParameterValues(schema: schema, setting: values),
      trace: given["trace"]?.text ?? setting("trace")?.value.text, setting: setting,
      results: results)
  }

  private func scenario(
    _ values: ParameterValues, trace name: String?, setting: (String) -> Setting?, results: String
  ) throws -> ExperimentScenario {
    var inputs = try PlanInputs(experiment: self, folder: "\(results)/\(self.name)")
    let trace = try inputs.trace(name)
    let profiles = try inputs.profiles(model.profileNames(values)) { _ in setting("dnnTypes") }
    let document = JSONValue.object([
      "format": .integer(1), "model": .text(model.name), "modelVersion": .integer(model.version),
      "parameters": values.json, "trace": .text(trace.digest),
      "profiles": .object(profiles.mapValues { .text($0.digest) }),
    ])
    return ExperimentScenario(
      model: model, parameters: values, document: document, tracePath: trace.path,
      profilePaths: profiles.mapValues(\.path))
  }

  /// The point of the grid that is meant: the only one in what the model has and what is not given.
  private func point(
    _ given: [String: ParameterValue], of schema: [Parameter]
  ) throws -> GridPoint {
    if let wanted = given["trace"], !traces.contains(where: { wanted == .text($0.name) }) {
      throw InputError(
        "is not a trace of \(file)", key: "--parameters", value: "trace=\(wanted.text)",
        advice: "It has \(traces.map(\.name).joined(separator: ", "))")
    }
    var points = points
    // A value that the grid has comes with what goes in step with it; one that it lacks replaces it.
    for (key, value) in given.sorted(by: { $0.key < $1.key }) {
      let matching = points.filter { $0[key]?.value.isSame(as: value) ?? false }
      if !matching.isEmpty { points = matching }
    }
    for key in schema.map(\.key) + ["trace"] where given[key] == nil && key != "seed" {
      var texts: [String] = []
      for point in points {
        let text = (point[key] ?? parameters.first { $0.key == key })?.value.text ?? "its default"
        if !texts.contains(text) { texts.append(text) }
      }
      if texts.count > 1 {
        throw InputError(
          "is varied by \(file): \(texts.joined(separator: ", "))", key: key,
          advice: "Say which one: \(key)=\(texts[0])")
      }
    }
    return points.first ?? GridPoint()
  }
}
