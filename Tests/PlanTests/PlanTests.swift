import Foundation
import Support
import Testing

@testable import Plan
@testable import TestSupport

@Suite struct GridTests {
  static func points(_ grid: String, parameters: String = "") throws -> [String] {
    let text = ExperimentFileTests.head + parameters + "grid: " + grid + "\n"
    return try Experiment(text: text, file: "x.yaml", models: ToyModel.models).points.map { point in
      point.settings.map { "\($0.key)=\($0.value.text)" }.joined(separator: " ")
    }
  }

  @Test func productVariesTheLastFastest() throws {
    #expect(
      try GridTests.points("{product: {algorithm: [zero, constant], clients: [3, 4]}, seeds: 2}")
        == [
          "algorithm=zero clients=3 seed=1", "algorithm=zero clients=3 seed=2",
          "algorithm=zero clients=4 seed=1", "algorithm=zero clients=4 seed=2",
          "algorithm=constant clients=3 seed=1", "algorithm=constant clients=3 seed=2",
          "algorithm=constant clients=4 seed=1", "algorithm=constant clients=4 seed=2",
        ])
  }

  @Test func zipGoesInStepAndVariantsSetSeveral() throws {
    #expect(
      try GridTests.points(
        "{product: {algorithm: [zero]}, zip: [{clients: [3, 4], V: [1, 2]}]}")
        == ["algorithm=zero clients=3 V=1", "algorithm=zero clients=4 V=2"])
    #expect(
      try GridTests.points(
        "{product: {algorithm: [learner]}, variants: {plain: {}, slow: {rate: 0.1}}}")
        == ["algorithm=learner variant=plain", "algorithm=learner variant=slow rate=0.1"])
  }

  @Test func whenRefinesMatchingPointsOnly() throws {
    #expect(
      try GridTests.points(
        """
        {product: {algorithm: [zero, learner], clients: [3, 4]},
         when: [{if: {algorithm: learner, clients: [4, 5]}, product: {rate: [0.1, 0.2]}},
                {if: {rate: 0.2}, parameters: {V: 5}}]}
        """)
        == [
          "algorithm=zero clients=3", "algorithm=zero clients=4", "algorithm=learner clients=3",
          "algorithm=learner clients=4 rate=0.1", "algorithm=learner clients=4 rate=0.2 V=5",
        ])
  }

  @Test func conditionsSeeParametersAndDefaults() throws {
    // V is 10 by default, clients is fixed, rate has no meaning for zero.
    #expect(
      try GridTests.points(
        "{product: {algorithm: [zero, learner]}, exclude: [{V: 10.0, clients: 4, rate: 0.5}]}",
        parameters: "parameters: {clients: 4}\n") == ["algorithm=zero"])
  }

  @Test func excludeTakesExactlyTheMatchingPoints() throws {
    var stream = RandomStream(seed: 7, .test)
    for round in 0..<30 {
      let clients = stream.sample(4, of: 10).map { $0 + 1 }
      let weights = stream.sample(3, of: 50)
      let excluded = clients[stream.index(below: 4)]
      let weight = weights[stream.index(below: 3)]
      let all = try GridTests.points(
        "{product: {algorithm: [zero, learner], clients: \(clients), V: \(weights)}}")
      let rest = try GridTests.points(
        "{product: {algorithm: [zero, learner], clients: \(clients), V: \(weights)}, "
          + "exclude: [{clients: \(excluded), V: \(weight), algorithm: zero}]}")
      #expect(all.count == 24, "round \(round)")
      #expect(Set(all).count == all.count, "round \(round)")
      #expect(
        rest == all.filter { $0 != "algorithm=zero clients=\(excluded) V=\(weight)" },
        "round \(round)")
    }
  }

  @Test func profilesReplaceKeyByKey() throws {
    let text =
      ExperimentFileTests.head + """
        parameters: {V: 5, slots: 7}
        grid: {product: {algorithm: [zero, constant], clients: [3, 4]}, seeds: 5}
        profiles:
          paper: {}
          quick: {parameters: {V: 6}, grid: {product: {clients: [2]}, seeds: 1}}
          one: {grid: {product: {seed: [9]}}}
        """
    let paper = try Experiment(text: text, file: "x.yaml", models: ToyModel.models)
    #expect(paper.profile == "paper" && paper.points.count == 20)
    let quick = try Experiment(
      text: text, file: "x.yaml", profile: "quick", models: ToyModel.models)
    #expect(quick.points.count == 2)
    #expect(quick.parameters.map { $0.value } == [.number(6), .integer(7)])
    let one = try Experiment(text: text, file: "x.yaml", profile: "one", models: ToyModel.models)
    #expect(one.points.count == 4)
    #expect(one.points.allSatisfy { $0["seed"]?.value == .integer(9) })
  }
}

