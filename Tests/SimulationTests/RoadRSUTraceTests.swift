import Foundation
import Simulation
import Support
import Testing
import Trace

/// The road model on a trace file.
@Suite struct RoadRSUTraceTests {
  /// 100 s of three vehicles along x at 10 m/s, the third one only for the first 40 s.
  private func withTrace(_ body: (TraceFile) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.path + "/road-rsu-\(UUID().uuidString)"
    try Files.makeFolder(folder)
    defer { try? Files.remove(folder) }
    let writer = try TraceWriter(path: folder + "/road.trace")
    let vehicles = ["first", "second", "third"].map { name in
      Array(name.utf8).withUnsafeBytes { writer.names.index(of: $0) }
    }
    for second in 0...100 {
      try writer.beginStep(time: 500 + Double(second))
      for vehicle in vehicles where vehicle < 2 || second <= 40 {
        writer.add(
          TraceRow(
            vehicle: vehicle, x: 10 * Double(second) + 30 * Double(vehicle), y: -5, speed: 10))
      }
    }
    try writer.finish()
    try body(TraceFile(path: folder + "/road.trace"))
  }

  private func environment(
    _ trace: TraceFile, _ given: [String: ParameterValue], seed: UInt64 = 1
  ) throws -> RoadRSUEnvironment {
    let given: [String: ParameterValue] = [
      "slots": .integer(200), "releaseRate": .number(1), "dnnTypes": .list([.text("fc")]),
    ].merging(given) { $1 }
    let table = try CSVTable(
      text: "name,kind,in_features,out_features\nfc,fc,1000,1000\n", file: "fc.csv")
    return try RoadRSUEnvironment(
      parameters: ParameterValues(schema: RoadRSUEnvironment.parameters, setting: given),
      sources: ScenarioSources(
        trace: trace, profiles: ["fc": DNNProfile(name: "fc", table: table)], seed: seed))
  }

  @Test func episodesTakePositionsFromTheTrace() throws {
    try withTrace { trace in
      var environment = try environment(trace, ["vehicles": .integer(2)])
      for (phase, range) in [(Phase.train, 500.0...550), (.eval, 570...580.11)] {
        for episode in 1...20 {
          environment.beginEpisode(episode, phase: phase)
          // A training window of 20 s ends within the first 70 s, one for evaluation starts after them.
          #expect(range.contains(environment.windowStart), "\(phase) \(environment.windowStart)")
          var tasks = 0
          while let situation = environment.situation {
            let outcome = try environment.apply(environment.model.local(situation))
            let start = ["first": 0.0, "second": 30, "third": 60][outcome.vehicleName]
            let time = environment.windowStart + situation.release - 500
            #expect(abs(situation.x - (try #require(start) + 10 * time)) < 1e-6)
            #expect(situation.y == -5 && abs(situation.speed - 10) < 1e-9)
            tasks += 1
          }
          #expect((15...70).contains(tasks))
        }
      }
      // The road's extent is 0 to 1030 m: four RSUs every 500 m are centred on 515 m, south of the axis.
      #expect(environment.model.rsuX.map { $0.rounded() } == [-235, 265, 765, 1265])
      #expect(environment.model.rsuY.allSatisfy { abs($0 + 17) < 1e-6 })
    }
  }

  @Test func tooFewVehiclesIsAnErrorThatSaysHowManyThereAre() throws {
    try withTrace { trace in
      func failure(_ given: [String: ParameterValue]) -> InputError? {
        do {
          _ = try environment(trace, given)
          return nil
        } catch { return error as? InputError }
      }
      // Training has windows with three vehicles, evaluation only with two.
      let few = try #require(failure(["vehicles": .integer(3)]))
      #expect(few.key == "vehicles" && few.file == trace.path)
      #expect(few.description.contains("evaluation") && few.description.contains("has 2"))
      #expect(few.description.contains("Fewer vehicles"))
      let swept = try #require(
        failure(["vehicles": .integer(2), "windowVehicles": .integer(4)]))
      #expect(swept.key == "windowVehicles" && swept.description.contains("has 3"))
      let long = try #require(failure(["vehicles": .integer(1), "slots": .integer(600)]))
      #expect(long.key == "slots")
      #expect(failure(["vehicles": .integer(2), "windowVehicles": .integer(1)]) != nil)
      #expect(failure(["vehicles": .integer(2)]) == nil)
    }
  }

  @Test func aSmallerSampleIsPartOfALargerOne() throws {
    try withTrace { trace in
      var names: [Set<String>] = []
      for vehicles in 1...2 {
        var environment = try environment(
          trace, ["vehicles": .integer(vehicles), "windowVehicles": .integer(2)], seed: 3)
        environment.beginEpisode(1, phase: .eval)
        var seen: Set<String> = []
        while let situation = environment.situation {
          seen.insert(try environment.apply(environment.model.local(situation)).vehicleName)
        }
        names.append(seen)
      }
      #expect(names[0].count == 1 && names[1].count == 2 && names[0].isSubset(of: names[1]))
    }
  }
}
