internal import Algorithms
public import Plan
internal import Simulation
internal import Support

/// How fast an external agent and the program exchange decisions.
public struct AgentBenchmark: Sendable {
  public struct Report: Sendable {
    public let decisions: Int
    public let episodes: Int
    /// By the wall clock: start of the agent, episodes.
    public let startSeconds, seconds: Double
    public var decisionsPerSecond: Double { Double(decisions) / seconds }
  }

  /// Seconds to measure.
  public var seconds = 3.0

  public init() {}

  /// Runs episodes of a planned run's agent: training episodes of a learner, else evaluation episodes.
  public func run(_ run: PlannedRun, sources: RunSources) throws -> Report {
    guard run.patience != nil else {
      throw InputError(
        "is no external agent of the experiment file", key: "agent", value: run.label,
        advice: "Name one that its 'agents' define and its grid uses")
    }
    guard let model = Models.named(run.specification.model) else {
      throw RunDocument.damaged("it names no model of this program")
    }
    return try measure(run, model.offered, sources)
  }

  private func measure<Offered: OfferedModel>(
    _ run: PlannedRun, _ offered: Offered, _ sources: RunSources
  ) throws -> Report {
    typealias Model = Offered.Model
    let algorithm = try offered.algorithm(
      of: run.specification,
      at: AgentPlace(
        experimentFolder: sources.experimentFolder, attemptFolder: Files.temporaryFolder,
        patience: run.patience ?? .standard, shouldStop: { false }))
    let document = try RunDocument(
      run.specification, model: Model.self, algorithm: algorithm)
    let environment = try run.environment(Model.self, document, sources)
    let start = monotonicSeconds()
    let agent = try algorithm.make(
      environment, document.parameters,
      AgentContext(seed: document.seed, episodes: document.trainingEpisodes))
    let startSeconds = monotonicSeconds() - start
    var isFinished = false
    defer { agent.close(isFinished: isFinished) }
    let report = try measure(
      environment, agent, learns: document.isLearner, startSeconds: startSeconds)
    isFinished = true
    return report
  }

  private func measure<Model: Environment, Learner: Agent<Model>>(
    _ environment: Model, _ agent: Learner, learns: Bool, startSeconds: Double
  ) throws -> Report {
    var environment = environment
    var agent = agent
    let start = monotonicSeconds()
    var decisions = 0
    var episodes = 0
    while monotonicSeconds() - start < seconds {
      episodes += 1
      decisions += try environment.runEpisode(
        episodes, phase: learns ? .train : .eval, agent: &agent, learns: learns
      ).timing.decisions
    }
    return Report(
      decisions: decisions, episodes: episodes, startSeconds: startSeconds,
      seconds: monotonicSeconds() - start)
  }
}
