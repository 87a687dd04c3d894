import Foundation
import Simulation
import Support
import Testing

@testable import Plan
@testable import Runs
@testable import TestSupport

/// A small run of a learner of model 1 on a made-up road, and evaluations of its policy.
private struct TrainedRun {
  let place: Workplace
  let id: String
  var folder: String { "\(place.results)/test/runs/\(id)" }

  /// Six vehicles that stand along a road and two that drive.
  static func trace(steps: Int) -> String {
    var text = "<fcd-export>\n"
    for step in 0..<steps {
      text += "<timestep time=\"\(step).00\">\n"
      for vehicle in 0..<6 {
        text += "<vehicle id=\"s\(vehicle)\" x=\"\(20 * vehicle)\" y=\"\(vehicle)\" speed=\"0\"/>\n"
      }
      for vehicle in 0..<2 {
        text += "<vehicle id=\"d\(vehicle)\" x=\"\(step + 5 * vehicle)\" y=\"0\" speed=\"1\"/>\n"
      }
      text += "</timestep>\n"
    }
    return text + "</fcd-export>\n"
  }

  init(_ algorithm: String, shared: Bool = false, more: String = "") throws {
    place = try Workplace()
    try place.write("road.fcd.xml", TrainedRun.trace(steps: 60))
    let text = """
      experiment: test
      model: single-rsu
      trace: road.fcd.xml
      parameters: {algorithm: \(algorithm), clients: 3, serviceVehicles: 2, slots: 5, hidden: [8, 8],
        warmupEpisodes: 1, batchSize: 4, episodes: 3, evaluationEpisodes: 3, shared: \(shared)\(more)}

      """
    let plan = try Plan(
      Experiment(path: place.write("test.yaml", text)), results: place.results)
    id = try TrainedRun.execute(plan, in: place)
  }

  /// A run of the road model on the shipped road.
  init(road algorithm: String) throws {
    place = try Workplace()
    let entry = RegistryTests.Entry(model: "road-rsu", algorithm: algorithm)
    id = try TrainedRun.execute(RegistryTests.plan(entry, in: place), in: place)
    let traces = Shipped.traces
    try Files.writeAtomically(
      Files.read(traces + "/two-way-road.fcd.xml.gz"), to: place.path("road.fcd.xml"))
  }

  private static func execute(_ plan: Plan, in place: Workplace) throws -> String {
    let id = plan.runs[0].specification.id
    let result = "\(place.results)/test/runs/\(id)/result"
    try Files.makeFolder(result)
    _ = try executeRun(
      plan.runs[0], sources: RunSources(experimentFolder: place.results + "/test"),
      context: MemoryContext(folder: result))
    let manifest = try Manifest(specification: plan.runs[0].specification.document, folder: result)
    try Files.writeAtomically(manifest.text(), to: "\(result)/\(Manifest.fileName)")
    return id
  }

  func evaluate(
    _ settings: [String] = [], trace: String = "road.fcd.xml", to output: String = "out"
  ) throws {
    try evaluatePolicy(
      runFolder: folder, tracePath: place.path(trace),
      settings: settings.map { try PointFilter($0, option: "--parameters") }, episodes: nil,
      isRecording: true, output: place.path(output))
  }

  /// The error of an evaluation that leaves nothing behind.
  func error(_ settings: [String] = [], trace: String = "road.fcd.xml") throws -> InputError {
    let error = #expect(throws: InputError.self) {
      try evaluate(settings, trace: trace, to: "wrong")
    }
    #expect(!Files.exists(place.path("wrong")) && !Files.exists(place.path("wrong.partial")))
    return try #require(error)
  }

  func record(_ output: String = "out") throws -> JSONValue {
    try JSONValue(path: place.path(output + "/run.json"))
  }

  func rows(_ file: String) throws -> [[String]] {
    try CSVTable(path: file.hasPrefix("/") ? file : place.path(file)).rows
  }
}

@Suite struct PolicyEvaluationTests {
  static let learners = ["p-qmix", "mad2rl"]
  /// Two fully connected layers: a shape that no shipped DNN has.
  static let table = "name,kind,in_features,out_features\nfirst,fc,8,4\nsecond,fc,4,2\n"

