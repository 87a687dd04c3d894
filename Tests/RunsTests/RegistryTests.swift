import Support
import Testing

@testable import Plan
@testable import Runs
@testable import TestSupport

/// What every algorithm of every model must do, however it is made; a new one is tested without an edit here.
@Suite struct RegistryTests {
  struct Entry: CustomTestStringConvertible, Sendable {
    let model: String
    let algorithm: String
    var testDescription: String { "\(model) \(algorithm)" }
  }

  static let entries = Models.all.flatMap { model in
    model.algorithms.map { Entry(model: model.name, algorithm: $0.name) }
  }

  /// Small parameters and a trace that suits the model; learners take gradient steps in the second episode.
  static func plan(
    _ entry: Entry, in place: Workplace, seed: Int = 1, episodes: Int = 3,
    evaluationEpisodes: Int = 2, releaseRate: Double = 0.5, more: String = ""
  ) throws -> Plan {
    let traces = Shipped.traces
    let (trace, small) =
      entry.model == "road-rsu"
      ? (
        "two-way-road",
        "vehicles: 4, slots: 60, releaseRate: \(releaseRate), hidden: [8, 8], warmupTasks: 4, batchSize: 8"
      )
      : (
        "motorway",
        "clients: 2, serviceVehicles: 2, slots: 6, warmupEpisodes: 1, hidden: [16, 16], "
          + "batchSize: 4, denoisingSteps: 2, warmupSlots: 8"
      )
    let text = """
      experiment: test
      model: \(entry.model)
      trace: \(traces)/\(trace).fcd.xml.gz
      parameters: {algorithm: \(entry.algorithm), \(small), seed: \(seed),
        episodes: \(episodes), evaluationEpisodes: \(evaluationEpisodes), checkpointEvery: 2\(more)}
      record: slots

      """
    return try Plan(Experiment(path: place.write("test.yaml", text)), results: place.results)
  }

  static func run(
    _ plan: Plan, _ place: Workplace, _ name: String, checkpoint: [UInt8]? = nil,
    stopAfter: Int = .max, instructionSet: String? = nil
  ) throws -> (end: RunEnd, context: MemoryContext) {
    let context = MemoryContext(folder: place.path(name), checkpoint: checkpoint)
    context.stopAfter = stopAfter
    try Files.makeFolder(context.folder)
    let end = try executeRun(
      plan.runs[0], sources: RunSources(experimentFolder: place.results + "/test"),
      context: context, instructionSet: instructionSet)
    return (end, context)
  }

  @Test func learnersThatCannotLearnAreRefused() throws {
    let place = try Workplace()
    let qmix = Entry(model: "single-rsu", algorithm: "p-qmix")
    let error = #expect(throws: InputError.self) {
      try RegistryTests.plan(qmix, in: place, episodes: 1)
    }
    #expect(error?.file?.hasSuffix("test.yaml") == true && error?.line == 4)
    #expect(error?.key?.hasSuffix("warmupEpisodes") == true && error?.value == "1")

    // How many tasks there will be is known at the end only.
    let rtd = try RegistryTests.plan(
      Entry(model: "road-rsu", algorithm: "rtd"), in: place, releaseRate: 0.001)
    let untrained = #expect(throws: InputError.self) {
      try RegistryTests.run(rtd, place, "untrained")
    }
    #expect(untrained?.problem.contains("gradient step") == true)
  }

  /// A record of what `printed: true` stands for, and of what the learner fixed by itself.
  @Test func recordSaysWhatWasComputed() throws {
    let place = try Workplace()
    let plan = try RegistryTests.plan(
      Entry(model: "single-rsu", algorithm: "mad2rl"), in: place, more: ", printed: true")
    let (_, context) = try RegistryTests.run(plan, place, "run")
    let record = try JSONValue(parsing: Files.read(context.folder + "/run.json"))
    #expect(record["run"]?["parameters"]?["prediction"] == .text("epsilon"))
    #expect(record["run"]?["parameters"]?["mixer"] == .text("printed"))
    #expect(record["learner"]?["adamBeta2"] == .number(0.999))
    let timing = try CSVTable(path: context.folder + "/timing.csv")
    let steps = try timing.numbers("mean_train_step_s")
    // One episode of warm-up, two of training, two of evaluation.
    #expect(steps.map(\.isNaN) == [true, false, false, true, true])
  }

  @Test(arguments: entries) func sameSeedSameBytesAlsoAfterAnInterruption(_ entry: Entry) throws {
    let place = try Workplace()
    let plan = try RegistryTests.plan(entry, in: place)
    let whole = try RegistryTests.run(plan, place, "whole")
    #expect(whole.end == .finished)
    let expected = try ExecutionTests.files(whole.context.folder)
    let episodes = try CSVTable(path: whole.context.folder + "/episodes.csv")
    #expect(try episodes.texts("phase").count { $0 == "eval" } == 2)
    if expected["policy.bin"] != nil {
      #expect(try episodes.numbers("loss").contains { !$0.isNaN }, "no gradient step was taken")
    }
    #expect(
      try ExecutionTests.files(RegistryTests.run(plan, place, "again").context.folder) == expected)
    for stop in 1..<episodes.rows.count {
      let first = try RegistryTests.run(plan, place, "first\(stop)", stopAfter: stop)
      #expect(first.end == .stopped)
      let second = try RegistryTests.run(
        plan, place, "second\(stop)", checkpoint: first.context.checkpoints.last)
      #expect(try ExecutionTests.files(second.context.folder) == expected, "stopped after \(stop)")
    }
    let other = try RegistryTests.plan(entry, in: place, seed: 2)
    let differs = try ExecutionTests.files(
      RegistryTests.run(other, place, "other").context.folder)
    #expect(differs["episodes.csv"] != expected["episodes.csv"])
  }

  @Test(arguments: entries) func scenarioIsTheSameForEveryAlgorithm(_ entry: Entry) throws {
    let place = try Workplace()
    let first = Entry(
      model: entry.model,
      algorithm: try #require(RegistryTests.entries.first { $0.model == entry.model }).algorithm)
    func described(_ entry: Entry, _ name: String) throws -> (JSONValue?, [String]) {
      let run = try RegistryTests.run(RegistryTests.plan(entry, in: place), place, name)
      let episodes = try CSVTable(path: run.context.folder + "/episodes.csv")
      let phases = try episodes.texts("phase")
      let windows = try episodes.texts("window_start_s")
      return (
        try JSONValue(path: run.context.folder + "/run.json")["constants"],
        windows.indices.filter { phases[$0] == "eval" }.map { windows[$0] }
      )
    }
    let (constants, windows) = try described(entry, "a")
    let (firstConstants, firstWindows) = try described(first, "b")
    #expect(constants?.canonical == firstConstants?.canonical)
    #expect(windows == firstWindows)
  }
}
