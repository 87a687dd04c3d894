import Foundation
import Support
import Testing

/// Exit code 74 wherever what a command writes cannot be written.
@Suite(.enabled(if: Program.canRun, "the program or the shipped trace is missing"))
struct OutputFailureTests {
  @Test func aClosedStandardOutputIsAnError() async throws {
    let (sweep, run) = try await TestSweep.trained()
    let options = ["--results", sweep.results]
    let trace = try await TestSweep.trace()
    let commands: [[String]] = [
      ["--help"], ["--version"], ["help", "plan"], ["run", "--help"],
      ["--generate-completion-script", "bash"], ["algorithms"], ["algorithms", "rtd", "--json"],
      ["plan", sweep.file] + options, ["plan", sweep.file, "--json"] + options,
      sweep.arguments(["--json"]), sweep.arguments(["--dry-run"]), ["status", sweep.results],
      ["status", sweep.results, "--json"], ["figures", sweep.file] + options,
      ["submit", sweep.file, "--slurm", "--dry-run"] + options, ["inspect", trace],
      ["inspect", trace, "--json"], ["import", Program.trace, "-o", sweep.folder + "/x.trace"],
      ["export", trace, "--csv", "-o", "-"], ["dnn"], ["dnn", "vgg16", "--csv"],
      ["environment", sweep.file, "--parameters", "releaseRate=0.4"] + options,
      ["evaluate", run, "--trace", trace, "-o", sweep.folder + "/out"] + options,
      ["bench", "tasks", "--seconds", "0.1"], ["bench", "sac", "--steps", "1", "--batch", "4"],
      ["bench", "step", "--algorithm", "greedy", "--seconds", "0.1"],
      ["bench", "import", Program.trace, "--repetitions", "1"],
    ]
    for command in commands {
      let outcome = try await Program.shell(
        "cd \"$2\" && exec \"$1\" \"${@:3}\" >&- </dev/null", [Program.package] + command)
      #expect(outcome.code == 74, "\(command): \(outcome)")
      #expect(outcome.errors.contains("<standard output>: cannot write"), "\(command): \(outcome)")
    }
  }

  /// No file that is opened may get the number of standard output, or what is printed would be written into it.
  @Test func closedDescriptorsChangeNoResult() async throws {
    let sweep = try await TestSweep(seeds: 1, episodes: 10, rates: "0.4")
    let expected = try await TestSweep(seeds: 1, episodes: 10, rates: "0.4")
    #expect(try await expected.run().code == 0)
    let outcome = try await Program.shell("exec \"$@\" <&- >&- 2>&-", sweep.arguments())
    #expect(outcome.code == 0)
    #expect(try sweep.resultContent() == expected.resultContent())
    let read = try await Program.shell("exec \"$1\" import - -o \"$2/x\" <&-", [sweep.folder])
    #expect(read.code == 1 && read.errors.contains("<standard input>: cannot read"), "\(read)")
  }

  @Test(.enabled("private mounts are not permitted") { await Program.canMountPrivately() })
  func aReadOnlyPlaceIsAnError() async throws {
    let (sweep, run) = try await TestSweep.trained()
    let options = ["--results", sweep.results]
    let trace = try await TestSweep.trace()
    let workers = try await sweep.workerArguments()
    try Files.remove("\(sweep.runsFolder)/\(run)/result")
    try Files.remove("\(sweep.runsFolder)/\(run)/attempts")
    let other = try #require(try sweep.runs().first { $0 != run })
    let commands: [[String]] = [
      sweep.arguments(), workers, ["run", sweep.file, "--results", sweep.results + "/new"],
      ["plan", sweep.file, "--save"] + options,
      ["figures", sweep.file, "--allow-partial"] + options,
      ["import", Program.trace, "-o", sweep.results + "/x.trace"],
      ["export", trace, "--csv", "-o", sweep.results + "/x.csv.gz"],
      ["dnn", "vgg16", "--figure", sweep.results + "/x.csv"],
      ["inspect", trace, "--plot", sweep.results + "/x.svg"],
    ]
    let line = """
      mount --bind "$2" "$2" && mount -o remount,bind,ro "$2" || exit 99
      cd "$3" && exec "$1" "${@:4}"
      """
    for command in commands {
      let outcome = try await Program.command(
        "unshare",
        ["-m", "bash", "-c", line, "bash", Program.path, sweep.results, Program.package] + command)
      #expect(outcome.code == 74, "\(command): \(outcome)")
      #expect(outcome.errors.contains("Read-only file system"), "\(command): \(outcome)")
    }
    #expect(Files.exists("\(sweep.runsFolder)/\(other)/result/manifest.json"))
  }
}
