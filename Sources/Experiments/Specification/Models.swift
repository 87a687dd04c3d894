public import Algorithms
public import Simulation
public import Support

/// What an experiment file may say about an algorithm, without its model's types.
public struct AlgorithmDescription: Sendable {
  public let name: String
  public let version: Int
  public let summary: String
  public let isLearner: Bool
  public let parameters: [Parameter]
  let settle: ParameterRule
}

/// Makes the agent of an algorithm and throws it away.
typealias AgentTrial = (_ algorithm: String, ParameterValues) throws -> Void

/// A model with its algorithms, its types erased: the rest of this module knows models only as this.
public struct AnyModel: Sendable {
  public let name: String
  public let version: Int
  public let parameters: [Parameter]
  public let algorithms: [AlgorithmDescription]
  /// Files that a run writes, with their columns, the tables of `record` included.
  public let tables: [ResultTable]
  public let profileNames: @Sendable (ParameterValues) -> [String]
  /// Makes an environment; the result makes an algorithm's agent for it. Both are thrown away.
  let tryOut: @Sendable (ParameterValues, ScenarioSources) throws -> AgentTrial
  let execute: @Sendable (RunExecution) throws -> RunEnd
  let evaluate: @Sendable (PolicyEvaluation) throws -> Void

  public init<Model: Environment>(_ model: Model.Type, algorithms: [Algorithm<Model>]) {
    name = Model.modelName
    version = Model.version
    parameters = Model.parameters
    self.algorithms = algorithms.map {
      AlgorithmDescription(
        name: $0.name, version: $0.version, summary: $0.summary, isLearner: $0.isLearner,
        parameters: $0.parameters, settle: $0.settle)
    }
    tables = ResultTable.all(of: Model.self)
    profileNames = { Model.profileNames($0) }
    tryOut = { parameters, sources in
      let environment = try Model(parameters: parameters, sources: sources)
      return { name, parameters in
        _ = try Algorithm.named(name, among: algorithms)
          .make(environment, parameters, sources.seed, 0)
      }
    }
    execute = { execution in
      try execution.run(Model.self, Algorithm.named(execution.algorithmName, among: algorithms))
    }
    evaluate = { evaluation in
      try evaluation.run(Model.self, Algorithm.named(evaluation.algorithmName, among: algorithms))
    }
  }

  public func algorithm(_ name: String) -> AlgorithmDescription? {
    algorithms.first { $0.name == name }
  }

  /// Every parameter of a run of an algorithm; what the model and the run have comes first.
  public func schema(of algorithm: AlgorithmDescription) -> [Parameter] {
    parameters + algorithm.parameters + RunParameters.schema(isLearner: algorithm.isLearner)
  }

  /// Every definition of a parameter by its key: algorithms may give the same word different ranges.
  func definitions(of key: String) -> [Parameter] {
    (parameters + algorithms.flatMap(\.parameters) + RunParameters.schema(isLearner: true))
      .filter { $0.key == key }
  }

  var knownKeys: [String] {
    var keys: [String] = []
    let schema =
      parameters + algorithms.flatMap(\.parameters) + RunParameters.schema(isLearner: true)
    for parameter in schema where !keys.contains(parameter.key) { keys.append(parameter.key) }
    return keys
  }
}

extension Algorithm {
  /// The algorithm of a name; its absence is an error of an older or newer program's plan.
  static func named(_ name: String, among algorithms: [Algorithm]) throws -> Algorithm {
    if let algorithm = algorithms.first(where: { $0.name == name }) { return algorithm }
    throw InputError(
      "is not an algorithm of this program's model '\(Model.modelName)'", key: "algorithm",
      value: name, advice: "Plan the experiment with the program that runs it")
  }
}

/// The registry of models: adding one is one line.
public enum Models {
  public static let all: [AnyModel] = [
    AnyModel(SingleRSUEnvironment.self, algorithms: Registry.singleRSU),
    AnyModel(RoadRSUEnvironment.self, algorithms: roadRSUAlgorithms),
  ]

  public static func named(_ name: String, among models: [AnyModel] = all) -> AnyModel? {
    models.first { $0.name == name }
  }
}

/// A CSV file of a run's result.
public struct ResultTable: Sendable, Equatable {
  public let file: String
  public let columns: [String]
  /// Columns that hold texts; all others hold numbers.
  public let textColumns: Set<String>
  /// Whether it is written only when the experiment records.
  public let isRecorded: Bool

  /// The table that only learners with `evaluationEvery` write.
  static let evaluations = "evaluations.csv"

  static func all<Model: Environment>(of model: Model.Type) -> [ResultTable] {
    let measures = Model.Metrics.columns
    var tables = [
      ResultTable(
        file: "episodes.csv", columns: RunRecord.episodeColumns(measures), textColumns: ["phase"],
        isRecorded: false),
      ResultTable(
        file: ResultTable.evaluations, columns: RunRecord.evaluationColumns(measures),
        textColumns: ["phase"], isRecorded: false),
      ResultTable(
        file: "timing.csv", columns: RunRecord.timingColumns, textColumns: ["phase"],
        isRecorded: false),
    ]
    tables += Model.Metrics.tables.map {
      ResultTable(
        file: $0.file, columns: RunRecord.tableColumns($0.columns),
        textColumns: $0.textColumns.union(["phase"]), isRecorded: false)
    }
    return tables
      + Model.logs.map {
        ResultTable(
          file: $0.file, columns: $0.columns, textColumns: $0.textColumns, isRecorded: true)
      }
  }
}
