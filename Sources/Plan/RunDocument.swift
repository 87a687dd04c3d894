package import Algorithms
package import Simulation
package import Support

/// The document of a run, read back.
package struct RunDocument {
  /// What the run's identity is the digest of.
  package let json: JSONValue
  /// Every parameter, those that the identity implies too.
  package let parameters: ParameterValues
  package let traceDigest: String
  package let isLearner: Bool
  package let isRecording: Bool
  /// Whether the run trains with the program's own kernels, so that its results hold for one instruction set.
  package var usesKernels: Bool { isLearner && json["agent"] == nil }

  package static func damaged(_ what: String) -> InputError {
    InputError(
      "the run's document is not one of this program: \(what)",
      advice: "Plan the experiment with the program that runs it")
  }

  package init<Model: Environment>(
    _ json: JSONValue, model: Model.Type, algorithm: Algorithm<Model>
  ) throws {
    guard json["format"]?.integerValue == 1, let given = json["parameters"]?.objectValue,
      let trace = json["trace"]?.textValue
    else { throw RunDocument.damaged("a member is missing or its format differs") }
    guard json["modelVersion"]?.integerValue == Model.version,
      json["algorithmVersion"]?.integerValue == algorithm.version
    else { throw RunDocument.damaged("the model or the algorithm has another version") }
    let schema =
      Model.parameters + algorithm.parameters
      + RunParameters.schema(isLearner: algorithm.isLearner)
    self.json = json
    parameters = try ParameterValues(
      schema: schema, setting: given.mapValues(ParameterValue.init))
    settings = RunSettings(parameters)
    training = algorithm.isLearner ? TrainingRunSettings(parameters) : nil
    traceDigest = trace
    isLearner = algorithm.isLearner
    isRecording = json["record"]?.listValue?.isEmpty == false
  }

  /// The document with every parameter, for people and scripts.
  package var complete: JSONValue {
    var members = json.objectValue ?? [:]
    members["parameters"] = parameters.json
    return .object(members)
  }

  private let settings: RunSettings
  /// nil for algorithms that do not learn.
  private let training: TrainingRunSettings?

  package var seed: UInt64 { UInt64(settings.seed) }
  package var trainingEpisodes: Int { training?.episodes ?? 0 }
  package var evaluationEpisodes: Int { settings.evaluationEpisodes }
  package var evaluationEvery: Int { training?.evaluationEvery ?? 0 }
}
