public import Algorithms
internal import Simulation
public import Support

/// What an experiment file may say about an algorithm, without its model's types.
public struct AlgorithmDescription: Sendable {
  public let name: String
  public let version: Int
  public let summary: String
  public let isLearner: Bool
  public let parameters: [Parameter]
  let settle: ParameterRule
  /// The program outside that it is; nil for algorithms of the registry.
  let agent: AgentDefinition?
}

/// What a run measures in every episode: a column of `episodes.csv`.
public struct MeasureDescription: Sendable {
  /// Name of the column, its unit included.
  public let name: String
  /// Empty for a plain number.
  public let unit: String
  public let summary: String
}

/// Makes the agent of an algorithm and throws it away.
typealias AgentTrial = (_ algorithm: String, ParameterValues) throws -> Void

/// A model with its algorithms, its types erased: plans, figures and commands know models only as this.
public struct AnyModel: Sendable {
  public let name: String
  public let version: Int
  public let parameters: [Parameter]
  public private(set) var algorithms: [AlgorithmDescription]
  public let measures: [MeasureDescription]
  /// Files that a run writes, with their columns, the tables of `record` included.
  public let tables: [ResultTable]
  public let profileNames: @Sendable (ParameterValues) -> [String]
  /// The model with its types, for who carries out runs.
  public let offered: any OfferedModel

  public init<Offered: OfferedModel>(_ offered: Offered) {
    typealias Model = Offered.Model
    self.offered = offered
    name = Model.modelName
    version = Model.version
    parameters = Model.parameters
    algorithms = offered.algorithms.map {
      AlgorithmDescription(
        name: $0.name, version: $0.version, summary: $0.summary, isLearner: $0.isLearner,
        parameters: $0.parameters, settle: $0.settle, agent: nil)
    }
    measures = Model.Metrics.measures.map {
      MeasureDescription(name: $0.name, unit: $0.unit, summary: $0.summary)
    }
    tables = ResultTable.all(of: Model.self)
    profileNames = { Model.profileNames($0) }
  }

  /// The model with the external agents of an experiment among its algorithms.
  func adding(_ agents: [AgentDefinition]) -> AnyModel {
    var model = self
    model.algorithms += agents.map(\.description)
    return model
  }

  /// Makes an environment; the result makes an algorithm's agent for it. Both are thrown away.
  func tryOut(_ parameters: ParameterValues, _ sources: ScenarioSources) throws -> AgentTrial {
    try offered.tryOut(parameters, sources)
  }

  public func algorithm(_ name: String) -> AlgorithmDescription? {
    algorithms.first { $0.name == name }
  }

  /// Every parameter of a run of an algorithm; what the model and the run have comes first.
  public func schema(of algorithm: AlgorithmDescription) -> [Parameter] {
    parameters + algorithm.parameters + RunParameters.schema(isLearner: algorithm.isLearner)
  }

  /// The value of a parameter in a run, stated or implied; nil for one that the run's algorithm does not know.
  package func value(of key: String, in run: RunSpecification) -> ParameterValue? {
    if let stated = run.parameters[key] { return stated }
    guard let algorithm = algorithm(run.algorithm) else { return nil }
    return schema(of: algorithm).first { $0.key == key && $0.isImpliedAtDefault }?.defaultValue
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

extension OfferedModel {
  /// The algorithm of a name; its absence is an error of an older or newer program's plan.
  package func algorithm(_ name: String) throws -> Algorithm<Model> {
    if let algorithm = algorithms.first(where: { $0.name == name }) { return algorithm }
    throw InputError(
      "is not an algorithm of this program's model '\(Model.modelName)'", key: "algorithm",
      value: name, advice: "Plan the experiment with the program that runs it")
  }

  fileprivate func tryOut(
    _ parameters: ParameterValues, _ sources: ScenarioSources
  ) throws -> AgentTrial {
    let environment = try Model(parameters: parameters, sources: sources)
    return { name, parameters in
      _ = try algorithm(name).make(
        environment, parameters, AgentContext(seed: sources.seed))
    }
  }
}

/// The models of the registry, their types erased.
public enum Models {
  public static let all: [AnyModel] = Registry.models.map { AnyModel($0) }

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

  package static let episodes = "episodes.csv"
  package var isWrittenByEveryRun: Bool { !isRecorded && file != ResultTable.evaluations }

  /// The table that only learners with `evaluationEvery` write.
  package static let evaluations = "evaluations.csv"
  /// Wall-clock figures: the only table that differs from run to run.
  package static let timing = "timing.csv"

  package static func episodeColumns(_ measures: [String]) -> [String] {
    ["episode", "phase", "window_start_s"] + measures + ["epsilon", "loss"]
  }

  package static func evaluationColumns(_ measures: [String]) -> [String] {
    ["trained_episodes"] + episodeColumns(measures)
  }

  package static let timingColumns = [
    "episode", "phase", "decisions", "mean_decision_s", "mean_train_step_s", "episode_s",
  ]

  package static func tableColumns(_ columns: [String]) -> [String] {
    ["episode", "phase"] + columns
  }

  static func all<Model: Environment>(of model: Model.Type) -> [ResultTable] {
    let measures = Model.Metrics.columns
    var tables = [
      ResultTable(
        file: ResultTable.episodes, columns: ResultTable.episodeColumns(measures),
        textColumns: ["phase"],
        isRecorded: false),
      ResultTable(
        file: ResultTable.evaluations, columns: ResultTable.evaluationColumns(measures),
        textColumns: ["phase"], isRecorded: false),
      ResultTable(
        file: ResultTable.timing, columns: ResultTable.timingColumns, textColumns: ["phase"],
        isRecorded: false),
    ]
    tables += Model.Metrics.tables.map {
      ResultTable(
        file: $0.file, columns: ResultTable.tableColumns($0.columns),
        textColumns: $0.textColumns.union(["phase"]), isRecorded: false)
    }
    return tables
      + Model.logs.map {
        ResultTable(
          file: $0.file, columns: $0.columns, textColumns: $0.textColumns, isRecorded: true)
      }
  }
}