@Suite struct PlanTests {
  static let sweep = """
    parameters: {slots: 3}
    grid:
      product: {algorithm: [zero, learner], rate: [0.1, 0.2, 0.3], clients: [3, 4]}
      seeds: 2
    """

  @Test func pointsThatDifferInNothingShareARun() throws {
    let plan = try Workplace().plan(PlanTests.sweep)
    #expect(plan.points.count == 24)
    // zero knows no rate: 2 clients x 2 seeds; the learner 3 x 2 x 2.
    #expect(plan.runs.count == 4 + 12)
    #expect(Set(plan.runs.map(\.specification.id)).count == 16)
    for point in plan.points {
      let document = plan.runs[point.run].specification.document
      #expect(document["algorithm"]?.textValue == point.values["algorithm"]?.text)
      #expect(document["parameters"]?["clients"] == point.values["clients"]?.json)
      #expect(document["parameters"]?["seed"] == point.values["seed"]?.json)
    }
    #expect(plan.runs[0].label == "algorithm=zero clients=3 seed=1")
    // Runs stand in the order of their first points.
    var last = -1
    for point in plan.points where point.run > last {
      #expect(point.run == last + 1)
      last = point.run
    }
  }

  @Test func documentHoldsEveryParameterAndNoPath() throws {
    let place = try Workplace()
    let plan = try place.plan("parameters: {algorithm: zero, V: 3}\n")
    let run = plan.runs[0]
    let digest = try #require(run.specification.document["trace"]?.textValue)
    #expect(
      run.specification.document.canonical
        == #"{"algorithm":"zero","algorithmVersion":1,"format":1,"model":"toy","modelVersion":1,"#
        + #""parameters":{"V":3,"clients":3,"dnnTypes":[],"evaluationEpisodes":20,"explodeIn":0,"#
        + #""seed":1,"slots":4},"profiles":{},"record":[],"trace":"\#(digest)"}"#)
    #expect(run.tracePath.hasPrefix("traces/") && digest.count == 64)
    #expect(Files.exists("\(place.results)/test/\(run.tracePath)"))
    let learner = try place.plan("parameters: {algorithm: learner}\n").runs[0].specification
    #expect(
      learner.document["parameters"]?["episodes"] == .integer(1000)
        && learner.document["parameters"]?["evaluationEvery"] == .integer(0))
  }

  @Test func aYoungerParameterAtItsDefaultLeavesIdentitiesAsTheyAre() throws {
    let place = try Workplace()
    let text = "parameters: {algorithm: zero, detour: "
    let (unset, default0, set) = (
      try place.plan("parameters: {algorithm: zero}\n").runs[0].specification,
      try place.plan(text + "0}\n").runs[0].specification,
      try place.plan(text + "2}\n").runs[0].specification
    )
    #expect(default0.id == unset.id && unset.document["parameters"]?["detour"] == nil)
    #expect(set.id != unset.id && set.document["parameters"]?["detour"] == .integer(2))
  }

  /// Fixed texts: they would differ if anything depended on the process, e.g. on the order of a Dictionary.
  @Test func identitiesAndPlansAreTheSameInEveryProcess() throws {
    let document = JSONValue.object([
      "b": .list([.number(10), .integer(10)]), "a": .text("é\n"), "c": .number(0.1),
    ])
    #expect(document.canonical == #"{"a":"é\n","b":[10,10],"c":0.1}"#)
    #expect(
      SHA256Digest.hex(of: document.canonical)
        == "6f502d7268c9059fdb42dd214d1162c758c51173ae2b35b5187444574e17fd8f")
    let plan = try Workplace().plan(PlanTests.sweep)
    #expect(
      plan.digest == "04a44eb2d7a48be99c720af8617609a0def84837368bb36d69722bbdfd24f8af")
  }

  @Test func identityDependsOnContentAlone() throws {
    let (here, there) = (try Workplace(), try Workplace())
    let text = "parameters: {algorithm: learner, seed: 4}\n"
    let id = try here.plan(text).runs[0].specification.id
    #expect(try there.plan(text).runs[0].specification.id == id)
    let often = try there.plan("parameters: {algorithm: learner, seed: 4, checkpointEvery: 3}\n")
    #expect(often.runs[0].specification.id == id && often.runs[0].checkpointEvery == 3)
    let spelled = try there.plan("parameters: {algorithm: learner, seed: 4, V: 10.0}\n")
    #expect(spelled.runs[0].specification.id == id)
    for change in ["V: 11", "seed: 5", "episodes: 3", "rate: 0.25"] {
      let base = change.hasPrefix("seed") ? "" : "seed: 4, "
      let other = try there.plan("parameters: {algorithm: learner, \(base)\(change)}\n")
      #expect(other.runs[0].specification.id != id, "\(change)")
    }
    #expect(try there.plan(text, record: ["slots"]).runs[0].specification.id != id)
    try there.write(
      "small.fcd.xml", Workplace.trace.replacingOccurrences(of: "x=\"50\"", with: "x=\"51\""))
    #expect(try there.plan(text).runs[0].specification.id != id)
  }

  @Test func ownTablesAreCopiedAndTheirContentCounts() throws {
    let place = try Workplace()
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path()
    let table = try Files.readText(root + "Experiments/dnn/nin-cifar.csv")
    try place.write("mine.csv", table)
    let text = "dnn: {mynet: mine.csv}\nparameters: {algorithm: zero, dnnTypes: [mynet]}\n"
    let plan = try place.plan(text)
    let copied = try #require(plan.runs[0].profilePaths["mynet"])
    #expect(try Files.readText("\(place.results)/test/\(copied)") == table)
    try place.write("mine.csv", table + "\n")
    #expect(try place.plan(text).runs[0].specification == plan.runs[0].specification)
    #expect(
      sentence {
        _ = try place.plan("dnn: {a: none.csv}\nparameters: {algorithm: zero, dnnTypes: [a]}")
      }
        == "\(place.path("test.yaml")):4:10: dnn.a: no such file (got '\(place.path("none.csv"))'). "
        + "Paths are relative to the folder of \(place.path("test.yaml")).")
  }

  @Test func tablesAndTracesThatAreNoneAreNamedWithTheirPlace() throws {
    let place = try Workplace()
    let file = place.path("test.yaml")
    func says(_ body: String, trace: String = "small.fcd.xml") -> String {
      sentence {
        _ = try Plan(place.experiment(body, trace: trace), results: place.results)
      }
    }
    // Also tables that no run uses.
    #expect(
      says("dnn: {a: none.csv}\nparameters: {algorithm: zero}\n")
        == "\(file):4:10: dnn.a: no such file (got '\(place.path("none.csv"))'). Paths are relative "
        + "to the folder of \(file).")
    #expect(
      says("dnn: {a: .}\nparameters: {algorithm: zero}\n").hasPrefix(
        "\(file):4:10: dnn.a: is no table of a DNN: "))
    let bad = try place.write("bad.csv", "a,b\n")
    #expect(
      says("dnn: {a: bad.csv}\nparameters: {algorithm: zero}\n").hasPrefix(
        "\(file):4:10: dnn.a: is no table of a DNN: \(bad):1: a: is not a known column"))
    #expect(
      says("parameters: {algorithm: zero, dnnTypes: [alexnt]}\n")
        == "\(file):4:41: parameters.dnnTypes: is not a known DNN (got 'alexnt'). Did you mean "
        + "'alexnet'?")
    #expect(
      says("grid: {product: {algorithm: [zero], dnnTypes: [[alexnet], [no/t.csv]]}}\n")
        == "\(file):4:59: grid.product.dnnTypes[2]: no such DNN table (got 'no/t.csv'). A path is "
        + "taken from the experiment file's folder (\(place.folder)).")
    #expect(
      says("parameters: {algorithm: zero, dnnTypes: [./bad.csv]}\n").hasPrefix(
        "\(file):4:41: parameters.dnnTypes: is no table of a DNN: "))
    #expect(
      says("parameters: {algorithm: zero}\n", trace: ".").hasPrefix(
        "\(file):3:8: trace: cannot be imported: "))
    #expect(
      says("parameters: {algorithm: zero}\n", trace: "bad.csv").hasPrefix(
        "\(file):3:8: trace: cannot be imported: \(bad): is a table (CSV)"))
    try place.write("cut.xml", String(Workplace.trace.prefix(500)))
    #expect(
      says("parameters: {algorithm: zero}\n", trace: "cut.xml").hasPrefix(
        "\(file):3:8: trace: cannot be imported: \(place.path("cut.xml")):"))
  }

  @Test func whatRunsWouldRefuseIsFoundBeforeTheyAreRun() throws {
    let place = try Workplace()
    let file = place.path("test.yaml")
    try place.write("small.fcd.xml", Workplace.trace)
    func says(_ body: String) throws -> String {
      try place.write(
        "test.yaml", "experiment: test\nmodel: single-rsu\ntrace: small.fcd.xml\n" + body)
      return sentence {
        let experiment = try Experiment(path: file)
        try Plan(experiment, results: place.results).tryOut(experiment, results: place.results)
      }
    }
    let scene = "slots: 2, serviceVehicles: 1"
    let grid = "grid: {product: {algorithm: [greedy, genetic, exact]}, seeds: 2}\n"
    #expect(try says("parameters: {\(scene), clients: 1}\n\(grid)") == "no error")
    #expect(
      try says("parameters: {\(scene), clients: 1, clientCapacity: [6, 4]}\n\(grid)")
        == "\(file):4:72: parameters.clientCapacity: the lowest value is above the highest, in "
        + "the run 'algorithm=greedy seed=1' (got '[6, 4]'). Give [lowest, highest].")
    #expect(
      try says("parameters: {\(scene), clients: 1, windowVehicles: 1}\n\(grid)").hasPrefix(
        "\(file):4:72: parameters.windowVehicles: is less than clients + serviceVehicles, 2, in the "
          + "run 'algorithm=greedy seed=1' (got '1')."))
    #expect(
      try says("parameters: {\(scene), clients: 1, population: 9, elites: 9}\n\(grid)")
        == "\(file):4:79: parameters.elites: must be less than the population, 9, in the run "
        + "'algorithm=genetic seed=1' (got '9').")
    #expect(
      try says("parameters: {\(scene)}\ngrid: {product: {algorithm: [greedy], clients: [1, 7]}}\n")
        .hasPrefix("\(file):5:52: grid.product.clients[2]: "))
    #expect(
      try says("parameters: {algorithm: greedy, clients: 1, slots: 500}\n").hasPrefix(
        "\(file):4:52: parameters.slots: "))
  }

  @Test func severalTracesAreADimension() throws {
    let place = try Workplace()
    try place.write("big.fcd.xml", Workplace.trace.replacingOccurrences(of: "\"5\"", with: "\"6\""))
    let experiment = try place.experiment(
      "parameters: {algorithm: zero}\n", trace: "[small.fcd.xml, big.fcd.xml]")
    let plan = try Plan(experiment, results: place.results)
    #expect(plan.dimensions == ["trace"])
    #expect(plan.points.map { $0.values["trace"] } == [.text("small"), .text("big")])
    #expect(Set(plan.runs.map { $0.specification.document["trace"]?.textValue }).count == 2)
    #expect(
      sentence {
        _ = try Plan(
          place.experiment("parameters: {algorithm: zero}\n", trace: "[a.xml, small.fcd.xml]"),
          results: place.results)
      }
        == "\(place.path("test.yaml")):3:9: trace[1]: no such file (got '\(place.path("a.xml"))'). "
        + "Paths are relative to the folder of \(place.path("test.yaml")).")
  }

  @Test func onlySelectsPoints() throws {
    let place = try Workplace()
    #expect(try place.plan(PlanTests.sweep, only: ["clients=4", "seed=1,2"]).points.count == 12)
    #expect(try place.plan(PlanTests.sweep, only: ["algorithm=zero", "seed=2"]).runs.count == 2)
    let file = place.path("test.yaml")
    #expect(
      sentence { _ = try place.plan(PlanTests.sweep, only: ["clints=4"]) }
        == "--only: is not varied by \(file) (got 'clints'). Did you mean 'clients'?")
    #expect(
      sentence { _ = try place.plan(PlanTests.sweep, only: ["clients=7"]) }
        == "--only: is not a value of clients in \(file) (got '7'). It takes 3, 4.")
    #expect(
      sentence { _ = try place.plan(PlanTests.sweep, only: ["clients"]) }
        == "--only: must be key=value (got 'clients'). For example --only seed=3.")
  }

  @Test func planSurvivesItsFile() throws {
    let place = try Workplace()
    let plan = try place.plan(PlanTests.sweep + "\nlimits: {time: 90s}\nrecord: slots\n")
    let path = try plan.save(inExperimentFolder: place.results + "/test")
    #expect(path == "\(place.results)/test/plans/\(plan.digest).json")
    #expect(try Plan(path: path).json.canonical == plan.json.canonical)
    #expect(plan.limits.time == 90 && plan.record == ["slots"])
    let text = try Files.readText(path)
    try place.write(
      "edited.json", text.replacingOccurrences(of: "\"rate\":0.2", with: "\"rate\":0.9"))
    #expect(
      sentence { _ = try Plan(path: place.path("edited.json")) }.contains(
        "is not a plan of this program: the id of run"))
    try place.write("cut.json", String(text.prefix(500)))
    #expect(sentence { _ = try Plan(path: place.path("cut.json")) }.contains("is not valid JSON"))
  }

  @Test func filtersTakeValuesAndListsInBrackets() throws {
    #expect(try PointFilter("seed=1,2").values == [.integer(1), .integer(2)])
    #expect(
      try PointFilter("rsu=auto,[94, 881.3]").values
        == [.text("auto"), .list([.integer(94), .number(881.3)])])
    #expect(throws: InputError.self) { try PointFilter("seed=") }
    #expect(throws: InputError.self) { try PointFilter("=1") }
  }
}
