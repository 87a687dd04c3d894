import Foundation
import Support
import Testing

/// An experiment with external agents, written as shell scripts, in a folder of its own.
private final class AgentSweep {
  let folder = NSTemporaryDirectory() + "veclab-agents-\(UUID().uuidString.prefix(8))"
  /// In the environment of every process that belongs to the sweep.
  let mark = "VECLAB_TEST_MARK=\(UUID().uuidString)"
  var file: String { folder + "/agents.yaml" }
  var results: String { folder + "/Results" }
  let name = "agents"

  /// What scripts begin with: an agent that does all right, in parts that can be replaced.
  static let prelude = """
    #!/bin/sh
    ready='{"type":"ready","protocol":1}'
    act='{"type":"act","actions":[0,0]}'
    over='{"type":"done"}'
    saved='{"type":"saved"}'
    decide() { echo "$act"; }
    answer() {
      case $line in
        *'"type":"hello"'*) echo "$ready" ;;
        *'"type":"decide"'*) decide ;;
        *'"type":"end_episode"'*) echo "$over" ;;
        *'"type":"save"'*) echo "$saved" ;;
        *'"type":"end"}'*) exit 0 ;;
      esac
    }
    serve() { while read -r line; do answer; done; }

    """

  /// - Parameters:
  ///   - agents: name, members of its entry besides command and files, script after the prelude.
  ///   - further: lines of the file.
  init(
    agents: [(name: String, members: String, script: String)], algorithms: [String] = [],
    parameters: String = "evaluationEpisodes: 2", further: String = ""
  ) throws {
    try Files.makeFolder(folder)
    var entries = ""
    for agent in agents {
      try Files.write(
        Array((AgentSweep.prelude + agent.script + "\n").utf8), to: "\(folder)/\(agent.name).sh")
      entries += """
          \(agent.name): {command: [sh, \(agent.name).sh], files: [\(agent.name).sh]\(agent.members)}

        """
    }
    let names = (algorithms + agents.map(\.name)).joined(separator: ", ")
    let text = """
      experiment: \(name)
      model: single-rsu
      trace: \(Program.trace)
      parameters: {clients: 2, serviceVehicles: 1, slots: 5, \(parameters)}
      agents:
      \(entries)grid: {product: {algorithm: [\(names)]}}
      \(further)
      """
    try Files.write(Array(text.utf8), to: file)
  }

  deinit { try? Files.remove(folder) }

  var arguments: [String] { ["run", file, "--results", results, "--workers", "2"] }

  func start(_ arguments: [String]? = nil) async throws -> Program.Running {
    try await Program.start(
      [mark, Program.path] + (arguments ?? self.arguments), executable: "/usr/bin/env")
  }

  func run(_ arguments: [String]? = nil) async throws -> Program.Outcome {
    try await start(arguments).outcome()
  }

  /// Identities of the runs by algorithm.
  func runs() throws -> [String: String] {
    var runs: [String: String] = [:]
    for plan in try Files.list("\(results)/\(name)/plans") where plan.hasSuffix(".json") {
      let json = try JSONValue(path: "\(results)/\(name)/plans/\(plan)")
      for run in json["runs"]?.listValue ?? [] {
        guard let id = run["id"]?.textValue, let name = run["document"]?["algorithm"]?.textValue
        else { continue }
        runs[name] = id
      }
    }
    return runs
  }

  func runFolder(_ algorithm: String) throws -> String {
    let id = try #require(try runs()[algorithm])
    return "\(results)/\(name)/runs/\(id)"
  }

  /// Why the last attempt at an algorithm's run ended; nil when it did not fail.
  func cause(_ algorithm: String) throws -> (kind: String, message: String)? {
    let attempts = try runFolder(algorithm) + "/attempts"
    for attempt in try Files.list(attempts).compactMap({ Int($0) }).sorted(by: >) {
      let path = "\(attempts)/\(attempt)/cause.json"
      guard Files.exists(path) else { continue }
      let json = try JSONValue(path: path)
      return (json["kind"]?.textValue ?? "", json["message"]?.textValue ?? "")
    }
    return nil
  }

