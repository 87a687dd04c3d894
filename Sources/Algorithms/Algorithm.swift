public import Neural
public import Simulation
public import Support

/// A rule on the parameters of a run, the model's and `episodes` included.
///
/// It gets all values and the keys that the user set; values of keys that follow from others it replaces.
/// - Throws: `InputError` with the key of a value that does not go with the others.
public typealias ParameterRule =
  @Sendable (_ values: inout ParameterValues, _ given: Set<String>) throws -> Void

/// What an agent is made for, besides its environment and its parameters.
public struct AgentContext: Sendable {
  /// Seed of everything that the agent draws.
  public let seed: UInt64
  /// Training episodes of the run, for exploration schedules; 0 for algorithms that do not learn.
  public let episodes: Int
  /// The instruction set that networks are computed with: results are equal bit by bit within one only.
  public let kernels: Kernels

  /// - Parameter kernels: nil for the user's choice.
  /// - Throws: `InputError` when that is a set that is unknown or that the machine lacks.
  public init(seed: UInt64, episodes: Int = 0, kernels: Kernels? = nil) throws {
    self.seed = seed
    self.episodes = episodes
    self.kernels = try kernels ?? .selected()
  }
}

/// One algorithm of the registry.
public struct Algorithm<Model: Environment>: Sendable {
  /// Name in experiment files.
  public let name: String
  /// Raised whenever a change alters results; part of every run's identity.
  public let version: Int
  public let summary: String
  /// Learners are trained before they are evaluated; the others are only evaluated.
  public let isLearner: Bool
  /// Parameters of its own, besides the model's.
  public let parameters: [Parameter]
  /// Checks parameters against each other, and gives those that follow from others their values.
  public let settle: ParameterRule
  public let make:
    @Sendable (
      _ environment: Model, _ parameters: ParameterValues, _ context: AgentContext
    ) throws -> any Agent<Model>

  public init(
    name: String, version: Int, summary: String, isLearner: Bool = false,
    parameters: [Parameter] = [], settle: @escaping ParameterRule = { _, _ in },
    make: @escaping @Sendable (Model, ParameterValues, AgentContext) throws -> any Agent<Model>
  ) {
    self.name = name
    self.version = version
    self.summary = summary
    self.isLearner = isLearner
    self.parameters = parameters
    self.settle = settle
    self.make = make
  }

  /// An algorithm with parameters of its own: the fields of `Own`.
  ///
  /// - Parameter settle: a rule as `ParameterRule`, on the algorithm's own settings; all values are passed for reading
  ///   those of the model and of the run.
  public init<Own: Settings>(
    name: String, version: Int, summary: String, isLearner: Bool = false, settings: Own.Type,
    settle:
      @escaping @Sendable (
        _ settings: inout Own, _ all: ParameterValues, _ given: Set<String>
      ) throws -> Void = { _, _, _ in },
    make: @escaping @Sendable (Model, Own, AgentContext) throws -> any Agent<Model>
  ) {
    self.init(
      name: name, version: version, summary: summary, isLearner: isLearner,
      parameters: Own.parameters,
      settle: { values, given in
        var settings = Own(values)
        try settle(&settings, values, given)
        values.set(settings)
      },
      make: { environment, values, context in try make(environment, Own(values), context) })
  }

  /// An algorithm without networks: of the context it needs the seed and the number of training episodes.
  public init(
    name: String, version: Int, summary: String, isLearner: Bool = false,
    parameters: [Parameter] = [], settle: @escaping ParameterRule = { _, _ in },
    make: @escaping @Sendable (Model, ParameterValues, UInt64, Int) throws -> any Agent<Model>
  ) {
    self.init(
      name: name, version: version, summary: summary, isLearner: isLearner,
      parameters: parameters, settle: settle
    ) { try make($0, $1, $2.seed, $2.episodes) }
  }
}
