import Foundation
import Support
import Synchronization
import Testing

@testable import Experiments

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
      entry(1, kind: "a"), entry(2, kind: "b"), entry(3, kind: "a", group: "other"),
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

  @Test func aCalibrationMeasuresTheLargestRunOfEachUnknownAlgorithm() throws {
    func run(_ algorithm: String, _ clients: Int) -> (SweepEntry, RunSpecification) {
      let specification = RunSpecification(
        document: .object([
          "algorithm": .text(algorithm), "number": .integer(clients), "episodes": .integer(60),
          "parameters": .object(["clients": .integer(clients), "seed": .integer(1000 - clients)]),
        ]))
      return (
        SweepEntry(
          run: specification.id, kind: "\(algorithm)\(clients)", group: algorithm, episodes: 60,
          label: "\(algorithm) \(clients)"), specification
      )
    }
    let runs = [run("a", 3), run("a", 7), run("a", 5), run("b", 3), run("c", 3)]
    var known = CostEstimate()
    known.learn(runs[3].0, secondsPerEpisode: 1)
    let executed = Mutex<[Int]>([])
    let (samples, problems) = try Calibration().measure(runs, unknownTo: known) { run, context in
      executed.withLock { $0.append(run.document["number"]?.integerValue ?? 0) }
      if run.document["algorithm"] == .text("c") { throw InputError("has no window") }
      return try Toy.execute(run, context)
    }
    #expect(executed.withLock { $0 } == [7, 3])
    #expect(samples.map(\.entry) == [runs[1].0])
    #expect(samples.first?.episodes == Calibration().maximumEpisodes)
    #expect(problems == ["c 3: has no window."])
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
    _ change: (inout SlurmSubmission.Options) -> Void = { _ in }
  ) throws -> SlurmSubmission {
    var options = SlurmSubmission.Options()
    change(&options)
    return try SlurmSubmission(
      experiment: "test", folder: folder, program: "/bin/veclab",
      workerArguments: ["worker", "--plan", "/results/it's/plan.json"],
      collectArguments: ["figures", "/a b.yaml"], openRuns: runs, options: options)
  }

  @Test func namesOfLogsAreQuoted() throws {
    let submission = try submission(runs: 1, folder: "/a b/50% #\"x\"/slurm")
    let line = "#SBATCH --output=\"/a b/50%% #\\\"x\\\"/slurm/"
    #expect(submission.arrays[0].text.contains(line + "%A_%a.log\"\n"))
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
    #expect(submission.tasks == 2050)
    let texts = submission.arrays.map(\.text)
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
    for script in submission.arrays + [submission.collector(after: ["1"])] {
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