  func hasCheckpoint(_ algorithm: String, attempt: Int) -> Bool {
    // The plan may not be there yet.
    guard let id = (try? runs())?[algorithm],
      let names = try? Files.list("\(results)/\(name)/runs/\(id)/attempts/\(attempt)")
    else { return false }
    return names.contains { $0.hasPrefix("checkpoint-") }
  }

  func text(_ algorithm: String, _ file: String) throws -> String {
    try Files.readText("\(try runFolder(algorithm))/result/\(file)")
  }

  /// Processes of the sweep that still live.
  var survivors: [String] {
    ((try? Files.list("/proc")) ?? []).compactMap { process in
      guard Int(process) != nil,
        let environment = try? Files.read("/proc/\(process)/environ"),
        String(decoding: environment, as: UTF8.self).contains(mark)
      else { return nil }
      let words = (try? Files.read("/proc/\(process)/cmdline")) ?? []
      return "\(process) "
        + String(decoding: words.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
    }
  }

  /// Waits a moment for processes that are about to end.
  func survivorsAfterAll() async throws -> [String] {
    for _ in 0..<50 where !survivors.isEmpty { try await Task.sleep(for: .milliseconds(100)) }
    return survivors
  }
}

@Suite(.enabled(if: Program.canRun, "the program or the shipped trace is missing"))
struct ExternalAgentTests {
  /// Agents that do something wrong, and a piece of the sentence that tells it.
  private static let wrong: [(name: String, members: String, script: String, cause: String)] = [
    ("exits", "", "exit 3", "ended with exit code 3 before it answered 'hello'"),
    ("exits-with-a-word", "", "echo no-licence >&2; exit 1", "standard error: no-licence"),
    (
      "leaves", "", "decide() { exit 0; }; serve",
      "exit code 0 before it answered 'decide' number 1"
    ),
    ("crashes", "", "read -r line; kill -SEGV $$", "was killed by signal 11"),
    ("killed", "", "read -r line; kill -KILL $$", "was killed by signal 9"),
    ("silent", ", startup: 1s", "sleep 1000", "has not answered 'hello' for 1 s"),
    (
      "stops", ", silence: 1s", "decide() { sleep 1000; }; serve",
      "not answered 'decide' number 1 of eval episode 1 for 1 s"
    ),
    ("rubbish", "", "echo rubbish; serve", "answered 'rubbish', which is no message"),
    ("debugs", "", "decide() { echo \"slot $act\"; }; serve", "print to standard error"),
    ("blank", "", "echo; serve", "answered '', which is no message"),
    ("binary", "", "printf '\\377\\001\\002\\n'; serve", "which is no message"),
    ("bomb", "", "printf '%0200d\\n' 0 | tr 0 '['; serve", "which is no message"),
    (
      "twice", "", "echo '{\"type\":\"ready\",\"type\":\"ready\",\"protocol\":1}'; serve",
      "which is no message"
    ),
    ("list", "", "ready='[1]'; serve", "no object with a text 'type'"),
    ("untyped", "", "ready='{\"protocol\":1}'; serve", "no object with a text 'type'"),
    ("early", "", "ready=$act; serve", "answered 'act' where 'ready' was due"),
    (
      "repeats", "", "decide() { echo \"$act\"; echo \"$act\"; }; over=; serve",
      "answered 'act' where 'done' was due"
    ),
    (
      "newer", "", "ready='{\"type\":\"ready\",\"protocol\":2}'; serve",
      "speaks protocol 2, this program 1"
    ),
    (
      "chatty", "", "ready='{\"type\":\"ready\",\"protocol\":1,\"checkpoints\":true}'; serve",
      "did you mean 'checkpoint'?"
    ),
    (
      "curious", "", "ready='{\"type\":\"ready\",\"protocol\":1,\"sees\":\"slot\"}'; serve",
      "'sees: observation'"
    ),
    (
      "vague", "", "ready='{\"type\":\"ready\",\"protocol\":1,\"checkpoint\":\"yes\"}'; serve",
      "must be true or false"
    ),
    (
      "short", "", "act='{\"type\":\"act\",\"actions\":[0]}'; serve",
      "has 1 actions in 'act': it must be 2"
    ),
    ("none", "", "act='{\"type\":\"act\"}'; serve", "has no 'actions' in 'act'"),
    ("nan", "", "act='{\"type\":\"act\",\"actions\":[0,NaN]}'; serve", "which is no message"),
    (
      "fraction", "", "act='{\"type\":\"act\",\"actions\":[0,1.5]}'; serve",
      "actions[1] 1.5 in 'act'"
    ),
    (
      "negative", "", "act='{\"type\":\"act\",\"actions\":[-1,0]}'; serve", "whole number from 0 to"
    ),
    ("outside", "", "act='{\"type\":\"act\",\"actions\":[0,100000]}'; serve", "actions[1] 100000"),
    (
      "infinite", "", "act='{\"type\":\"act\",\"actions\":[0,1e999]}'; serve", "which is no message"
    ),
    (
      "words", "", "act='{\"type\":\"act\",\"actions\":\"first\"}'; serve",
      "must be a list of 2 whole numbers"
    ),
    ("huge", "", "yes | tr -d '\\n'", "with a line of more than 1048576 bytes"),
    ("closes-output", ", silence: 5s", "exec 1>&-; sleep 1000", "closed its standard output"),
    ("closes-input", ", startup: 1s", "exec 0<&-; sleep 1000", "'hello'"),
    ("daemon", "", "setsid sleep 1000 & exit 1", "ended with exit code 1"),
    (
      "gives-up", "", "decide() { echo '{\"type\":\"error\",\"message\":\"no idea\"}'; }; serve",
      "gave up: no idea"
    ),
    ("lossy", "", "over='{\"type\":\"done\",\"loss\":null}'; serve", "must be a finite number"),
    (
      "forgets", ", learner: true",
      "ready='{\"type\":\"ready\",\"protocol\":1,\"checkpoint\":true}'; serve",
      "but there is no file"
    ),
    ("no-interpreter", ", startup: 5s", "exec /no/such/program", "ended with exit code"),
  ]

