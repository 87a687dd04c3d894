import ArgumentParser
import Glibc
import Plan
import Runs
import Support
import Sweep

/// `veclab status`: where a sweep stands, seen from anywhere.
struct Status: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what is done, running, waiting and failed.",
    discussion: """
      Reads the results folder only, so it works from another terminal or machine, and for runs on a cluster too. A \
      run counts as done when its result is published; 'veclab run' and 'veclab collect' also verify the contents.
      """)

  @Argument(
    help: ArgumentHelp(
      "Folder of an experiment's results, experiment file, or folder of all results.",
      valueName: "folder or file"))
  var place = "Results"

  @Option(
    help: ArgumentHelp(
      "Folder of all results, when an experiment file is named.", valueName: "folder"))
  var results = "Results"

  @Flag(help: "Look again every two seconds until every run is done or has failed.")
  var watch = false

  @Flag(help: "Print JSON: an object, or with several experiments an object a line.")
  var json = false

  func validate() throws { try refuseEmpty(["The folder or file": place, "--results": results]) }

  func run() async throws {
    var sweeps = try folders().map { folder in
      try SweepStatus(
        ledger: RunLedger(folder: folder), entries: SweepIndex.latest(folder: folder))
    }
    while true {
      for index in sweeps.indices { try sweeps[index].refresh() }
      await show(sweeps)
      if !watch || sweeps.allSatisfy(\.isSettled) { return }
      try await Task.sleep(for: .seconds(2))
    }
  }

  private func show(_ sweeps: [SweepStatus]) async {
    var text = watch && !json && isatty(1) == 1 ? "\u{1B}[H\u{1B}[2J" : ""
    for sweep in sweeps {
      var tasks: [(system: any Cluster.Type, states: String?)] = []
      for system in Clusters.all {
        tasks.append((system, await system.states(experimentFolder: sweep.ledger.folder)))
      }
      if json {
        var members = sweep.json.objectValue ?? [:]
        members["folder"] = .text(sweep.ledger.folder)
        for (system, states) in tasks {
          members[system.name] = states.map { .text($0) } ?? .null
        }
        let value = JSONValue.object(members)
        text += sweeps.count == 1 && !watch ? value.readable : value.canonical + "\n"
      } else {
        text += "\(sweep.ledger.folder): \(sweep.report)"
        for (system, states) in tasks {
          if let states { text += "tasks in \(system.title): \(states)\n" }
        }
      }
    }
    print(text, terminator: "")
    fflush(nil)
  }

  /// Folders of the experiments that are meant.
  private func folders() throws -> [String] {
    if Files.exists(place) && !Files.isFolder(place) {
      return ["\(results)/\(try Experiment(path: place).name)"]
    }
    guard Files.isFolder(place) else {
      throw InputError(
        "no such folder or file", file: place,
        advice: "Name an experiment file, or the folder of its results")
    }
    if Files.isFolder(place + "/plans") { return [place] }
    let found = try Files.list(place).map { "\(place)/\($0)" }
      .filter { Files.isFolder($0 + "/plans") }
    guard !found.isEmpty else {
      throw InputError("holds no sweep", file: place, advice: "Start one with 'veclab run'")
    }
    return found
  }
}
