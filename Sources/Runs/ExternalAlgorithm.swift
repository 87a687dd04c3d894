internal import Algorithms
internal import ExternalAgents
internal import Glibc
internal import Plan
internal import Simulation
internal import Support

/// Where the external agent of a run is started, and what it belongs to.
struct AgentPlace: Sendable {
  /// The experiment's folder of results, which holds copies of the agent's files.
  var experimentFolder: String
  /// Folder that files of the attempt may lie in.
  var attemptFolder: String
  var patience: AgentPatience
  var shouldStop: @Sendable () -> Bool
}

extension OfferedModel {
  /// The algorithm of a run: one of the program's, or the external agent that its document describes.
  func algorithm(of run: RunSpecification, at place: AgentPlace) throws -> Algorithm<Model> {
    guard let external = run.agent else { return try algorithm(run.algorithm) }
    guard let model = Model.self as? any ExternalModel.Type else {
      throw InputError(
        "has no messages for external agents", key: "model", value: Model.modelName,
        advice: "Use another model")
    }
    func open<Spoken: ExternalModel>(_ model: Spoken.Type) throws -> Algorithm<Model> {
      guard let algorithm = external.algorithm(of: model, run, at: place) as? Algorithm<Model>
      else { preconditionFailure("a model is itself") }
      return algorithm
    }
    return try open(model)
  }
}

extension ExternalAlgorithm {
  fileprivate func algorithm<Model: ExternalModel>(
    of model: Model.Type, _ specification: RunSpecification, at place: AgentPlace
  ) -> Algorithm<Model> {
    let own = parameters(
      in: specification, besides: Model.parameters + RunParameters.schema(isLearner: isLearner))
    return Algorithm<Model>(
      name: name, version: agentProtocolVersion, summary: "External agent.", isLearner: isLearner,
      parameters: own
    ) { environment, parameters, seed, episodes in
      let working = Files.path(folder, relativeTo: place.experimentFolder)
      if let missing = files.keys.sorted().first(where: { !Files.exists("\(working)/\($0)") }) {
        throw InputError(
          "is missing: the agent runs in this copy of its files", file: "\(working)/\(missing)",
          advice: "'veclab plan' with the experiment's file makes it again")
      }
      var complete = specification.document.objectValue ?? [:]
      complete["parameters"] = parameters.json
      let run = AgentRun(
        command: AgentCommand(
          name: name, command: command, folder: Files.absolute(working),
          startup: place.patience.startup, silence: place.patience.silence,
          launcher: Provenance.executablePath),
        sight: sight, isLearner: isLearner, seed: seed, episodes: episodes,
        evaluationEpisodes: parameters.integer("evaluationEpisodes"),
        parameters: .object(
          Dictionary(uniqueKeysWithValues: own.map { ($0.key, parameters[$0.key].json) })),
        document: .object(complete),
        checkpointPath: Files.absolute(place.attemptFolder) + "/agent-checkpoint-\(getpid())")
      return try ExternalAgent(run, environment: environment, shouldStop: place.shouldStop)
    }
  }
}