  @Test func wrongAgentsFailWithTheirCauseAndHarmNothingElse() async throws {
    let lingers = [
      // Leaves a process in a session of its own behind, and is otherwise right.
      (name: "lingers", members: "", script: "setsid sleep 1000 & serve"),
      (name: "floods", members: "", script: "yes noise | head -c 20000000 >&2; serve"),
    ]
    let sweep = try AgentSweep(
      agents: Self.wrong.map { ($0.name, $0.members, $0.script) } + lingers,
      algorithms: ["random"],
      parameters: "evaluationEpisodes: 2, episodes: 2")
    let outcome = try await sweep.run()
    #expect(outcome.code == 1, "\(outcome.errors)")
    for agent in Self.wrong {
      let cause = try #require(try sweep.cause(agent.name), "\(agent.name)")
      #expect(cause.kind == "failed", "\(agent.name): \(cause.message)")
      #expect(cause.message.contains(agent.cause), "\(agent.name): \(cause.message)")
      #expect(cause.message.hasPrefix("agent '\(agent.name)' "))
    }
    for name in ["random", "lingers", "floods"] {
      #expect(try sweep.text(name, "episodes.csv").split(separator: "\n").count == 3, "\(name)")
    }
    let log = try Files.read(sweep.runFolder("floods") + "/attempts/1/log")
    #expect(log.count < 17 << 20)
    #expect(try await sweep.survivorsAfterAll() == [])
  }

  @Test func memoryOfTheAgentCountsIntoTheRunsLimit() async throws {
    try #require(Program.find("python3") != nil)
    let sweep = try AgentSweep(
      agents: [
        (
          "eats", "",
          "read -r line; exec /usr/bin/python3 -c 'import time; b = bytearray(500 << 20); time.sleep(100)'"
        )
      ], algorithms: ["random"], further: "limits: {memory: 300MiB}")
    #expect(try await sweep.run().code == 1)
    let cause = try #require(try sweep.cause("eats"))
    #expect(cause.kind == "outOfMemory")
    #expect(cause.message.contains("limit is 300 MiB"))
    #expect(try sweep.text("random", "episodes.csv").isEmpty == false)
    #expect(try await sweep.survivorsAfterAll() == [])
  }

