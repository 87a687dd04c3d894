import Foundation
import Support
import Testing

/// What the program does with odd files, full disks and wrong options, as a user meets it.
/// The suites here need the program and a trace of the repository: without them they are skipped, and this fails.
@Suite struct ProgramTests {
  @Test func theProgramAndItsTraceAreThere() {
    #expect(Files.exists(Program.path), "build with 'swift build --build-tests'")
    #expect(Files.exists(Program.trace))
  }
}

@Suite(.enabled(if: Program.canRun, "the program or the shipped trace is missing"))
final class CommandLineTests {
  private let folder = NSTemporaryDirectory() + "veclab-\(UUID().uuidString.prefix(8))"
  private var results: String { folder + "/Results" }

  init() throws { try Files.makeFolder(folder) }
  deinit { try? Files.remove(folder) }

  /// An experiment file of one short run.
  private func experiment(trace: String = Program.trace, start: String = "") throws -> String {
    let path = folder + "/one.yaml"
    try Files.writeAtomically(
      start + """
        experiment: one
        model: road-rsu
        trace: \(trace)
        parameters: {vehicles: 4, slots: 100, evaluationEpisodes: 1}
        grid: {product: {algorithm: [leo]}}
        figures: [{id: delay, x: releaseRate, series: algorithm, y: mean_delay_s}]

        """, to: path)
    return path
  }

  private func kind(_ path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
  }

  // MARK: Files to write

  @Test func outputFollowsLinks() async throws {
    for name in ["x.trace", "x.svg", "x.csv"] {
      try #require(symlink(name, "\(folder)/link-\(name)") == 0)
    }
    let commands = [
      ["import", Program.trace, "-o", folder + "/link-x.trace"],
      ["inspect", folder + "/x.trace", "--plot", folder + "/link-x.svg"],
      ["dnn", Program.package + "/Experiments/dnn/vgg16.csv", "--figure", folder + "/link-x.csv"],
    ]
    for command in commands {
      let outcome = try await Program.run(command)
      #expect(outcome.code == 0, "\(command[0]): \(outcome.errors)")
    }
    for name in ["x.trace", "x.svg", "x.csv"] {
      #expect(kind("\(folder)/link-\(name)") == S_IFLNK, "\(name)")
      #expect(kind("\(folder)/\(name)") == S_IFREG, "\(name)")
    }
    #expect(try Files.list(folder).count == 6, "no temporary file is left")
  }

  @Test func outputReplacesNothingButFiles() async throws {
    try Files.makeFolder(folder + "/place.svg")
    try #require(mkfifo(folder + "/pipe.svg", 0o600) == 0)
    try #require(symlink("pipe.svg", folder + "/link.svg") == 0)
    var names = ["place.svg", "pipe.svg", "link.svg"]
    // A null device of our own: the system's must never be at risk.
    if Program.isRoot, mknod(folder + "/null.svg", S_IFCHR | 0o600, 0x103) == 0 {
      names.append("null.svg")
    }
    let before = names.map { kind("\(folder)/\($0)") }
    for name in names {
      let path = "\(folder)/\(name)"
      for command in [
        ["import", Program.trace, "-o"], ["inspect", Program.trace, "--plot"],
        ["dnn", Program.package + "/Experiments/dnn/vgg16.csv", "--figure"],
      ] {
        let outcome = try await Program.run(command + [path])
        #expect(outcome.code == 1, "\(command[0]) \(name)")
        #expect(outcome.errors.contains("\(path): is "), "\(command[0]): \(outcome.errors)")
      }
    }
    #expect(names.map { kind("\(folder)/\($0)") } == before)
    #expect(try Files.list(folder) == names.sorted())
  }

  @Test(arguments: [["inspect", Program.trace, "--plot"], ["dnn", "--figure"]])
  func errorsNameTheFileThatWasAskedFor(_ command: [String]) async throws {
    let path = folder + "/missing/x.svg"
    let tables = command[0] == "dnn" ? [Program.package + "/Experiments/dnn/vgg16.csv"] : []
    let outcome = try await Program.run(command + [path] + tables)
    #expect(outcome.code == 1)
    #expect(outcome.errors.contains("Error: \(path): cannot create: No such file or directory"))
  }

  // MARK: Standard output

  @Test(
    .enabled(if: Program.isRoot, "a full device of our own takes root"),
    arguments: ["algorithms", "--help", "algorithms road-rsu", "help plan"])
  func aFullDiskBehindStandardOutputIsAnError(_ arguments: String) async throws {
    let full = folder + "/full"
    // Some sandboxes allow no devices.
    guard mknod(full, S_IFCHR | 0o600, 0x107) == 0, access(full, W_OK) == 0 else { return }
    let outcome = try await Program.shell("\"$1\" \(arguments) 2>&1 >'\(full)'")
    #expect(outcome.code == 74)
    #expect(outcome.output.contains("<standard output>: cannot write: No space left on device"))
  }

