internal import Simulation
internal import Support

/// Random decisions: any cut, at the RSU that diversion picked, with frequencies uniform from a
/// least share of the greatest one on.
struct RandomTaskAgent: Agent {
  typealias Model = RoadRSUEnvironment
  private let model: TaskModel
  private let range: FrequencyRange
  private let field: RandomField
  private var stream: RandomStream

  init(model: TaskModel, range: FrequencyRange, seed: UInt64) {
    self.model = model
    self.range = range
    field = RandomField(seed: seed, .policy)
    stream = RandomStream(seed: seed, .policy)
  }

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    stream = field.stream(episode, phase == .eval ? 1 : 0)
  }

  mutating func decide(_ situation: TaskSituation, phase: Phase) -> TaskDecision {
    let layers = model.types[situation.type].layers
    let cut = stream.index(below: layers + 1)
    let vehicleFrequency = range.frequency(
      stream.uniform(), greatest: model.constants.vehicleFrequency)
    let rsuFrequency = range.frequency(stream.uniform(), greatest: model.constants.rsuFrequency)
    guard let diverted = situation.diverted else {
      return model.local(situation, frequency: vehicleFrequency)
    }
    return TaskDecision(
      cut: cut, rsu: situation.links[diverted].rsu, vehicleFrequency: vehicleFrequency,
      rsuFrequency: rsuFrequency)
  }

  static let algorithm = Algorithm<RoadRSUEnvironment>(
    name: "random", version: 1,
    summary: "Any cut at the RSU that diversion picked, with uniform frequencies.",
    settings: FrequencyRange.self
  ) { environment, range, context in
    RandomTaskAgent(model: environment.model, range: range, seed: context.seed)
  }
}
