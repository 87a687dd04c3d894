import Foundation
import Support
import Testing

/// What a user meets every day: names of runs, means, where results go, what helps after a failure.
@Suite(.enabled(if: Program.canRun, "the program or the shipped trace is missing"))
struct EverydayTests {
  private func evaluate(
    _ name: String, _ sweep: TestSweep, _ output: String, _ more: [String] = []
  ) async throws -> Program.Outcome {
    try await Program.run(
      [
        "evaluate", name, "--results", sweep.results, "--trace", Program.trace, "-o",
        "\(sweep.folder)/\(output)",
      ] + more)
  }

  // MARK: Names of runs

  @Test func runsAreNamedByTheDigitsThatPlanPrints() async throws {
    let (sweep, run) = try await TestSweep.trained()
    let plan = try await Program.run(["plan", sweep.file, "--results", sweep.results])
    #expect(plan.output.contains("\n\(run.prefix(12))  done"), "\(plan.output)")
    let other = try #require(try sweep.runs().first { $0 != run })
    let digits = zip(run, other).prefix { $0 == $1 }.count + 1
    for (number, name) in [
      String(run.prefix(12)), String(run.prefix(digits)), run, run.prefix(12).uppercased(),
      "\(sweep.runsFolder)/\(run.prefix(12))", "\(sweep.runsFolder)/\(run)",
    ].enumerated() {
      let outcome = try await evaluate(name, sweep, "out\(number)")
      #expect(outcome.code == 0, "\(name): \(outcome.errors)")
      let record = try JSONValue(path: "\(sweep.folder)/out\(number)/run.json")
      #expect(record["policy"]?["run"]?.textValue == run, "\(name)")
    }
  }

  @Test func digitsOfNoRunOrOfSeveralAreRefusedWithTheCandidates() async throws {
    let (sweep, run) = try await TestSweep.trained()
    let runs = try sweep.runs()
    let unknown = (0..<16).map { String($0, radix: 16) + "fffffffffff" }
      .first { name in !runs.contains { $0.hasPrefix(name) } }
    let none = try await evaluate(try #require(unknown), sweep, "out")
    #expect(none.code == 1)
    #expect(none.errors.contains("no run begins with these digits"), "\(none.errors)")
    #expect(none.errors.contains("\(run.prefix(12)) (algorithm=disdqn"), "\(none.errors)")

    // A run of another experiment that begins as this one.
    let twin = run.prefix(20) + String(repeating: run.hasSuffix("0") ? "1" : "0", count: 44)
    let place = "\(sweep.results)/other/runs/\(twin)/result"
    try Files.makeFolder(place)
    try Files.writeAtomically("{}", to: place + "/manifest.json")
    let several = try await evaluate(String(run.prefix(12)), sweep, "out")
    #expect(several.code == 1)
    #expect(several.errors.contains("several runs begin with these digits"), "\(several.errors)")
    for candidate in [run, String(twin)] {
      #expect(several.errors.contains(candidate.prefix(21)), "\(several.errors)")
    }
    #expect(try await evaluate(String(run.prefix(21)), sweep, "out").code == 0)

    let word = try await evaluate("greedy", sweep, "out2")
    #expect(word.code == 1 && word.errors.contains("is neither a folder nor the digits"))
  }

  @Test func aRunWithoutResultIsNotTaken() async throws {
    let (sweep, run) = try await TestSweep.trained()
    try Files.remove("\(sweep.runsFolder)/\(run)/result")
    let outcome = try await evaluate(String(run.prefix(12)), sweep, "out")
    #expect(outcome.code == 1)
    #expect(outcome.errors.contains("is not done"), "\(outcome.errors)")
  }

  // MARK: Means

  @Test func evaluateTellsTheMeansOfItsEpisodes() async throws {
    let (sweep, run) = try await TestSweep.trained()
    let json = try await evaluate(String(run.prefix(12)), sweep, "json", ["--json"])
    #expect(json.code == 0, "\(json.errors)")
    let object = try JSONValue(parsing: Array(json.output.utf8))
    let table = try CSVTable(path: sweep.folder + "/json/episodes.csv")
    #expect(object["episodes"]?.integerValue == table.rows.count)
    #expect(object["run"]?.textValue == run)
    #expect(object["units"]?["mean_delay_s"]?.textValue == "s")
    for name in ["mean_delay_s", "return", "low_battery_cost"] {
      let values = try table.numbers(name).filter { !$0.isNaN }
      #expect(object["means"]?[name]?.numberValue == Statistics.mean(values), "\(name)")
    }

    let text = try await evaluate(String(run.prefix(12)), sweep, "text")
    let mean = try #require(object["means"]?["mean_delay_s"]?.numberValue)
    let line = text.output.split(separator: "\n").first { $0.contains("  mean_delay_s ") }
    #expect(line?.hasSuffix(" \(short(mean, digits: 4)) s") == true, "\(text.output)")
    #expect(text.output.contains("disdqn of run \(run.prefix(12)), mean of 10 episodes:\n"))
    #expect(text.output.hasSuffix("\n\(sweep.folder)/text/episodes.csv\n"))
  }

  // MARK: Numbers for people

  /// More than seven digits in a row after a point are no number for people.
  @Test func numbersForPeopleAreShort() async throws {
    let (sweep, run) = try await TestSweep.trained()
    let options = ["--results", sweep.results]
    let commands: [[String]] = [
      ["plan", sweep.file] + options, ["status", sweep.results], sweep.arguments(),
      ["inspect", Program.trace], ["dnn"], ["dnn", "vgg16"],
      ["import", Program.trace, "-o", sweep.folder + "/x.trace"],
      ["bench", "tasks", "--seconds", "0.1"], ["bench", "sac", "--steps", "1", "--batch", "4"],
      ["bench", "step", "--algorithm", "greedy", "--seconds", "0.1"],
      ["bench", "import", Program.trace, "--repetitions", "1"],
      ["evaluate", String(run.prefix(12)), "--trace", Program.trace, "-o", sweep.folder + "/out"]
        + options,
    ]
    for command in commands {
      let outcome = try await Program.command(
        "/bin/bash",
        ["-c", "cd '\(Program.package)' && exec \"$@\"", "bash", Program.path] + command)
      #expect(outcome.code == 0, "\(command): \(outcome.errors)")
      let said = outcome.output + outcome.errors
      #expect(said.firstMatch(of: /\.[0-9]{8}/) == nil, "\(command): \(said)")
      #expect(said.firstMatch(of: /[^0-9.]0(\.0+)? (s|MB\/s|MiB)\b/) == nil, "\(command): \(said)")
    }
  }

  // MARK: Version

  @Test func theVersionNamesTheCommitThatResultsName() async throws {
    let outcome = try await Program.run(["--version"])
    #expect(outcome.code == 0)
    let match = try #require(
      outcome.output.wholeMatch(
        of: /veclab [0-9]+\.[0-9]+\.[0-9]+, commit ([0-9a-f]{12}(\+changes)?|unknown)\n/),
      "\(outcome.output)")
    let (sweep, run) = try await TestSweep.trained()
    let program = try JSONValue(
      path: "\(sweep.runsFolder)/\(run)/result/provenance.json")["program"]
    let commit = program?["commit"]?.textValue.map { $0.prefix(12) } ?? "unknown"
    #expect(match.1 == commit + (program?["dirty"] == .flag(true) ? "+changes" : ""))
  }

