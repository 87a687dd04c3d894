import Support
import Testing

@testable import Neural

/// Networks of a policy that act for another number of agents.
@Suite struct SharedPolicyTests {
  private func core(_ actions: [Int], _ networks: [Int], steps: Int?, seed: UInt64) throws
    -> QMIXCore
  {
    var settings = QMIXSettings(actions: actions, observation: 5)
    settings.training.hidden = [7, 9]
    settings.networkOfAgent = networks
    settings.training.batchSize = 2
    if let steps {
      var diffusion = Diffusion()
      diffusion.steps = steps
      settings.diffusion = diffusion
    }
    var stream = RandomStream(seed: seed, .initialisation)
    return try QMIXCore(settings, kernels: Kernels.selected(), using: &stream)
  }

  @Test(arguments: [nil, 3]) func networksKeepTheirValuesForOtherAgents(_ steps: Int?) throws {
    let trained = try core([4, 4, 6, 3], [8, 8, 5, 2], steps: steps, seed: 1)
    let bytes = trained.saveState(.policy)
    // Fewer agents, in another order.
    let acting = try core([6, 4], [0, 1], steps: steps, seed: 2)
    try acting.restoreNetworks(bytes, savedNetworks: [1, 0])
    for (agent, same) in [(0, 2), (1, 0), (1, 1)] {
      let observation: [Float] = [0.5, -1, 2, 0, Float(agent)]
      var noise = (NoiseStream(seed: 7), NoiseStream(seed: 7))
      #expect(
        acting.qValues(agent: agent, observation: observation, noise: &noise.0)
          == trained.qValues(agent: same, observation: observation, noise: &noise.1))
    }
  }

  @Test func whatDoesNotFitIsAnErrorAndChangesNothing() throws {
    let trained = try core([4, 4, 6], [0, 0, 1], steps: nil, seed: 1)
    let bytes = trained.saveState(.policy)
    let acting = try core([6, 4], [0, 1], steps: nil, seed: 2)
    let before = acting.saveState()
    for networks in [[0, 1], [1, 5]] {
      #expect(throws: InputError.self) {
        try acting.restoreNetworks(bytes, savedNetworks: networks)
      }
    }
    for count in stride(from: 0, to: bytes.count, by: 11) {
      #expect(throws: InputError.self, "\(count) bytes") {
        try acting.restoreNetworks(Array(bytes.prefix(count)), savedNetworks: [1, 0])
      }
    }
    // A number of tensors that cannot be.
    var absurd = bytes
    absurd.replaceSubrange(18..<26, with: [UInt8](repeating: 0xFF, count: 8))
    #expect(throws: InputError.self) {
      try acting.restoreNetworks(absurd, savedNetworks: [1, 0])
    }
    #expect(acting.saveState() == before)
  }
}
