import Foundation
import Support
import Testing

@testable import Plan
@testable import Runs
@testable import Sweep
@testable import TestSupport

@Suite struct ExecutionTests {
  static let training = """
    parameters: {algorithm: learner, episodes: 7, evaluationEvery: 3, evaluationEpisodes: 2,
      checkpointEvery: 4, rate: 0.3}

    """

  /// Every file of a result but the wall-clock figures.
  static func files(_ folder: String) throws -> [String: String] {
    var files: [String: String] = [:]
    for name in try Files.list(folder) where name != "timing.csv" {
      files[name] = hexadecimal(try Files.read("\(folder)/\(name)"))
    }
    return files
  }

  static func run(
    _ place: Workplace, _ run: PlannedRun, _ context: MemoryContext
  ) throws -> RunEnd {
    try Files.makeFolder(context.folder)
    return try executeRun(
      run, sources: RunSources(experimentFolder: place.results + "/test"), context: context,
      models: ToyModel.models)
  }

  @Test func evaluatesWithoutTraining() throws {
    let place = try Workplace()
    let run = try place.plan("parameters: {algorithm: zero, evaluationEpisodes: 3}\n").runs[0]
    let context = MemoryContext(folder: place.path("out"))
    #expect(try ExecutionTests.run(place, run, context) == .finished)
    #expect(
      try Files.list(context.folder) == ["backlogs.csv", "episodes.csv", "run.json", "timing.csv"])
    let table = try CSVTable(path: context.folder + "/episodes.csv")
    #expect(
      table.columns
        == ["episode", "phase", "window_start_s", "return", "mean_delay_s", "epsilon", "loss"])
    #expect(try table.texts("phase") == ["eval", "eval", "eval"])
    #expect(try table.texts("episode") == ["1", "2", "3"])
    #expect(try table.numbers("window_start_s") == [15, 25, 35])
    // Decision 0, 3 clients: the noise of four slots plus 3.
    let noise = RandomField(seed: 1, .fading)
    for (i, delay) in try table.numbers("mean_delay_s").enumerated() {
      let expected = (0..<4).map { noise.uniform(i + 1, 1, $0) + 3 }.reduce(0, +) / 4
      #expect(abs(delay - expected) < 1e-12)
    }
    let backlogs = try CSVTable(path: context.folder + "/backlogs.csv")
    #expect(backlogs.columns == ["episode", "phase", "queue", "backlog_gflop"])
    #expect(backlogs.rows.count == 6)
    let description = try JSONValue(path: context.folder + "/run.json")
    // The identity implies it, the record says it.
    #expect(description["run"]?["parameters"]?["detour"] == .integer(0))
    #expect(description["id"]?.textValue == run.specification.id)
    for (key, value) in run.specification.document.objectValue ?? [:] where key != "parameters" {
      #expect(description["run"]?[key] == value)
    }
    #expect(description["constants"]?["clients"] == .integer(3))
    #expect(context.reports.map(\.episode) == [1, 2, 3] && context.checkpoints.isEmpty)
    let timing = try CSVTable(path: context.folder + "/timing.csv")
    #expect(try timing.texts("decisions") == ["4", "4", "4"])
  }

  @Test func trainsThenEvaluates() throws {
    let place = try Workplace()
    let run = try place.plan(ExecutionTests.training).runs[0]
    let context = MemoryContext(folder: place.path("out"))
    #expect(try ExecutionTests.run(place, run, context) == .finished)
    let episodes = try CSVTable(path: context.folder + "/episodes.csv")
    #expect(
      try zip(episodes.texts("phase"), episodes.texts("episode")).map { $0 + $1 }
        == (1...7).map { "train\($0)" } + ["eval1", "eval2"])
    #expect(try episodes.numbers("loss").prefix(7).allSatisfy { $0 > 0 })
    #expect(try episodes.texts("loss").suffix(2) == ["", ""])
    let evaluations = try CSVTable(path: context.folder + "/evaluations.csv")
    #expect(try evaluations.texts("trained_episodes") == ["3", "3", "6", "6", "7", "7"])
    // All evaluations see the same episodes.
    #expect(try evaluations.texts("window_start_s") == ["15", "25", "15", "25", "15", "25"])
    #expect(context.reports.map(\.episode) == Array(1...13))
    #expect(context.reports.allSatisfy { $0.episodes == 13 })
    #expect(context.reports.map(\.stage).last == "evaluation")
    let kinds = context.reports.map { $0.lastEpisode == .training ? "t" : "e" }.joined()
    #expect(kinds == "tttee" + "tttee" + "tee")
    // After episodes 4, 8 and 12 of 13.
    #expect(context.checkpoints.count == 3)
    #expect(Files.exists(context.folder + "/policy.bin"))
  }

  @Test func resumesToTheSameBytesFromEveryEpisode() throws {
    let place = try Workplace()
    let run = try place.plan(ExecutionTests.training + "record: slots\n").runs[0]
    let whole = MemoryContext(folder: place.path("whole"))
    #expect(try ExecutionTests.run(place, run, whole) == .finished)
    let expected = try ExecutionTests.files(whole.folder)
    #expect(
      expected.keys.sorted() == [
        "backlogs.csv", "episodes.csv", "evaluations.csv", "policy.bin", "run.json", "slots.csv",
      ])
    for stop in 1..<13 {
      let first = MemoryContext(folder: place.path("first\(stop)"))
      first.stopAfter = stop
      #expect(try ExecutionTests.run(place, run, first) == .stopped, "\(stop)")
      #expect(try Files.list(first.folder) == [], "\(stop)")
      let second = MemoryContext(
        folder: place.path("second\(stop)"), checkpoint: first.checkpoints.last)
      #expect(try ExecutionTests.run(place, run, second) == .finished, "\(stop)")
      #expect(second.reports.map(\.episode) == Array(stop + 1...13), "\(stop)")
      #expect(try ExecutionTests.files(second.folder) == expected, "\(stop)")
      let timing = try CSVTable(path: second.folder + "/timing.csv")
      #expect(timing.rows.count == 13, "\(stop)")
    }
    // Stopped at every single episode.
    var checkpoint: [UInt8]?
    for step in 1...13 {
      let context = MemoryContext(folder: place.path("step\(step)"), checkpoint: checkpoint)
      context.stopAfter = 1
      let end = try ExecutionTests.run(place, run, context)
      #expect(end == (step == 13 ? .finished : .stopped), "\(step)")
      checkpoint = context.checkpoints.last
      if step == 13 { #expect(try ExecutionTests.files(context.folder) == expected) }
    }
  }

  @Test func checkpointsOfAnInstructionSetThatIsMissingAreNotUsed() throws {
    let place = try Workplace()
    let run = try place.plan(ExecutionTests.training).runs[0]
    let id = run.specification.id
    let whole = MemoryContext(folder: place.path("whole"))
    #expect(try ExecutionTests.run(place, run, whole) == .finished)
    let first = MemoryContext(folder: place.path("first"))
    first.stopAfter = 4
    #expect(try ExecutionTests.run(place, run, first) == .stopped)
    let checkpoint = try #require(first.checkpoints.last)
    let head = try CheckpointHead(checkpoint, id: id)
    #expect(head.instructionSet != nil && head.instructionSet == whole.instructionSet)

    func replacing(head write: (inout StateWriter) -> Void) -> [UInt8] {
      var old = StateWriter()
      head.write(to: &old)
      var new = StateWriter()
      write(&new)
      return new.bytes + checkpoint.dropFirst(old.bytes.count)
    }
    let ofAnotherProcessor = replacing {
      CheckpointHead(id: id, instructionSet: "sve9").write(to: &$0)
    }
    let withoutInstructionSet = replacing { writer in
      writer.section("veclab-checkpoint")
      writer.write(1)
      writer.write(id)
    }
    for (bytes, says) in [
      (checkpoint, "goes on from checkpoint 1 of attempt 1"),
      (ofAnotherProcessor, "an instruction set that this processor lacks (got 'sve9')"),
      (withoutInstructionSet, "is of another run or another version of the program"),
    ] {
      let scratch = try ScratchFolder()
      let ledger = RunLedger(folder: scratch.path)
      try Toy.claimFromDeadProcess(ledger, id, attempt: 1)
      try CheckpointStore(ledger: ledger, run: id).save(bytes, attempt: 1)
      var loop = Toy.loop(ledger, [run.specification]) { _, context in
        try executeRun(
          run, sources: RunSources(experimentFolder: place.results + "/test"), context: context,
          models: ToyModel.models)
      }
      #expect(try loop.run() == .done)
      #expect(ledger.end(of: id, attempt: 2)?.kind == .finished)
      let log = try Files.readText(ledger.attemptFolder(id, 2) + "/log")
      #expect(log.contains(says), "\(log)")
      let isResumed = bytes == checkpoint
      #expect(log.contains("starts anew: no checkpoint can be used") != isResumed)
      let provenance = try JSONValue(path: ledger.resultFolder(id) + "/provenance.json")
      #expect(provenance["instructionSet"]?.textValue == whole.instructionSet)
      #expect((provenance["resumedFrom"] != nil) == isResumed)
      for (name, content) in try ExecutionTests.files(whole.folder) {
        #expect(hexadecimal(try Files.read("\(ledger.resultFolder(id))/\(name)")) == content)
      }
    }
  }

  @Test func damagedAndForeignCheckpointsAreErrors() throws {
    let place = try Workplace()
    let plan = try place.plan(
      "parameters: {episodes: 5, evaluationEpisodes: 1}\n"
        + "grid: {product: {algorithm: [learner]}, seeds: 2}\n")
    let first = MemoryContext(folder: place.path("a"))
    first.stopAfter = 3
    _ = try ExecutionTests.run(place, plan.runs[0], first)
    let checkpoint = try #require(first.checkpoints.last)
    for length in stride(from: 0, to: checkpoint.count, by: 7) {
      let context = MemoryContext(
        folder: place.path("b"), checkpoint: Array(checkpoint.prefix(length)))
      #expect(throws: InputError.self, "\(length) bytes") {
        try ExecutionTests.run(place, plan.runs[0], context)
      }
    }
    let other = MemoryContext(folder: place.path("c"), checkpoint: checkpoint)
    #expect(
      sentence { _ = try ExecutionTests.run(place, plan.runs[1], other) }
        == "checkpoint: is of another run or another version of the program. The run starts anew if "
        + "there is no other.")
    #expect(try Files.list(place.path("b")) == [])
  }

  @Test func numbersThatAreNotFiniteFailTheRun() throws {
    let place = try Workplace()
    for (algorithm, episode, says) in [
      (
        "learner", 3,
        "return: is -inf in training episode 3. The training diverged: lower the learning rate or "
          + "clip the gradients."
      ),
      (
        "zero", 2,
        "return: is -inf in evaluation episode 2. Check the parameters for extreme values."
      ),
    ] {
      let run = try place.plan(
        "parameters: {algorithm: \(algorithm), explodeIn: \(episode)}\n"
      ).runs[0]
      let context = MemoryContext(folder: place.path(algorithm))
      #expect(sentence { _ = try ExecutionTests.run(place, run, context) } == says)
      #expect(try Files.list(context.folder) == [])
    }
  }

  @Test func recordsTheFinalEvaluationOnly() throws {
    let place = try Workplace()
    let plan = try place.plan(
      "parameters: {algorithm: learner, episodes: 3, evaluationEpisodes: 2, evaluationEvery: 1}\n",
      record: ["slots"])
    let context = MemoryContext(folder: place.path("out"))
    _ = try ExecutionTests.run(place, plan.runs[0], context)
    let slots = try CSVTable(path: context.folder + "/slots.csv")
    #expect(
      try zip(slots.texts("episode"), slots.texts("slot")).map { "\($0).\($1)" } == [
        "1.1", "1.2", "1.3", "1.4", "2.1", "2.2", "2.3", "2.4",
      ])
  }

  @Test func aTraceThatChangedIsRefused() throws {
    let place = try Workplace()
    let plan = try place.plan("parameters: {algorithm: zero}\n")
    try place.write(
      "small.fcd.xml", Workplace.trace.replacingOccurrences(of: "x=\"50\"", with: "x=\"51\""))
    let other = try place.plan("parameters: {algorithm: zero}\n")
    let mixed = PlannedRun(
      specification: plan.runs[0].specification, label: "", tracePath: other.runs[0].tracePath,
      profilePaths: [:], checkpointEvery: 5)
    let context = MemoryContext(folder: place.path("out"))
    #expect(
      sentence { _ = try ExecutionTests.run(place, mixed, context) }
        == "\(place.path("small.fcd.xml")): is not the trace that the run was "
        + "planned with. Plan the experiment anew: its runs get other identities.")
  }

  @Test func trainedPoliciesAreEvaluatedElsewhere() throws {
    let place = try Workplace()
    let text = "parameters: {algorithm: learner, episodes: 5, evaluationEpisodes: 2}\n"
    let plan = try place.plan(text)
    try place.execute(plan)
    let folder = "\(place.results)/test/runs/\(plan.runs[0].specification.id)"
    func evaluate(_ settings: [String], episodes: Int? = nil, to output: String) throws {
      try evaluatePolicy(
        runFolder: folder, tracePath: place.path("small.fcd.xml"),
        settings: settings.map { try PointFilter($0, option: "--parameters") },
        episodes: episodes, isRecording: true, output: place.path(output), models: ToyModel.models)
    }
    try evaluate([], to: "same")
    #expect(
      try Files.list(place.path("same")) == [
        "backlogs.csv", "episodes.csv", "manifest.json", "provenance.json", "run.json", "slots.csv",
        "timing.csv",
      ])
    // The same trace and parameters: the evaluation of the run itself.
    let trained = try CSVTable(path: folder + "/result/episodes.csv")
    let again = try CSVTable(path: place.path("same/episodes.csv"))
    #expect(again.rows == Array(trained.rows.suffix(2)))
    try evaluate(["slots=9"], episodes: 4, to: "longer")
    let slots = try CSVTable(path: place.path("longer/slots.csv"))
    #expect(slots.rows.count == 36)
    #expect(
      try JSONValue(path: place.path("longer/run.json"))["run"]?["parameters"]?["slots"]
        == .integer(9))
    #expect(
      sentence { try evaluate(["clients=4"], to: "wrong") }
        == "\(folder)/result/policy.bin: clients: was trained for 3 clients, not 4.")
    #expect(!Files.exists(place.path("wrong")) && !Files.exists(place.path("wrong.partial")))
    #expect(
      sentence { try evaluate(["slits=4"], to: "wrong") }
        == "--parameters: is not a parameter of the run (got 'slits'). Did you mean 'slots'?")
    #expect(
      sentence { try evaluate([], to: "same") }
        == "\(place.path("same")): exists already. Choose a new folder.")
    let still = try place.plan("parameters: {algorithm: zero}\n")
    try place.execute(still)
    #expect(
      sentence {
        try evaluatePolicy(
          runFolder: "\(place.results)/test/runs/\(still.runs[0].specification.id)/result",
          tracePath: place.path("small.fcd.xml"), settings: [], episodes: nil, isRecording: false,
          output: place.path("none"), models: ToyModel.models)
      }.hasSuffix(
        "/result: has no policy.bin: 'zero' does not learn. Put the trace into an "
          + "experiment file and run it."))
  }
}
