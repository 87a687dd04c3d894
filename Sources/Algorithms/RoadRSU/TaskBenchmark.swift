public import Simulation
public import Support
internal import Trace

/// Measures how many tasks of the road model an algorithm gets through in a second, on made-up traffic.
public struct TaskBenchmark: Sendable {
  public struct Report: Sendable {
    public let tasks: Int
    public let episodes: Int
    public let tasksPerSecond: Double
    public let meanCost: Double
  }

  public var algorithm = "leo"
  public var seconds = 2.0
  /// Parameters of the model that differ from the defaults.
  public var parameters: [String: ParameterValue] = [:]

  public init() {}

  /// Plays whole episodes, their set-up and metrics included, until the time is over.
  public func run(profiles: (String) throws -> DNNProfile) throws -> Report {
    guard let algorithm = Registry.roadRSU.first(where: { $0.name == algorithm }) else {
      let names = Registry.roadRSU.map(\.name)
      throw InputError(
        "is not an algorithm of the road model", key: "algorithm", value: algorithm,
        advice: "Known are \(names.joined(separator: ", "))")
    }
    let values = try ParameterValues(schema: RoadRSUEnvironment.parameters, setting: parameters)
    var loaded: [String: DNNProfile] = [:]
    for name in RoadRSUEnvironment.profileNames(values) { loaded[name] = try profiles(name) }
    let road = StraightRoad(vehicles: values.integer("vehicles"))
    var stream = RandomStream(seed: 1, .test)
    let environment = try RoadRSUEnvironment(
      parameters: values, profiles: loaded, seed: 1, axis: road.axis,
      windows: (0..<8).map { _ in
        road.window(
          slots: values.integer("slots"), slotLength: values.number("slotLength"), using: &stream)
      })
    let agent = try algorithm.make(
      environment, ParameterValues(schema: algorithm.parameters), AgentContext(seed: 1))
    return try measure(environment, agent)
  }

  private func measure<Learner: Agent<RoadRSUEnvironment>>(
    _ environment: RoadRSUEnvironment, _ agent: Learner
  ) throws -> Report {
    var environment = environment
    var agent = agent
    let clock = ContinuousClock()
    let start = clock.now
    let end = start.advanced(by: .seconds(seconds))
    var tasks = 0
    var episodes = 0
    var cost = 0.0
    repeat {
      var metrics = RoadRSUMetrics()
      environment.beginEpisode(episodes, phase: .eval)
      agent.beginEpisode(episodes, phase: .eval)
      while let situation = environment.situation {
        let outcome = try environment.apply(try agent.decide(situation, phase: .eval))
        metrics.add(outcome)
        cost += outcome.costs.cost
        tasks += 1
      }
      if metrics.fields.isEmpty { break }
      episodes += 1
    } while clock.now < end
    let (whole, fraction) = (clock.now - start).components
    let elapsed = Double(whole) + Double(fraction) * 1e-18
    return Report(
      tasks: tasks, episodes: episodes, tasksPerSecond: Double(tasks) / elapsed,
      meanCost: tasks > 0 ? cost / Double(tasks) : 0)
  }
}