  /// An agent that counts its decisions, saves the count, and acts by it: every slip in resuming shows.
  private static let counter = """
    ready='{"type":"ready","protocol":1,"checkpoint":true}'
    count=0
    decide() {
      count=$((count + 1))
      sleep 0.01
      echo "{\\"type\\":\\"act\\",\\"actions\\":[$((count % 5)),$((count % 7))]}"
    }
    path() { printf '%s' "$line" | sed 's/.*"path":"\\([^"]*\\)".*/\\1/'; }
    while read -r line; do
      case $line in
        *'"type":"save"'*) echo $count > "$(path)"; echo '{"type":"saved"}' ;;
        *'"type":"restore"'*) read -r count < "$(path)"; echo '{"type":"restored"}' ;;
        *) answer ;;
      esac
    done
    """

  @Test func killedWorkersResumeTheAgentToTheSameBytes() async throws {
    let parameters = "evaluationEpisodes: 4, episodes: 30, checkpointEvery: 3"
    func sweep() throws -> AgentSweep {
      try AgentSweep(
        agents: [("counter", ", learner: true", Self.counter)], parameters: parameters)
    }
    let whole = try sweep()
    #expect(try await whole.run().code == 0)

    let hurt = try sweep()
    let running = try await hurt.start()
    for attempt in 1...3 {
      for _ in 0..<400 where !hurt.hasCheckpoint("counter", attempt: attempt) {
        try await Task.sleep(for: .milliseconds(20))
      }
      for worker in Program.workers(of: hurt.results) { kill(worker, SIGKILL) }
    }
    #expect(try await running.outcome().code == 0)
    for file in ["episodes.csv", "backlogs.csv", "run.json"] {
      #expect(try hurt.text("counter", file) == whole.text("counter", file), "\(file)")
    }
    let provenance = try JSONValue(
      path: hurt.runFolder("counter") + "/result/provenance.json")
    #expect(provenance["resumedFrom"]?.textValue != nil)
    #expect(try await hurt.survivorsAfterAll() == [])
  }

  @Test func aRequestToStopDoesNotWaitForASlowAgent() async throws {
    let sweep = try AgentSweep(agents: [("slow", "", "decide() { sleep 300; }; serve")])
    let running = try await sweep.start()
    for _ in 0..<400 where !sweep.survivors.contains(where: { $0.contains("sleep 300") }) {
      try await Task.sleep(for: .milliseconds(50))
    }
    let start = ContinuousClock.now
    running.send(SIGTERM)
    #expect(try await running.outcome().code == 75)
    #expect(start.duration(to: .now) < .seconds(30))
    #expect(try sweep.cause("slow")?.kind == "stopped")
    #expect(try await sweep.survivorsAfterAll() == [])
  }

  @Test func killedCoordinatorLeavesNoAgent() async throws {
    let sweep = try AgentSweep(
      agents: [("slow", "", "setsid sleep 1000 & decide() { sleep 300; }; serve")])
    let running = try await sweep.start()
    for _ in 0..<400 where sweep.survivors.filter({ $0.contains("sleep") }).count < 2 {
      try await Task.sleep(for: .milliseconds(50))
    }
    running.send(SIGKILL)
    _ = try await running.outcome()
    #expect(try await sweep.survivorsAfterAll() == [])
  }

  /// The part of a document between two marks.
  private static func between(_ start: String, _ end: String, in text: String) throws -> String {
    let from = try #require(text.range(of: start)).upperBound
    let to = try #require(text.range(of: end, range: from..<text.endIndex)).lowerBound
    return String(text[from..<to])
  }

  @Test func theScriptOfTheDocumentDoesWhatItSays() async throws {
    let document = try Files.readText(Program.package + "/Experiments/AGENTS.md")
    let script = try Self.between("```sh\n", "```", in: document)
    let sweep = try AgentSweep(agents: [("script", "", script)], algorithms: ["rsu-only"])
    #expect(try await sweep.run().code == 0)
    #expect(try sweep.text("script", "episodes.csv") == sweep.text("rsu-only", "episodes.csv"))
  }

