import Simulation
import Support
import Testing
import Trace

/// Scenarios from a trace: a road along x, a vehicle every 5 s at 10 m/s from -1000 m on, 400 s.
@Suite struct SingleRSUTraceTests {
  /// Place of vehicle n at a time; nil before it comes and after it has gone.
  private func place(_ vehicle: Int, _ time: Double) -> Double? {
    let x = -1000 + 10 * (time - 5 * Double(vehicle) + 150)
    return (-1000...1000).contains(x) ? x : nil
  }

  private func sources(
    duration: Int = 400, seed: UInt64 = 1, period: Int = 1
  ) throws -> ScenarioSources {
    let folder = "/tmp/veclab-single-\(UInt64.random(in: 0 ... .max))"
    try Files.makeFolder(folder)
    defer { try? Files.remove(folder) }
    let writer = try TraceWriter(path: folder + "/road.trace")
    defer { writer.cancel() }
    for second in stride(from: 0, through: duration, by: period) {
      try writer.beginStep(time: Double(second))
      for vehicle in 0..<120 {
        guard let x = place(vehicle, Double(second)) else { continue }
        writer.add(
          TraceRow(
            vehicle: writer.names.index(of: "v\(vehicle)"), x: x, y: 0, speed: 10, position: x))
      }
    }
    try writer.finish()
    return ScenarioSources(
      trace: try TraceFile(path: folder + "/road.trace"), profiles: try SingleRSUFixture.profiles(),
      seed: seed)
  }

  private let atOrigin: [String: ParameterValue] = ["rsu": .list([.number(0), .number(5)])]

  private func number(of name: String) throws -> Int { try #require(Int(name.dropFirst())) }

  @Test func everyRoleStaysInRangeAndInItsPartOfTheTrace() throws {
    for seed in 0..<4 as Range<UInt64> {
      var environment = try SingleRSUEnvironment(
        parameters: SingleRSUFixture.parameters(atOrigin), sources: sources(seed: seed))
      for (phase, begin, end) in [(Phase.train, 0.0, 280.0), (.eval, 280, 400)] {
        for episode in 1...15 {
          environment.beginEpisode(episode, phase: phase)
          #expect(environment.windowStart >= begin, "seed \(seed)")
          #expect(environment.windowStart + 29 <= end, "seed \(seed)")
          if phase == .train { #expect(environment.windowStart + 30 <= end, "seed \(seed)") }
          let nothing = SlotDecision(cuts: [0, 0, 0, 0, 0], nodes: [0, 0, 0, 0, 0])
          while !environment.isEpisodeOver, let situation = environment.situation {
            for client in 0..<5 {
              let vehicle = try number(of: situation.vehicleName(client: client))
              let found = situation.clientPosition(client)
              #expect(place(vehicle, situation.time) == found.x && found.y == 0)
              #expect(abs(found.x) <= 500)
              #expect(abs(situation.along(found) - found.x) < 1e-9)
            }
            for node in 1...5 {
              let vehicle = try number(of: situation.vehicleName(node: node))
              #expect(place(vehicle, situation.time) == situation.nodePosition(node).x)
            }
            _ = try environment.apply(nothing)
          }
        }
      }
    }
  }

  @Test func tracesSampledEveryFiveSecondsServeBothModels() throws {
    let road: [String: ParameterValue] = [
      "rsuPositions": .list([.list([.number(0), .number(5)])]), "vehicles": .integer(5),
      "dnnTypes": .list([.text("alexnet")]),
    ]
    for (length, gap) in [(5.0, 5.0), (5, 2), (1, 5)] {
      let settings: [String: ParameterValue] = [
        "slotLength": .number(length), "interpolationGap": .number(gap), "slots": .integer(6),
      ]
      let one = try SingleRSUEnvironment(
        parameters: SingleRSUFixture.parameters(settings), sources: sources(period: 5))
      #expect(one.scenario.axis.directionX == 1)
      let values = try ParameterValues(
        schema: RoadRSUEnvironment.parameters,
        setting: settings.merging(road, uniquingKeysWith: { $1 }))
      let several = try RoadRSUEnvironment(parameters: values, sources: sources(period: 5))
      #expect(several.axis.directionX == 1)
    }
    do {
      _ = try SingleRSUEnvironment(
        parameters: SingleRSUFixture.parameters(atOrigin), sources: sources(period: 5))
      Issue.record("5 s without interpolation over 5 s were accepted")
    } catch let error as InputError {
      #expect("\(error)".contains("sampled every 5 s"), "\(error)")
      #expect(error.advice?.contains("interpolationGap") == true)
    }
  }

  @Test func automaticPlacementServesTheScenario() throws {
    var environment = try SingleRSUEnvironment(
      parameters: SingleRSUFixture.parameters(), sources: sources())
    environment.beginEpisode(1, phase: .eval)
    #expect(abs(abs(environment.scenario.rsuY) - 10) < 1e-9)
    #expect(abs(environment.scenario.rsuX) < 600)
    #expect(environment.situation != nil)
  }

  @Test func tooManyVehiclesAreAnErrorThatSaysHowManyThereAre() throws {
    var given = atOrigin
    given["clients"] = .integer(40)
    let found = #expect(throws: InputError.self) {
      _ = try SingleRSUEnvironment(
        parameters: SingleRSUFixture.parameters(given), sources: sources())
    }
    // Places are multiples of 10 m, within 490 m of an RSU that is 5 m off the road. A vehicle moves 290 m in
    // 30 slots, so it starts at -490...200: with 50 m between vehicles, 14 of them.
    #expect(found?.problem.contains("has 45 vehicles") == true, "\(String(describing: found))")
    #expect(found?.problem.contains("has 14") == true, "\(String(describing: found))")
    #expect(found?.advice?.contains("larger coverage") == true)
  }

  @Test func aTraceThatIsTooShortIsAnError() throws {
    let found = #expect(throws: InputError.self) {
      _ = try SingleRSUEnvironment(
        parameters: SingleRSUFixture.parameters(atOrigin), sources: sources(duration: 60))
    }
    #expect(found?.problem.contains("evaluation part") == true, "\(String(describing: found))")
  }

  @Test func constantsListWhatWasDrawn() throws {
    var environment = try SingleRSUEnvironment(
      parameters: SingleRSUFixture.parameters(atOrigin), sources: sources())
    let constants = environment.constants
    #expect(constants["client_capacity_gflops"]?.listValue?.count == 5)
    #expect(constants["rsu_m"]?.listValue == [.number(0), .number(5)])
    #expect(
      constants["dnn_types"]?.listValue
        == ["alexnet", "resnet18", "vgg16", "alexnet", "resnet18"].map { .text($0) })
    // Starts 0...250 and 280...371.
    #expect(
      constants["train_windows"]
        == .object([
          "count": .integer(251),
          "starts_s": .list([.object(["first": .number(0), "last": .number(250)])]),
        ]))
    #expect(constants["eval_windows"]?["count"] == .integer(92))
    let roles = try #require(constants["eval_roles"]?.listValue)
    for episode in [1, 2, 57] {
      environment.beginEpisode(episode, phase: .eval)
      let situation = try #require(environment.situation)
      let entry = roles[episode - 1]
      #expect(entry["episode"] == .integer(episode))
      #expect(entry["window_start_s"] == .number(environment.windowStart))
      #expect(
        entry["clients"]?.listValue
          == (0..<5).map { .text(situation.vehicleName(client: $0)) })
      #expect(
        entry["service_vehicles"]?.listValue
          == (1...5).map { .text(situation.vehicleName(node: $0)) })
    }
  }
}
