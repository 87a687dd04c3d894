public import Support
public import Trace

/// Whether an episode trains the agent (first part of the trace) or evaluates it (last part).
public enum Phase: String, Sendable {
  case train
  case eval
}

/// One measure of an episode: a column of `episodes.csv`.
public struct EpisodeMeasure<Metrics>: Sendable {
  /// Name of the column, its unit included: `mean_delay_s`.
  public let name: String
  /// Unit, `share` for a part of the whole; empty for a plain number.
  public let unit: String
  /// What it is, in a sentence.
  public let summary: String
  /// Its value in an episode; missing where there is nothing to measure.
  public let value: @Sendable (Metrics) -> CSVField

  /// - Parameter value: nil where there is nothing to measure.
  public init(
    _ name: String, _ unit: String, _ summary: String,
    _ value: @escaping @Sendable (Metrics) -> Double?
  ) {
    self.name = name
    self.unit = unit
    self.summary = summary
    self.value = { metrics in value(metrics).map { .number($0) } ?? .missing }
  }

  /// A measure that counts.
  public init(
    counting name: String, _ summary: String, _ value: @escaping @Sendable (Metrics) -> Int?
  ) {
    self.name = name
    unit = ""
    self.summary = summary
    self.value = { metrics in value(metrics).map { .integer($0) } ?? .missing }
  }
}

/// Measures of one episode, computed from the environment's outcomes alone: an agent never measures itself.
public protocol EpisodeMetrics<Outcome>: Sendable {
  associatedtype Outcome
  /// The columns of `episodes.csv`: adding a measure is one line here.
  static var measures: [EpisodeMeasure<Self>] { get }
  /// The measure that algorithms are compared by; less is better.
  static var comparedBy: String { get }
  init()
  mutating func add(_ outcome: Outcome)
  /// Further tables of the episode's measures; none by default.
  static var tables: [EpisodeTable<Self>] { get }
}

extension EpisodeMetrics {
  public static var tables: [EpisodeTable<Self>] { [] }
  /// Names of the measures' columns, units included.
  public static var columns: [String] { measures.map(\.name) }
  /// The episode's values, one for each column.
  public var fields: [CSVField] { Self.measures.map { $0.value(self) } }
}

/// A table of an episode's measures with as many rows as the model needs (one for each queue, say).
public struct EpisodeTable<Metrics>: Sendable {
  /// File name, e.g. `backlogs.csv`.
  public let file: String
  /// Columns after `episode` and `phase`, which the run puts in front.
  public let columns: [String]
  /// Columns that hold texts; all others hold numbers.
  public let textColumns: Set<String>
  /// The rows of one episode.
  public let rows: @Sendable (Metrics) -> [[CSVField]]

  public init(
    file: String, columns: [String], textColumns: Set<String> = [],
    rows: @escaping @Sendable (Metrics) -> [[CSVField]]
  ) {
    self.file = file
    self.columns = columns
    self.textColumns = textColumns
    self.rows = rows
  }
}

/// A table that records every outcome, so that anybody can recompute the equations from it.
public struct OutcomeLog<Outcome>: Sendable {
  /// File name, e.g. `slots.csv`.
  public let file: String
  public let columns: [String]
  /// Columns that hold texts; all others hold numbers.
  public let textColumns: Set<String>
  /// Appends the rows of one outcome of one episode.
  public let append: @Sendable (_ outcome: Outcome, _ episode: Int, inout CSVWriter) -> Void

  public init(
    file: String, columns: [String], textColumns: Set<String> = [],
    append: @escaping @Sendable (Outcome, Int, inout CSVWriter) -> Void
  ) {
    self.file = file
    self.columns = columns
    self.textColumns = textColumns
    self.append = append
  }
}

/// What a model needs besides its parameters.
public struct ScenarioSources: Sendable {
  public let trace: TraceFile
  /// Profiles by the name that the parameters use.
  public let profiles: [String: DNNProfile]
  /// Seed of the scenario: everything drawn from it is the same for every algorithm.
  public let seed: UInt64
  /// Whether the trace must have windows for training; a policy that is only evaluated needs none.
  public let needsTraining: Bool

  public init(
    trace: TraceFile, profiles: [String: DNNProfile], seed: UInt64, needsTraining: Bool = true
  ) {
    self.trace = trace
    self.profiles = profiles
    self.seed = seed
    self.needsTraining = needsTraining
  }
}

/// A model that agents act in, one decision at a time.
///
/// A decision is asked for once a slot (all clients at once) in the single-RSU model and once a task in the
/// model of the road. The loop is the same: while the episode is not over, show the agent the situation, apply
/// its decision, hand the outcome to the metrics, the logs and, in training, the agent.
public protocol Environment<Situation, Decision, Outcome>: SendableMetatype {
  /// What an agent may look at when it must decide.
  associatedtype Situation
  associatedtype Decision
  /// Everything that followed from a decision.
  associatedtype Outcome
  associatedtype Metrics: EpisodeMetrics where Metrics.Outcome == Outcome

  /// Name in experiment files.
  static var modelName: String { get }
  /// Raised whenever a change of the model alters results; part of every run's identity.
  static var version: Int { get }
  /// Every parameter of the model.
  static var parameters: [Parameter] { get }
  /// Names of the DNN profiles that a set of parameters uses.
  static func profileNames(_ parameters: ParameterValues) -> [String]

  /// Gives the parameters of an evaluation the meaning of observations that a policy was trained with.
  static func keepObservation(of trained: ParameterValues, in values: inout ParameterValues)

  /// Draws what is drawn once a run (capacities, types, roles) and finds the windows.
  ///
  /// - Throws: `InputError` when the trace cannot serve these parameters, with what would help.
  init(parameters: ParameterValues, sources: ScenarioSources) throws

  /// The drawn constants (capacities, type vector, RSU positions, windows …) for `run.json`.
  var constants: JSONValue { get }
  /// Tables that `--record` can write.
  static var logs: [OutcomeLog<Outcome>] { get }

  /// Starts an episode: its window and everything random in it depend on seed, episode and phase alone.
  mutating func beginEpisode(_ episode: Int, phase: Phase)
  /// Start of the current episode's window on the trace's clock, in seconds.
  var windowStart: Double { get }
  /// Whether no decision is left in this episode.
  var isEpisodeOver: Bool { get }
  /// The current situation; nil only when there is none (no request is left in the episode).
  ///
  /// In the single-RSU model there is one after the last slot too: the end of an episode is a truncation,
  /// from which agents bootstrap.
  var situation: Situation? { get }
  /// Carries out a decision and moves on.
  mutating func apply(_ decision: Decision) throws -> Outcome
}

extension Environment {
  public static var version: Int { 1 }
  public static func keepObservation(
    of trained: ParameterValues, in values: inout ParameterValues
  ) {}
}
