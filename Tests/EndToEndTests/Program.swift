import Foundation
import Subprocess
import Support
import Synchronization

/// The built `veclab` program, started as a user would.
enum Program {
  /// Folder of the package.
  static let package = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  /// The program lies beside the tests' own executable.
  static let path: String = {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: own).deletingLastPathComponent().path + "/veclab"
  }()

  static let trace = package + "/Traces/two-way-road.fcd.xml.gz"
  static let canRun = Files.exists(path) && Files.exists(trace)
  static let isRoot = getuid() == 0
  /// Whether the long versions of the tests are asked for.
  static let isLong = ProcessInfo.processInfo.environment["VECLAB_LONG_TESTS"] == "1"

  /// Full path of a command of the system; nil when it is not installed.
  static func find(_ command: String) -> String? {
    ["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"].map { $0 + command }
      .first { Files.exists($0) }
  }

  struct Outcome: Sendable {
    /// Exit code, or the negative number of the signal that ended it.
    let code: Int32
    let output: String
    let errors: String
  }

  /// Runs the program to its end.
  static func run(_ arguments: [String]) async throws -> Outcome {
    try await command(path, arguments)
  }

  static func command(_ executable: String, _ arguments: [String]) async throws -> Outcome {
    try await start(arguments, executable: executable).outcome()
  }

  /// Runs a command of the shell, which can redirect the program, `$1`; further arguments are `$2` and so on.
  static func shell(_ line: String, _ arguments: [String] = []) async throws -> Outcome {
    try await command("/bin/bash", ["-c", line, "bash", path] + arguments)
  }

  /// Whether a mount that no other process sees can be made.
  static func canMountPrivately() async -> Bool {
    let line = "unshare -m mount -t tmpfs veclab /mnt"
    return (try? await command("/bin/bash", ["-c", line]))?.code == 0
  }

  /// A program that was started and can be sent signals.
  struct Running: Sendable {
    let process: Int32
    let end: Task<Outcome, any Error>

    func outcome() async throws -> Outcome { try await end.value }
    func send(_ signal: Int32) { kill(process, signal) }
  }

  static func start(_ arguments: [String], executable: String = path) async throws -> Running {
    let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
    // `env` finds the program by its path.
    let task = Task {
      let result = try await Subprocess.run(
        .name("env"), arguments: Arguments([executable] + arguments), input: .none,
        output: .string(limit: 1 << 22), error: .string(limit: 1 << 22)
      ) { execution in
        continuation.yield(execution.processIdentifier.value)
        continuation.finish()
      }
      let code: Int32 =
        switch result.terminationStatus {
        case .exited(let code): code
        case .signaled(let number): -number
        }
      return Outcome(code: code, output: result.standardOutput, errors: result.standardError)
    }
    for await process in stream { return Running(process: process, end: task) }
    _ = try await task.value
    throw InputError("did not start", file: executable)
  }

  /// Processes of the program whose command lines hold a text, e.g. a results folder, with their words.
  static func processes(with text: String) -> [(process: Int32, words: [String])] {
    var found: [(Int32, [String])] = []
    for name in (try? Files.list("/proc")) ?? [] {
      guard let process = Int32(name), process != getpid(),
        let bytes = try? Files.read("/proc/\(name)/cmdline"), !bytes.isEmpty
      else { continue }
      let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      guard words.first?.hasSuffix("veclab") == true, words.contains(where: { $0.contains(text) })
      else { continue }
      found.append((process, words))
    }
    return found
  }

  static func workers(of folder: String) -> [Int32] {
    processes(with: folder).filter { $0.words.contains("worker") }.map(\.process)
  }
}

/// A small sweep in a folder of its own.
final class TestSweep: Sendable {
  let folder: String
  let file: String
  let results: String
  let name = "sweep"

  static let imported = Mutex<String?>(nil)

  /// Two heuristics and a learner.
  ///
  /// - Parameters:
  ///   - seeds: the sweep has six runs for each.
  ///   - episodes: evaluation episodes of a run; a hundred take about half a second in a debug build.
  init(
    seeds: Int = 2, episodes: Int = 20, checkpointEvery: Int = 5, limits: String? = nil,
    algorithms: [String] = ["random", "leo", "disdqn"], rates: String = "0.4, 0.8",
    results: String? = nil
  ) async throws {
    folder = NSTemporaryDirectory() + "veclab-\(UUID().uuidString.prefix(8))"
    try Files.makeFolder(folder)
    file = folder + "/sweep.yaml"
    self.results = results ?? folder + "/Results"
    let trace = try await TestSweep.trace()
    try Files.writeAtomically(
      """
      experiment: \(name)
      model: road-rsu
      trace: \(trace)
      parameters:
        vehicles: 4
        slots: 100
        evaluationEpisodes: \(episodes)
        episodes: \(episodes / 10 + 2)
        batchSize: 16
        warmupTasks: 2
        hidden: [16, 16]
        checkpointEvery: \(checkpointEvery)
      grid:
        product:
          algorithm: [\(algorithms.joined(separator: ", "))]
          releaseRate: [\(rates)]
        seeds: \(seeds)
      \(limits.map { "limits: {\($0)}" } ?? "")
      figures:
        - id: delay
          x: releaseRate
          series: algorithm
          y: mean_delay_s
          reference: \(algorithms[0])
      """, to: file)
  }

