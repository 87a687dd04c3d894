internal import Simulation
internal import Support

/// Random decisions: any cut, at the RSU that diversion picked, with frequencies uniform in (0, f_max].
struct RoadRandom: Agent {
  typealias Model = RoadRSUEnvironment
  private let model: RoadModel
  private let field: RandomField
  private var stream: RandomStream

  init(model: RoadModel, seed: UInt64) {
    self.model = model
    field = RandomField(seed: seed, .policy)
    stream = RandomStream(seed: seed, .policy)
  }

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    stream = field.stream(episode, phase == .eval ? 1 : 0)
  }

  mutating func decide(_ situation: RoadSituation, phase: Phase) -> RoadDecision {
    let layers = model.types[situation.type].layers
    let cut = stream.index(below: layers + 1)
    // 1 - u is in (0, 1].
    let vehicleFrequency = model.constants.vehicleFrequency * (1 - stream.uniform())
    let rsuFrequency = model.constants.rsuFrequency * (1 - stream.uniform())
    guard let diverted = situation.diverted else {
      return model.local(situation, frequency: vehicleFrequency)
    }
    return RoadDecision(
      cut: cut, rsu: situation.links[diverted].rsu, vehicleFrequency: vehicleFrequency,
      rsuFrequency: rsuFrequency)
  }

  static let algorithm = Algorithm<RoadRSUEnvironment>(
    name: "random", version: 1,
    summary: "Any cut at the RSU that diversion picked, with uniform frequencies."
  ) { environment, _, seed, _ in RoadRandom(model: environment.model, seed: seed) }
}