  @Test(arguments: learners) func sameTraceAndParametersGiveTheRunsRows(_ algorithm: String) throws
  {
    let run = try TrainedRun(algorithm, shared: true)
    try run.evaluate()
    let trained = try run.rows(run.folder + "/result/episodes.csv")
    #expect(try run.rows("out/episodes.csv") == Array(trained.suffix(3)))
    #expect(
      try run.rows("out/backlogs.csv")
        == run.rows(run.folder + "/result/backlogs.csv").filter { $0[1] == "eval" })
  }

  @Test func recordsWhereItComesFromAndWhichPolicy() throws {
    let run = try TrainedRun("p-qmix")
    try run.evaluate(to: "out/")
    let record = try run.record()
    #expect(record["policy"]?["run"]?.textValue == run.id)
    let policy = try Files.read(run.folder + "/result/policy.bin")
    #expect(record["policy"]?["sha256"]?.textValue == SHA256Digest.hex(of: policy))
    let id = try #require(record["id"]?.textValue)
    let manifest = try Manifest(folder: run.place.path("out"), run: id)
    try manifest.verify(folder: run.place.path("out"))
    #expect(
      try manifest.files.map(\.name)
        == Files.list(run.place.path("out")).filter { $0 != Manifest.fileName })
    let provenance = try JSONValue(path: run.place.path("out/provenance.json"))
    #expect(provenance["instructionSet"]?.textValue == Provenance.instructionSet)
    for key in ["program", "host", "cpu", "start", "end", "seconds", "commandLine"] {
      #expect(provenance[key] != nil, "\(key)")
    }
  }

  // MARK: DNN tables

  @Test func namesOfTablesAreNeverGuessed() throws {
    let run = try TrainedRun("p-qmix")
    let unknown = try run.error(["dnnTypes=alexnet,resnet18,nonsense"])
    #expect(unknown.key == "dnnTypes" && unknown.value == "nonsense")
    let absent = try run.error(["dnnTypes=alexnet,resnet18,\(run.place.path("absent.csv"))"])
    #expect(absent.key == "dnnTypes" && absent.problem == "no such DNN table")
    let garbage = try run.place.write("garbage.csv", "no table\n")
    #expect(try run.error(["dnnTypes=alexnet,resnet18,\(garbage)"]).file == garbage)
    let other = try run.place.write("other.csv", PolicyEvaluationTests.table)
    for name in ["nin", other] {
      let shape = try run.error(["dnnTypes=alexnet,resnet18,\(name)"])
      #expect(shape.file?.hasSuffix("/policy.bin") == true)
      #expect(shape.problem.hasPrefix("the policy is of another shape"), "\(shape)")
    }
    #expect(try run.error(["dnnTypes=vgg16"]).problem.contains("[66, 66, 66] actions"))
  }

  @Test func recordsTheTablesThatWereUsed() throws {
    let run = try TrainedRun("p-qmix")
    let shipped = try DNNProfile.locate("vgg16", relativeTo: Shipped.experiments)
    // Half the channels at the end: other numbers, the same shape.
    let changed = try Files.readText(shipped).replacingOccurrences(
      of: "4096,1000", with: "4096,500")
    let own = try run.place.write("own.csv", changed)
    try run.evaluate()
    try run.evaluate(["dnnTypes=alexnet,resnet18,\(own)"], to: "own")
    let usual = try #require(try run.record()["run"]?["profiles"]?.objectValue)
    #expect(usual.keys.sorted() == ["alexnet", "resnet18", "vgg16"])
    let profiles = try #require(try run.record("own")["run"]?["profiles"]?.objectValue)
    #expect(profiles.keys.sorted() == [own, "alexnet", "resnet18"])
    #expect(profiles[own] == .text(try DNNProfile(path: own).digest))
    #expect(profiles[own] != usual["vgg16"] && profiles["alexnet"] == usual["alexnet"])
    #expect(try run.rows("own/episodes.csv") != run.rows("out/episodes.csv"))
  }

  @Test func tablesOfTrainingAreFoundBesideDamagedOnesAndMissedElsewhere() throws {
    let place = try Workplace()
    let mine = try place.write("mine.csv", PolicyEvaluationTests.table)
    let run = try TrainedRun("p-qmix", more: ", dnnTypes: [\(mine)]")
    try run.place.write("Results/test/dnn/0.csv", "garbage\n")
    try place.write("mine.csv", PolicyEvaluationTests.table.replacing("8,4", with: "16,4"))
    try run.evaluate(to: "first")
    let digest = try run.record("first")["run"]?["profiles"]?[mine]
    #expect(try digest != .text(DNNProfile(path: mine).digest))
    // The user who names the file means what is in it now, which the run does not know by this name.
    #expect(
      try run.error(["dnnTypes=\(mine)"]).problem
        == "is not the table that the policy was trained with under this name")
    try Files.remove(run.place.path("Results/test/dnn"))
    #expect(
      try run.error(["V=1"]).problem == "the table that the policy was trained with is not here")
  }

  // MARK: Damage

  @Test(arguments: ["policy.bin", "run.json", "manifest.json"])
  func aDamagedRunIsNotUsed(_ name: String) throws {
    let run = try TrainedRun("p-qmix")
    let path = "\(run.folder)/result/\(name)"
    let whole = try Files.read(path)
    var flipped = whole
    flipped[whole.count / 2] ^= 1
    for damaged in [whole + [0], Array(whole.dropLast(3)), flipped] {
      try Files.writeAtomically(damaged, to: path)
      #expect(try run.error().file == path)
    }
    try Files.remove(path)
    let missing = try run.error()
    #expect("\(missing)".contains(name), "\(missing)")
    try Files.writeAtomically(whole, to: path)
    try run.evaluate()
  }

  @Test func aResultInTheFolderOfAnotherRunIsNotUsed() throws {
    let run = try TrainedRun("p-qmix")
    let other = "\(run.place.results)/test/runs/" + String(repeating: "a", count: 64)
    try Files.makeFolder(other)
    try Files.moveFolder(run.folder + "/result", to: other + "/result")
    let error = #expect(throws: InputError.self) {
      try evaluatePolicy(
        runFolder: other, tracePath: run.place.path("road.fcd.xml"), settings: [], episodes: nil,
        isRecording: false, output: run.place.path("out"))
    }
    #expect(error?.problem == "belongs to another run")
  }

  // MARK: Traces

  @Test func needsWindowsForEvaluationOnly() throws {
    let run = try TrainedRun("p-qmix")
    try run.place.write("short.fcd.xml", TrainedRun.trace(steps: 8))
    // Too short for a training window beside an evaluation window.
    try run.evaluate(["trainShare=0.02"], trace: "short.fcd.xml")
    try run.evaluate(["trainShare=0"], trace: "short.fcd.xml", to: "whole")
    let windows = try run.record("whole")["constants"]
    #expect(windows?["train_windows"]?["count"] == .integer(0))
    #expect(windows?["eval_windows"]?["count"] == .integer(4))
    #expect(try run.record()["constants"]?["eval_windows"]?["count"] == .integer(3))
  }

  @Test func errorsNameTheTraceThatWasGiven() throws {
    let run = try TrainedRun("p-qmix")
    try run.place.write("short.fcd.xml", TrainedRun.trace(steps: 8))
    let error = try run.error(trace: "short.fcd.xml")
    #expect(error.file == run.place.path("short.fcd.xml"))
    #expect(error.problem.contains("evaluation part"))
    #expect(
      try run.error(["clients=3", "serviceVehicles=7"]).file == run.place.path("road.fcd.xml"))
  }

  // MARK: Parameters

  @Test func whatBelongsToThePolicyMayNotChange() throws {
    let run = try TrainedRun("mad2rl")
    for setting in [
      "prediction=epsilon", "printed=true", "denoisingSteps=5", "hidden=8,8", "shared=true",
      "learningRate=0.1", "episodes=5", "evaluationEvery=2", "observationBacklogScale=60",
      "observationPositionScale=100",
    ] {
      let error = try run.error([setting])
      #expect(error.key == "--parameters", "\(setting)")
      #expect(error.value?.hasPrefix(setting.prefix { $0 != "=" }) == true, "\(error)")
      #expect(error.problem.hasPrefix("belongs to the policy"), "\(error)")
      #expect(error.advice?.contains("Only the scenario may change") == true)
    }
    #expect(try run.error(["V=1", "V=2"]).problem == "is given twice")
    try run.evaluate(["V=100", "coverage=400", "seed=2"])
    let parameters = try run.record()["run"]?["parameters"]
    #expect(parameters?["V"]?.numberValue == 100 && parameters?["seed"] == .integer(2))
    // Positions are seen on the scale of training.
    #expect(parameters?["observationPositionScale"]?.numberValue == 500)
  }

  @Test(arguments: learners) func sharedNetworksServeAnyNumberOfClients(_ algorithm: String) throws
  {
    let run = try TrainedRun(algorithm, shared: true)
    for clients in [1, 2, 4, 5] {
      try run.evaluate(["clients=\(clients)"], to: "out\(clients)")
      let slots = try CSVTable(path: run.place.path("out\(clients)/slots.csv"))
      #expect(slots.rows.count == 3 * 5 * clients)
    }
    // Types keep their networks in any order and selection of clients.
    try run.evaluate(["dnnTypes=vgg16,alexnet"], to: "types")
    #expect(try run.error(["dnnTypes=nin"]).value == "nin")
    #expect(
      try run.error(["clients=2", "serviceVehicles=1"]).problem
        .hasPrefix("the policy is of another shape"))
    let own = try TrainedRun(algorithm)
    let error = try own.error(["clients=2"])
    #expect(error.problem.hasPrefix("the policy is of another shape"))
    #expect(error.advice?.contains("shared: true") == true)
  }

  @Test func roadPoliciesKnowDNNsByTheirPlace() throws {
    let run = try TrainedRun(road: "rtd")
    try run.evaluate(["vehicles=6", "trainShare=0"])
    let swapped = try run.error(["dnnTypes=alexnet,tinyyolov2,vgg16,nin"])
    #expect(swapped.problem.hasPrefix("belongs to the policy"), "\(swapped)")
    try run.evaluate(["dnnTypes=tinyyolov2,resnet18,vgg16,nin"], to: "other")
  }
}
