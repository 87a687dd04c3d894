package import Algorithms
package import Simulation
package import Support

/// A run as its model and its algorithm understand it: what is carried out.
package struct RunDocument {
  package let specification: RunSpecification
  /// Every parameter, those that the identity implies too.
  package let parameters: ParameterValues
  package let isLearner: Bool
  package var isRecording: Bool { !specification.record.isEmpty }
  /// Whether the run trains with the program's own kernels, so that its results hold for one instruction set.
  package var usesKernels: Bool { isLearner && specification.agent == nil }

  package static func damaged(_ what: String) -> InputError {
    InputError(
      "the run's document is not one of this program: \(what)",
      advice: "Plan the experiment with the program that runs it")
  }

  package init<Model: Environment>(
    _ specification: RunSpecification, model: Model.Type, algorithm: Algorithm<Model>
  ) throws {
    guard specification.modelVersion == Model.version,
      specification.algorithmVersion == algorithm.version
    else { throw RunDocument.damaged("the model or the algorithm has another version") }
    let schema =
      Model.parameters + algorithm.parameters
      + RunParameters.schema(isLearner: algorithm.isLearner)
    self.specification = specification
    parameters = try ParameterValues(
      schema: schema, setting: specification.parameters)
    settings = RunSettings(parameters)
    training = algorithm.isLearner ? TrainingRunSettings(parameters) : nil
    isLearner = algorithm.isLearner
  }

  /// The document with every parameter, for people and scripts.
  package var complete: JSONValue {
    var members = specification.document.objectValue ?? [:]
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