  @Test func aReaderThatHasGoneIsNoError() async throws {
    let outcome = try await Program.shell(
      "trap '' PIPE; { sleep 0.3; \"$1\" algorithms road-rsu; echo \"code $?\" >&2; } | true")
    #expect(outcome.errors == "code 0\n")
    let export = try await Program.shell(
      "trap '' PIPE; { sleep 0.3; \"$1\" export \"$2\" --csv -o -; echo \"code $?\" >&2; } | true",
      [Program.trace])
    #expect(export.errors == "code 0\n")
  }

  // MARK: Files to read

  @Test func aPipeIsNoExperimentFileAndNoTraceOfOne() async throws {
    let pipe = folder + "/pipe"
    try #require(mkfifo(pipe, 0o600) == 0)
    for file in [pipe, try experiment(trace: pipe)] {
      let outcome = try await Program.shell(
        "timeout 10 \"$1\" plan '\(file)' --results '\(results)' 2>&1")
      #expect(outcome.code == 1)
      #expect(outcome.output.contains("\(pipe): is not a regular file"), "\(outcome.output)")
    }
  }

  @Test func aByteOrderMarkIsAccepted() async throws {
    let outcome = try await Program.run([
      "plan", try experiment(start: "\u{FEFF}"), "--results", results,
    ])
    #expect(outcome.code == 0, "\(outcome.errors)")
  }

  @Test func figuresWithoutRunsMakeNothing() async throws {
    let outcome = try await Program.run(["figures", try experiment(), "--results", results])
    #expect(outcome.code == 1)
    #expect(outcome.errors.contains("\(results)/one: no such folder"), "\(outcome.errors)")
    #expect(!Files.exists(results))
  }

  // MARK: Options

  @Test func wrongOptionsAreRefused() async throws {
    let file = try experiment()
    let slurm = ["submit", file, "--results", results, "--slurm", "--dry-run"]
    let wrong: [(arguments: [String], word: String)] = [
      (["plan", file, "--results", ""], "--results"),
      (["run", file, "--results="], "--results"),
      (["plan", ""], "experiment file"),
      (["status", ""], "folder or file"),
      (["status", file, "--results", ""], "--results"),
      (["worker", "--plan", ""], "--plan"),
      (["import", ""], "input"),
      (["evaluate", folder, "--trace", "", "-o", folder + "/out"], "--trace"),
      (["evaluate", folder, "--trace", Program.trace, "-o", ""], "--output"),
      (["import", Program.trace, "-o", ""], "--output"),
      (["inspect", ""], "trace"),
      (["dnn", "--figure", ""], "--figure"),
      (["plan", file, "--results", results, "--workers", "0"], "--workers"),
      (["plan", file, "--results", results, "--only", "nope"], "--only"),
      (["plan", file, "--results", results, "--profile", "nope"], "--profile"),
      (["import", Program.trace, "-o", folder + "/x", "--step", "0"], "--step"),
      (["inspect", Program.trace, "--slots", "0"], "--slots"),
      (["inspect", Program.trace, "--coverage", "inf"], "finite"),
      (["bench", "tasks", "--algorithm", "nope"], "nope"),
      (["bench", "step", "--algorithm", "nope"], "nope"),
      (["bench", "tasks", "--vehicles", "0"], "--vehicles"),
      (["bench", "step", "--clients", "0"], "--clients"),
      (["algorithms", "nope"], "nope"),
      (slurm + ["--time", "abc"], "--time"),
      (slurm + ["--time", "1:2:3:4"], "--time"),
      (slurm + ["--memory", "2 G"], "--memory"),
      (slurm + ["--partition", ""], "--partition"),
      (slurm + ["--partition", "a b"], "--partition"),
    ]
    for (arguments, word) in wrong {
      let outcome = try await Program.run(arguments)
      #expect(outcome.code == 64, "\(arguments): \(outcome)")
      #expect(outcome.errors.contains(word), "\(arguments): \(outcome.errors)")
    }
    #expect(try Files.list(folder) == ["one.yaml"])
  }

  @Test func optionsOfSlurmInAllTheirForms() async throws {
    let file = try experiment()
    let spaced = folder + "/a b"
    for time in ["90", "30:00", "8:00:00", "2-12", "2-12:30", "2-12:30:00"] {
      let outcome = try await Program.run([
        "submit", file, "--results", spaced, "--slurm", "--dry-run", "--time", time,
        "--memory", "2G", "--partition", "main,long",
      ])
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(outcome.output.contains("#SBATCH --time=\(time)\n"))
      #expect(outcome.output.contains("#SBATCH --output=\"\(spaced)/one/slurm/%A_%a.log\"\n"))
    }
  }
}
