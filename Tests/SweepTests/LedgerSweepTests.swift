import Foundation
import Support
import Synchronization
import Testing

@testable import Plan
@testable import Runs
@testable import Sweep
@testable import TestSupport

@Suite struct LedgerSweepTests {
  private func entry(_ number: Int, kind: String = "k", group: String = "g") -> SweepEntry {
    SweepEntry(
      run: Toy.runs(number + 1)[number].id, kind: kind, group: group, episodes: 5,
      label: "number=\(number)")
  }

  @Test func theListOfRunsSurvivesWritingAndReading() throws {
    let scratch = try ScratchFolder()
    #expect(throws: InputError.self) { try SweepIndex.latest(folder: scratch.path) }
    let entries = (0..<3).map { entry($0) }
    try SweepIndex.save(entries, plan: "abc", folder: scratch.path)
    #expect(try SweepIndex.latest(folder: scratch.path) == entries)
    usleep(20_000)
    try SweepIndex.save([entries[1]], plan: "0", folder: scratch.path)
    #expect(try SweepIndex.latest(folder: scratch.path) == [entries[1]])
    try Files.writeAtomically("nonsense\n", to: scratch.path + "/plans/0.runs")
    #expect(throws: InputError.self) { try SweepIndex.latest(folder: scratch.path) }
  }

  @Test func statusTellsWhatIsDoneRunningWaitingAndFailed() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let runs = Toy.runs(5)
    let entries = (0..<5).map { entry($0) }
    var loop = Toy.loop(ledger, Array(runs[..<3])) { run, context in
      if run == runs[1] { throw InputError("is wrong", key: "V", value: "x") }
      return try Toy.execute(run, context)
    }
    _ = try loop.run()
    try Toy.claimFromElsewhere(ledger, runs[3].id, attempt: 1)
    var heartbeat = Heartbeat()
    heartbeat.elapsed = 30
    heartbeat.firstEpisode = 1
    heartbeat.firstElapsed = 10
    heartbeat.quiet = 700
    heartbeat.elapsed = 720
    heartbeat.progress = RunProgress(episode: 3, episodes: 5, stage: "adding")
    try Files.writeAtomically(
      heartbeat.record, to: ledger.attemptFolder(runs[3].id, 1) + "/heartbeat")

