import Simulation
import Support
import Trace

/// The shipped profiles that the tests use, and two small ones.
enum SingleRSUFixture {
  static let experiments = #filePath.replacing(
    "Tests/SimulationTests/SingleRSUTestSupport.swift", with: "Experiments")

  static func profiles() throws -> [String: DNNProfile] {
    var profiles: [String: DNNProfile] = [:]
    for name in ["alexnet", "resnet18", "vgg16"] {
      profiles[name] = try DNNProfile.load(name, relativeTo: experiments)
    }
    // Two layers: 1.99999 and 0.99995 GFLOP, inputs of 3.2 and 0.32 Mbit.
    profiles["pair"] = try DNNProfile(
      name: "pair",
      table: CSVTable(
        text: "name,kind,in_features,out_features\none,fc,100000,10000\ntwo,fc,10000,50000\n",
        file: "pair.csv"))
    return profiles
  }

  static func parameters(_ given: [String: ParameterValue] = [:]) throws -> ParameterValues {
    try ParameterValues(schema: SingleRSUEnvironment.parameters, setting: given)
  }

  static func environment(
    _ given: [String: ParameterValue] = [:], seed: UInt64 = 1
  ) throws -> SingleRSUEnvironment {
    try .synthetic(parameters: parameters(given), profiles: profiles(), seed: seed)
  }

  /// A random decision that every client may take.
  static func decision(
    _ situation: SlotSituation, _ stream: inout RandomStream
  ) -> SlotDecision {
    let scenario = situation.scenario
    var decision = SlotDecision(cuts: [], nodes: [])
    for client in 0..<scenario.clients {
      let layers = scenario.layers(ofClient: client)
      // Both ends often: all remote and all local are the special cases.
      let cut = [0, layers, stream.index(below: layers + 1)][stream.index(below: 3)]
      decision.cuts.append(cut)
      var node = stream.index(below: scenario.nodes)
      while !situation.allows(client: client, node: node) {
        node = stream.index(below: scenario.nodes)
      }
      decision.nodes.append(node)
    }
    return decision
  }

  /// Backlogs of many kinds: none, small, large, some of them equal.
  static func backlogs(_ count: Int, _ stream: inout RandomStream) -> [Double] {
    let scale = [0, 0.1, 5, 60, 400][stream.index(below: 5)]
    let shared = stream.uniform(0, scale + 1e-9)
    return (0..<count).map { _ in
      switch stream.index(below: 4) {
      case 0: 0
      case 1: scale == 0 ? 0 : shared
      default: stream.uniform() * scale
      }
    }
  }
}

func close(_ a: Double, _ b: Double, _ tolerance: Double = 1e-12) -> Bool {
  abs(a - b) <= tolerance * max(abs(a), abs(b))
}
