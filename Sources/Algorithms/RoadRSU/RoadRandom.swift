internal import Simulation
internal import Support

/// Random decisions: any cut, at the RSU that diversion picked, with frequencies uniform from a
/// least share of the greatest one on.
struct RoadRandom: Agent {
  typealias Model = RoadRSUEnvironment
  private let model: RoadModel
  private let range: FrequencyRange
  private let field: RandomField
  private var stream: RandomStream

  init(model: RoadModel, range: FrequencyRange, seed: UInt64) {
    self.model = model
    self.range = range
    field = RandomField(seed: seed, .policy)
    stream = RandomStream(seed: seed, .policy)
  }

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    stream = field.stream(episode, phase == .eval ? 1 : 0)
  }

  mutating func decide(_ situation: RoadSituation, phase: Phase) -> RoadDecision {
    let layers = model.types[situation.type].layers
    let cut = stream.index(below: layers + 1)
    let vehicleFrequency = range.frequency(
      stream.uniform(), greatest: model.constants.vehicleFrequency)
    let rsuFrequency = range.frequency(stream.uniform(), greatest: model.constants.rsuFrequency)
    guard let diverted = situation.diverted else {
      return model.local(situation, frequency: vehicleFrequency)
    }
    return RoadDecision(
      cut: cut, rsu: situation.links[diverted].rsu, vehicleFrequency: vehicleFrequency,
      rsuFrequency: rsuFrequency)
  }

  static let algorithm = Algorithm<RoadRSUEnvironment>(
    name: "random", version: 1,
    summary: "Any cut at the RSU that diversion picked, with uniform frequencies.",
    parameters: [FrequencyRange.parameter]
  ) { environment, parameters, seed, _ in
    RoadRandom(model: environment.model, range: FrequencyRange(parameters), seed: seed)
  }
}