  @Test func anAgentThatRepeatsOursGivesTheSameBytes() async throws {
    let python = try #require(Program.find("python3"))
    guard try await Program.command(python, ["-c", "import numpy"]).code == 0 else {
      print("skipped: python3-numpy is not installed")
      return
    }
    let sweep = try AgentSweep(agents: [], algorithms: ["greedy-shortest-queue"])
    let script = "shortest_queue.py"
    try Files.write(
      Files.read("\(Program.package)/Experiments/agents/\(script)"),
      to: "\(sweep.folder)/\(script)")
    let text = try Files.readText(sweep.file)
    let entry = """
      agents:
        shortest-queue:
          command: [env, PYTHONPATH=\(Program.package)/Scripts/python, \(python), -B, \(script)]
          files: [\(script)]
          sees: slot
      """
    let changed = text.split(separator: "agents:", omittingEmptySubsequences: false)
      .joined(separator: entry + "\n")
      .split(separator: "[greedy-shortest-queue]", omittingEmptySubsequences: false)
      .joined(
        separator: "[greedy-shortest-queue, shortest-queue], V: [1, 50], v2vRange: [none, 60]")
    try Files.write(Array(changed.utf8), to: sweep.file)
    let outcome = try await sweep.run()
    #expect(outcome.code == 0, "\(outcome.errors)")
    var contents: [String: [String: String]] = [:]
    for run in try Files.list("\(sweep.results)/\(sweep.name)/runs") {
      let folder = "\(sweep.results)/\(sweep.name)/runs/\(run)/result"
      let json = try JSONValue(path: folder + "/run.json")
      let parameters = try #require(json["run"]?["parameters"])
      let algorithm = try #require(json["run"]?["algorithm"]?.textValue)
      contents[parameters.canonical, default: [:]][algorithm] =
        try Files.readText(folder + "/episodes.csv") + Files.readText(folder + "/backlogs.csv")
    }
    #expect(contents.count == 4)
    for (parameters, results) in contents {
      #expect(results["shortest-queue"] != nil)
      #expect(results["shortest-queue"] == results["greedy-shortest-queue"], "\(parameters)")
    }
  }

  @Test func aTrainedAgentCanBeEvaluatedElsewhere() async throws {
    let sweep = try AgentSweep(
      agents: [
        ("counter", ", learner: true", Self.counter), ("plain", ", learner: true", "serve"),
      ], parameters: "evaluationEpisodes: 3, episodes: 2")
    #expect(try await sweep.run().code == 0)
    func evaluate(_ algorithm: String) async throws -> Program.Outcome {
      try await sweep.run([
        "evaluate", sweep.runFolder(algorithm), "--trace", Program.trace, "-o",
        "\(sweep.folder)/\(algorithm)",
      ])
    }
    let outcome = try await evaluate("counter")
    #expect(outcome.code == 0, "\(outcome.errors)")
    // The count went on through the run's own evaluation before it was saved.
    let rows = try Files.readText("\(sweep.folder)/counter/episodes.csv").split(separator: "\n")
    #expect(rows.count == 4)
    let refused = try await evaluate("plain")
    #expect(refused.code == 1)
    #expect(refused.errors.contains("An agent that can save and restore can be evaluated"))
    #expect(!Files.exists(sweep.folder + "/plain"))
    #expect(try await sweep.survivorsAfterAll() == [])
  }

  @Test func calibrationTimesTheAgentsOwnProcess() async throws {
    let busy =
      "decide() { i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; echo \"$act\"; }; serve"
    let sweep = try AgentSweep(agents: [("busy", "", busy)], parameters: "evaluationEpisodes: 40")
    let outcome = try await sweep.run([
      "plan", sweep.file, "--results", sweep.results, "--calibrate", "--json",
    ])
    #expect(outcome.code == 0, "\(outcome.errors)")
    let json = try JSONValue(parsing: Array(outcome.output.utf8))
    let seconds = try #require(json["estimate"]?["cpuSeconds"]?.numberValue)
    // 200 decisions; each takes the shell several milliseconds, and the program none.
    #expect(seconds > 0.3)
    #expect(try await sweep.survivorsAfterAll() == [])
  }
}