    var status = SweepStatus(ledger: ledger, entries: entries)
    try status.refresh()
    #expect(status.done == 2)
    #expect(status.waiting == 1)
    #expect(status.running.map(\.entry) == [entries[3]])
    #expect(status.failed.map(\.entry) == [entries[1]])
    #expect(status.failed.first?.end.message == "V: is wrong (got 'x').")
    #expect(!status.isSettled)
    #expect(status.line().hasPrefix("2/5 done, 1 running, 1 failed, 1 waiting"))
    // Two episodes in (720 - 700) - 10 = 10 s: 0.2 a second; two are left.
    #expect(status.running.first?.heartbeat?.speed == 0.2)
    #expect(status.report.contains("adding 3/5, 0.2 episodes/s"))
    #expect(status.report.contains("NO PROGRESS for 12 min"))
    #expect(status.report.contains("(badInput): V: is wrong"))
    let json = try JSONValue(parsing: Array(status.json.canonical.utf8))
    #expect(json["done"] == .integer(2))
    #expect(json["running"]?.listValue?.first?["host"] == .text("far"))
    #expect(json["failed"]?.listValue?.first?["kind"] == .text("badInput"))
  }

  @Test func costsAreMediansOfTheSameKindElseOfTheSameAlgorithm() {
    var cost = CostEstimate()
    #expect(cost.seconds(entry(0)) == nil)
    for (kind, seconds) in [("a", 1.0), ("a", 3), ("a", 100), ("b", 7)] {
      cost.learn(entry(0, kind: kind), secondsPerEpisode: seconds)
    }
    #expect(cost.seconds(entry(1, kind: "a")) == 15)
    #expect(cost.seconds(entry(1, kind: "b")) == 35)
    #expect(cost.seconds(entry(1, kind: "c")) == 25)
    let total = cost.total([
      entry(1, kind: "a"), entry(2, kind: "b"), entry(3, kind: "a"),
      entry(4, kind: "x", group: "unknown"),
    ])
    #expect(total.seconds == 65)
    #expect(total.longest == 35)
    #expect(total.estimated == 3)
    #expect(total.unknownGroups == ["unknown"])
    #expect(total.duration(workers: 1) == 65)
    #expect(total.duration(workers: 4) == 35)
    #expect(total.text(workers: 2).contains("no estimate for 1 runs of unknown"))
  }

  /// A point that was not measured costs what the most similar one does, in proportion to their work; what finished
  /// runs show corrects what was measured.
  @Test func costsGoWithTheWork() {
    func entry(_ kind: String, work: Double) -> SweepEntry {
      SweepEntry(run: "", kind: kind, group: "g", episodes: 10, work: work, label: "")
    }
    var cost = CostEstimate()
    cost.learn(entry("small", work: 2), calibrated: 1)
    cost.learn(entry("large", work: 100), calibrated: 30)
    #expect(cost.seconds(entry("large", work: 100)) == 300)
    #expect(cost.seconds(entry("x", work: 4)) == 20)
    #expect(cost.seconds(entry("y", work: 50)) == 150)
    cost.learn(entry("small", work: 2), secondsPerEpisode: 2)
    #expect(cost.seconds(entry("small", work: 2)) == 20)
    #expect(cost.seconds(entry("large", work: 100)) == 600)
    let work = RunWork.perEpisode([
      "slots": .integer(10), "releaseRate": .number(0.29), "slotLength": .number(1),
      "seed": .integer(7),
    ])
    #expect(abs(work - 3) < 1e-12)
  }

  /// Workers take runs in order, whichever is free first.
  @Test func theLastWorkerEndsTheSweep() {
    #expect(CostEstimate.makespan([3, 1, 1, 5], workers: 2) == 7)
    #expect(CostEstimate.makespan([4], workers: 2, busyUntil: [10, 2]) == 10)
    #expect(CostEstimate.makespan([], workers: 3) == 0)
  }

  @Test func finishedRunsTellTheirCost() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let runs = Toy.runs(1)
    var loop = Toy.loop(ledger, runs) { run, context in
      try Toy.execute(run, context) { _ in
        let end = processorSeconds() + 0.02
        while processorSeconds() < end {}
      }
    }
    _ = try loop.run()
    var cost = CostEstimate()
    #expect(cost.learn(from: ledger, [entry(0)]) == 1)
    let seconds = try #require(cost.seconds(entry(0)))
    // Five episodes of 0.02 s of processor time; other tests of this process count too.
    #expect(seconds >= 0.1)
  }

  /// A planned run whose document has these parameters.
  private func planned(
    _ algorithm: String, _ parameters: [String: Int]
  ) -> (entry: SweepEntry, run: PlannedRun) {
    let stated = parameters.merging(["number": parameters["clients"] ?? 0, "sums": 60]) { $1 }
    let run = PlannedRun(
      specification: Toy.run(stated, algorithm: algorithm),
      label: "\(algorithm) \(parameters["clients"] ?? 0)", tracePath: "", profilePaths: [:],
      checkpointEvery: 50)
    return (SweepEntry(run, store: RunLedger(folder: "/nowhere")), run)
  }

  @Test func aCalibrationMeasuresTheLargestRunOfEachUnknownAlgorithm() throws {
    func run(_ algorithm: String, _ clients: Int) -> (entry: SweepEntry, run: PlannedRun) {
      planned(algorithm, ["clients": clients, "seed": 1000 - clients, "evaluationEpisodes": 60])
    }
    let runs = [run("a", 3), run("a", 7), run("a", 5), run("b", 3), run("c", 3)]
    var known = CostEstimate()
    known.learn(runs[3].entry, secondsPerEpisode: 1)
    let executed = Mutex<[Int]>([])
    let (samples, problems) = try Calibration().measure(runs, unknownTo: known) { run, context in
      executed.withLock { $0.append(run.specification.integer("number") ?? 0) }
      if run.specification.algorithm == "c" { throw InputError("has no window") }
      return try Toy.execute(run.specification, context)
    }
    // Of each algorithm the dearest point, then the cheapest, then those between.
    #expect(executed.withLock { $0 } == [7, 3, 3, 5])
    #expect(samples.map(\.entry) == [runs[1].entry, runs[0].entry, runs[2].entry])
    #expect(samples.first?.episodes == Calibration().maximumEpisodes)
    #expect(problems == ["c 3: has no window."])
  }

  /// Goes through a learner's schedule as its document tells, and says of which kind each episode was.
  private func learn(
    _ run: PlannedRun, _ context: any RunContext, warmUp: Int,
    note: (RunProgress.EpisodeKind) -> Void = { _ in }
  ) throws -> RunEnd {
    let every = run.specification.integer("evaluationEvery") ?? 0
    var done = 0
    func report(_ kind: RunProgress.EpisodeKind) throws -> Bool {
      done += 1
      note(kind)
      try context.report(
        RunProgress(episode: done, episodes: 1000, stage: "learning", lastEpisode: kind))
      return context.shouldStop
    }
    let episodes = run.specification.integer("episodes") ?? 0
    for episode in 1...episodes {
      if try report(episode > warmUp ? .training : .warmUp) { return .stopped }
      let isCheckDue = every > 0 && episode % every == 0
      for _ in 0..<(isCheckDue ? run.specification.integer("evaluationEpisodes") ?? 0 : 0) {
        if try report(.evaluation) { return .stopped }
      }
    }
    return .finished
  }

  @Test func aCalibrationOfALearnerGoesOnUntilAnEpisodeHasTrained() throws {
    let learner = planned(
      "learner", ["episodes": 1000, "evaluationEpisodes": 20, "warmupEpisodes": 500])
    var calibration = Calibration()
    calibration.budget = 0
    let kinds = Mutex<[RunProgress.EpisodeKind]>([])
    func execute(_ run: PlannedRun, _ context: any RunContext) throws -> RunEnd {
      let warmUp = run.specification.integer("warmupEpisodes") ?? 0
      return try learn(run, context, warmUp: warmUp) { kind in
        kinds.withLock { $0.append(kind) }
      }
    }
    let (samples, problems) = try calibration.measure(
      [learner], unknownTo: CostEstimate(), execute: execute)
    #expect(samples.count == 1 && problems.isEmpty)
    // The warm-up is shortened; whatever the budget, an episode that trains and an evaluation are timed.
    let done = kinds.withLock { $0 }
    #expect(done.count { $0 == .warmUp } < 10)
    #expect(done.last == .training && done.contains(.evaluation))
    #expect(done.count { $0 == .training } == 1)

    calibration.patience = 0
    let (none, sentences) = try calibration.measure([learner], unknownTo: CostEstimate()) {
      try self.learn($0, $1, warmUp: 1000)
    }
    #expect(none.isEmpty)
    #expect(sentences.first?.contains("no episode trained within 0 s") == true)
  }

  @Test func aCalibrationWeighsEpisodesByTheirNumberInTheRun() throws {
    func times(_ episodes: [(RunProgress.EpisodeKind, Double)]) -> [EpisodeTime] {
      episodes.map { EpisodeTime(kind: $0.0, seconds: $0.1) }
    }
    // The first of each kind is not typical.
    let seen = times([
      (.warmUp, 9), (.evaluation, 9), (.warmUp, 1), (.evaluation, 2), (.training, 50),
      (.evaluation, 2), (.training, 100), (.evaluation, 2),
    ])
    func seconds(_ key: String? = nil, _ value: Int = 0) throws -> Double {
      var parameters = ["episodes": 100, "evaluationEpisodes": 10]
      if let key { parameters[key] = value }
      let run = planned("learner", parameters).run
      return try Calibration().seconds(
        of: run, RunSchedule(run.specification), seen, isFinished: false)
    }
    // A warm-up in episodes is known: 41 of 1 s, 59 that train of 100 s, 10 evaluations of 2 s; the first episode took
    // 8 s more than others of its kind, which is the start.
    let known = try seconds("warmupEpisodes", 41)
    #expect(known == 5969)
    let only = try seconds("warmupEpisodes", 300)
    #expect(only == 128)
    // Another one is as long as it was seen to be: 2 and 98.
    let observed = try seconds()
    #expect(observed == 9830)
    // Evaluations after episodes 40 and 80 of training, and at the end.
    let evaluating = try seconds("evaluationEvery", 40)
    #expect(evaluating == 9870)
    let parameters = ["episodes": 100, "evaluationEpisodes": 10, "evaluationEvery": 40]
    #expect(planned("learner", parameters).entry.episodes == 130)
  }

  // MARK: Pool

  private func pool(
    _ executable: String, _ arguments: [String], _ ledger: RunLedger, workers: Int = 1
  ) -> WorkerPool {
    var options = WorkerPool.Options()
    options.executable = executable
    options.arguments = arguments
    options.workers = workers
    options.interval = 0.05
    return WorkerPool(
      status: SweepStatus(ledger: ledger, entries: [entry(0)]), options: options)
  }

  @Test func workersThatEndWithoutResultsAreNoticed() async throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let (end, status) = try await pool("/bin/true", [], ledger).run { _ in }
    #expect(end == .broken("workers end without an error, but results are missing"))
    #expect(status.done == 0)
    let (failing, _) = try await pool("/bin/sh", ["-c", "exit 74"], ledger).run { _ in }
    #expect(failing == .broken("the results cannot be written; see above"))
    let (strange, _) = try await pool("/bin/sh", ["-c", "exit 3"], ledger).run { _ in }
    #expect(strange == .broken("workers end with exit code 3; see above"))
  }

  @Test func killedWorkersAreStartedAgainUntilTheWorkIsDone() async throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let result = ledger.resultFolder(entry(0).run)
    // A worker that is killed five times and then "publishes".
    let script = """
      echo x >> \(scratch.path)/tries
      [ $(wc -l < \(scratch.path)/tries) -gt 5 ] || kill -9 $$
      mkdir -p \(result) && echo > \(result)/manifest.json
      """
    let (end, status) = try await pool("/bin/sh", ["-c", script], ledger).run { _ in }
    #expect(end == .settled)
    #expect(status.done == 1)
    #expect(try Files.readText(scratch.path + "/tries") == "x\nx\nx\nx\nx\nx\n")
  }

  @Test func workersEndWithTheLifelineOfTheirCoordinator() async throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    // The lifeline is the worker's standard input: while the pool lives, reading it must not end.
    let script = "read -t 1 line; echo $? > \(scratch.path)/code; exit 64"
    _ = try await pool("/bin/bash", ["-c", script], ledger).run { _ in }
    let code = try Files.readText(scratch.path + "/code").dropLast()
    #expect(Int(code).map { $0 > 128 } == true, "read must time out, not see the end: \(code)")
  }

  // MARK: Slurm

  private func submission(
    runs: Int, folder: String = "/results/it's/slurm",
    _ change: (inout ClusterOptions) -> Void = { _ in }
  ) throws -> Slurm {
    var options = ClusterOptions()
    change(&options)
    return try Slurm(
      ClusterWork(
        experiment: "test", folder: folder, program: "/bin/veclab",
        workerArguments: ["worker", "--plan", "/results/it's/plan.json"],
        collectArguments: ["figures", "/a b.yaml"], openRuns: runs, options: options))
  }

  @Test func namesOfLogsAreQuoted() throws {
    let submission = try submission(runs: 1, folder: "/a b/50% #\"x\"/slurm")
    let line = "#SBATCH --output=\"/a b/50%% #\\\"x\\\"/slurm/"
    #expect(submission.workers[0].text.contains(line + "%A_%a.log\"\n"))
    #expect(submission.collector(after: ["1"]).text.contains(line + "collect-%j.log\"\n"))
    for folder in ["/a\nb", "/a\\b"] {
      #expect(throws: InputError.self) { try self.submission(runs: 1, folder: folder) }
    }
  }

  @Test func arraysStayBelowTheirLimitAndCoverEveryRun() throws {
    let submission = try submission(runs: 4100) {
      $0.runsPerTask = 2
      $0.maximumArray = 1000
    }
    #expect(submission.work.tasks == 2050)
    let texts = submission.workers.map(\.text)
    #expect(texts.count == 3)
    #expect(texts[0].contains("#SBATCH --array=1-1000\n"))
    #expect(texts[2].contains("#SBATCH --array=1-50\n"))
    #expect(texts[2].contains("--part \"$((2000 + SLURM_ARRAY_TASK_ID))/2050\""))
    #expect(texts.allSatisfy { $0.contains("#SBATCH --requeue\n") })
    #expect(
      submission.collector(after: ["7", "8"]).text.contains("--dependency=afterany:7:8\n"))
    #expect(
      submission.collector(after: ["7"]).text.hasSuffix("exec /bin/veclab figures '/a b.yaml'\n"))
  }

  @Test func scriptsAreValidShell() async throws {
    let scratch = try ScratchFolder()
    let submission = try submission(runs: 3) {
      $0.partition = "main"
      $0.time = "1:00:00"
      $0.memory = "2G"
      $0.extra = ["--account=x"]
    }
    for script in submission.workers + [submission.collector(after: ["1"])] {
      let path = scratch.path + "/" + script.name
      try Files.writeAtomically(script.text, to: path)
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/bin/bash")
      process.arguments = ["-n", path]
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      for line in ["--partition=main", "--time=1:00:00", "--mem=2G", "--account=x"] {
        #expect(script.text.contains("#SBATCH \(line)\n"))
      }
      #expect(script.text.contains("'/results/it'\\''s/plan.json'"))
    }
  }
}