  deinit {
    try? Files.remove(folder)
  }

  /// The shipped trace, imported once for all tests.
  static func trace() async throws -> String {
    if let path = imported.withLock({ $0 }) { return path }
    let path = Files.folder(of: Program.path) + "/end-to-end-tests.trace"
    let outcome = try await Program.run(["import", Program.trace, "-o", path])
    guard outcome.code == 0 else { throw InputError(outcome.errors, file: Program.trace) }
    imported.withLock { $0 = path }
    return path
  }

  /// A sweep that is done, with one heuristic and one learner, and the learner's run.
  static func trained() async throws -> (sweep: TestSweep, run: String) {
    let sweep = try await TestSweep(
      seeds: 1, episodes: 10, algorithms: ["leo", "disdqn"], rates: "0.4")
    let outcome = try await sweep.run()
    let run = try sweep.runs().first {
      Files.exists("\(sweep.runsFolder)/\($0)/result/policy.bin")
    }
    guard outcome.code == 0, let run else { throw InputError(outcome.errors, file: sweep.file) }
    return (sweep, run)
  }

  func arguments(_ more: [String] = [], workers: Int = 2) -> [String] {
    ["run", file, "--results", results, "--workers", String(workers), "--lease", "3"] + more
  }

  func run(_ more: [String] = [], workers: Int = 2) async throws -> Program.Outcome {
    try await Program.run(arguments(more, workers: workers))
  }

  /// Arguments of a worker without a coordinator; the plan is made if need be.
  func workerArguments(_ more: [String] = []) async throws -> [String] {
    _ = try await save()
    let plans = results + "/\(name)/plans"
    let plan = try Files.list(plans).first { $0.hasSuffix(".json") } ?? ""
    return ["worker", "--plan", "\(plans)/\(plan)", "--results", results, "--lease", "3"] + more
  }

  /// Makes the plan and everything that it needs, and runs nothing.
  func save() async throws -> Program.Outcome {
    try await Program.run(["plan", file, "--results", results, "--save"])
  }

  var runsFolder: String { results + "/\(name)/runs" }
  func runs() throws -> [String] {
    Files.exists(runsFolder) ? try Files.list(runsFolder) : []
  }

  /// Every byte that must not depend on what happened: figures and results, wall-clock figures aside.
  func content() async throws -> [String: String] {
    let figures = try await Program.run(["figures", file, "--results", results])
    guard figures.code == 0 else { throw InputError(figures.errors, file: file) }
    var content = try resultContent()
    // The description beside a figure names the experiment file, which each of these sweeps has its own of.
    for name in try Files.list(results + "/\(name)/figures") where name.hasSuffix(".csv") {
      content[name] = try Files.readText(results + "/\(self.name)/figures/\(name)")
    }
    return content
  }

  /// The same without figures.
  func resultContent() throws -> [String: String] {
    var content: [String: String] = [:]
    for run in try runs() {
      let folder = "\(runsFolder)/\(run)/result"
      for name in try Files.list(folder)
      where !["timing.csv", "provenance.json", "manifest.json"].contains(name) {
        content["\(run)/\(name)"] = SHA256Digest.hex(of: try Files.read("\(folder)/\(name)"))
      }
    }
    return content
  }

  /// How the attempts at all runs ended, by kind.
  func ends() throws -> [String: Int] {
    var count: [String: Int] = [:]
    for run in try runs() {
      let attempts = "\(runsFolder)/\(run)/attempts"
      for attempt in try Files.list(attempts) {
        let path = "\(attempts)/\(attempt)/cause.json"
        guard Files.exists(path) else { continue }
        count[try JSONValue(path: path)["kind"]?.textValue ?? "?", default: 0] += 1
      }
    }
    return count
  }

  /// The undisturbed content of an equal sweep.
  static func reference(seeds: Int, episodes: Int) async throws -> [String: String] {
    let sweep = try await TestSweep(seeds: seeds, episodes: episodes)
    let outcome = try await sweep.run()
    guard outcome.code == 0 else { throw InputError(outcome.errors, file: sweep.file) }
    return try await sweep.content()
  }
}

/// Waits until something holds; false when it has not after so many seconds.
func eventually(
  within seconds: Double, _ condition: () async throws -> Bool
) async throws -> Bool {
  let end = ContinuousClock.now + .seconds(seconds)
  while ContinuousClock.now < end {
    if try await condition() { return true }
    try await Task.sleep(for: .milliseconds(20))
  }
  return try await condition()
}