  @Test(.enabled(if: Program.find("git") != nil, "git is not installed"))
  func theCommitIsThatOfTheSources() async throws {
    let folder = NSTemporaryDirectory() + "veclab-\(UUID().uuidString.prefix(8))"
    defer { try? Files.remove(folder) }
    try Files.makeFolder(folder + "/project/Scripts")
    try Files.makeFolder(folder + "/project/Sources")
    try Files.writeAtomically(
      try Files.readText(Program.package + "/Scripts/write-commit"),
      to: folder + "/project/Scripts/write-commit")
    func written(_ preparation: String) async throws -> String {
      let outcome = try await Program.shell(
        "cd \"$2\" && { \(preparation); } >/dev/null && sh Scripts/write-commit out.swift && cat out.swift",
        [folder + "/project"])
      #expect(outcome.code == 0, "\(outcome.errors)")
      return outcome.output
    }
    let git = "git -c user.name=T -c user.email=t@example.org"
    #expect(try await written("true").contains("String? { nil }"))
    // A repository around the project is another project's.
    #expect(
      try await written("(cd .. && git init -q && \(git) commit -q --allow-empty -m x)")
        .contains("String? { nil }"))
    let clean = try await written(
      "git init -q && git add Scripts && \(git) commit -q -m x && git rev-parse HEAD >hash")
    let hash = try Files.readText(folder + "/project/hash").dropLast()
    #expect(
      clean.contains("String? { \"\(hash)\" }") && clean.contains("Bool { false }"), "\(clean)")
    #expect(try await written("touch mine.yaml").contains("Bool { false }"))
    #expect(try await written("touch Sources/New.swift").contains("Bool { true }"))
  }

  // MARK: Where results go

  @Test func resultsInAnUnexpectedPlaceAreWarnedOf() async throws {
    let sweep = try await TestSweep(seeds: 1, episodes: 2, algorithms: ["leo"], rates: "0.4")
    let other = sweep.folder + "/elsewhere"
    try Files.makeFolder(other)
    let arguments = [sweep.folder, sweep.file]
    let far = try await Program.shell("cd \"$2/elsewhere\" && \"$1\" run \"$3\"", arguments)
    #expect(far.code == 0, "\(far.errors)")
    #expect(
      far.errors.contains(
        "Warning: the folder of results will be \(other)/Results, not beside \(sweep.file)"),
      "\(far.errors)")
    #expect(far.errors.contains("'--results \(sweep.folder)/Results' puts it there"))
    let again = try await Program.shell("cd \"$2/elsewhere\" && \"$1\" run \"$3\"", arguments)
    #expect(!again.errors.contains("folder of results will be"), "it is there: \(again.errors)")
    let near = try await Program.shell("cd \"$2\" && \"$1\" run sweep.yaml", arguments)
    #expect(near.errors.contains("the folder of results will be \(sweep.folder)/Results;"))
    #expect(!near.errors.contains("Warning: the folder of results"), "\(near.errors)")
  }

  // MARK: After a failure

  @Test func figuresSayHowFailedRunsAreTriedAgain() async throws {
    let sweep = try await TestSweep(
      seeds: 1, episodes: 1_000_000, checkpointEvery: 100_000, limits: "time: 1s",
      algorithms: ["random"], rates: "0.4")
    let outcome = try await sweep.run(["--no-estimate"])
    #expect(outcome.code == 1, "\(outcome.errors)")
    for more in [[], ["--allow-partial"]] {
      let figures = try await Program.run(
        ["figures", sweep.file, "--results", sweep.results] + more)
      #expect(figures.code == (more.isEmpty ? 1 : 0))
      #expect(
        figures.errors.contains("'veclab run \(sweep.file) --retry failed' tries them again"),
        "\(figures.errors)")
    }
  }
}
