import Simulation
import Support

enum SingleRSUFixture {
  static let experiments = #filePath.replacing(
    "Tests/AlgorithmsTests/SingleRSUTestSupport.swift", with: "Experiments")

  /// The shipped profiles that model 1 uses, and three small ones with 3, 4 and 5 layers.
  static func profiles() throws -> [String: DNNProfile] {
    var profiles: [String: DNNProfile] = [:]
    for name in ["alexnet", "resnet18", "vgg16"] {
      profiles[name] = try DNNProfile.load(name, relativeTo: experiments)
    }
    let features = [
      "short": [60_000, 20_000, 90_000, 3_000], "middle": [90_000, 15_000, 60_000, 5_000, 80_000],
      "long": [40_000, 70_000, 30_000, 90_000, 10_000, 100_000],
    ]
    for (name, sizes) in features {
      let rows = sizes.indices.dropLast().map { "layer\($0),fc,\(sizes[$0]),\(sizes[$0 + 1])\n" }
      profiles[name] = try DNNProfile(
        name: name,
        table: CSVTable(
          text: "name,kind,in_features,out_features\n" + rows.joined(), file: "\(name).csv"))
    }
    return profiles
  }

  static func environment(
    _ given: [String: ParameterValue] = [:], seed: UInt64 = 1
  ) throws -> SingleRSUEnvironment {
    try .synthetic(
      parameters: ParameterValues(schema: SingleRSUEnvironment.parameters, setting: given),
      profiles: profiles(), seed: seed)
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
