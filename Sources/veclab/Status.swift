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
      Without an argument: every experiment in the folder of results. A folder's sweep is the one that was started \
      last; a file is planned anew, with its profile and --only, and stands for what it says now.

      Works from another terminal or machine, and for runs on a cluster too; nothing is written. A run counts as \
      done when its result is published; 'veclab run' and 'veclab collect' also verify the contents.
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

  @Option(help: "Profile of the experiment file (default: its first).")
  var profile: String?

  @Option(
    help: ArgumentHelp(
      "Only the points of the file's grid with this value.", valueName: "key=value"))
  var only: [String] = []

  @Option(
    help: ArgumentHelp("A parameter of the file set to another value.", valueName: "key=value"))
  var set: [String] = []

  @Flag(help: "Look again every two seconds until every run is done or has failed.")
  var watch = false

  @Flag(help: "Print JSON: an object, or with several experiments an object a line.")
  var json = false

  func validate() throws { try refuseEmpty(["The folder or file": place, "--results": results]) }

  /// A sweep and where it comes from.
  private struct Shown {
    var status: SweepStatus
    let origin: PlanOrigin?
  }

  func run() async throws {
    var sweeps = try sweeps()
    while true {
      for index in sweeps.indices { try sweeps[index].status.refresh() }
      await show(sweeps)
      if !watch || sweeps.allSatisfy(\.status.isSettled) { return }
      try await Task.sleep(for: .seconds(2))
    }
  }

  private func show(_ sweeps: [Shown]) async {
    var text = watch && !json && isatty(1) == 1 ? "\u{1B}[H\u{1B}[2J" : ""
    for sweep in sweeps {
      let status = sweep.status
      var tasks: [(system: any Cluster.Type, states: String?)] = []
      for system in Clusters.all {
        tasks.append((system, await system.states(experimentFolder: status.ledger.folder)))
      }
      if json {
        var members = status.json.objectValue ?? [:]
        members["folder"] = .text(status.ledger.folder)
        members["origin"] = sweep.origin?.json ?? .null
        for (system, states) in tasks {
          members[system.name] = states.map { .text($0) } ?? .null
        }
        let value = JSONValue.object(members)
        text += sweeps.count == 1 && !watch ? value.readable : value.canonical + "\n"
      } else {
        let selection = sweep.origin?.selection ?? ""
        text += status.ledger.folder + (selection.isEmpty ? "" : " (\(selection))")
        text += ": \(status.report)"
        for (system, states) in tasks {
          if let states { text += "tasks in \(system.title): \(states)\n" }
        }
      }
    }
    print(text, terminator: "")
    // With --watch the program does not end by itself.
    VECLabCommand.checkOutput()
  }

  /// The experiments that are meant.
  private func sweeps() throws -> [Shown] {
    if Files.exists(place) && !Files.isFolder(place) { return [try sweep(ofFile: place)] }
    if profile != nil || !only.isEmpty || !set.isEmpty {
      throw ValidationError("--profile, --only and --set go with an experiment file, not a folder.")
    }
    guard Files.isFolder(place) else {
      throw InputError(
        "no such folder or file", file: place,
        advice: "Name an experiment file, or a folder of results")
    }
    if SweepIndex.isThere(folder: place) { return [try sweep(ofFolder: place)] }
    var found: [Shown] = []
    for name in try Files.list(place) where SweepIndex.isThere(folder: "\(place)/\(name)") {
      do {
        found.append(try sweep(ofFolder: "\(place)/\(name)"))
      } catch {
        // One damaged list must not hide the other experiments.
        complain("Warning: \(error)")
      }
    }
    guard !found.isEmpty else {
      throw InputError("holds no sweep", file: place, advice: "Start one with 'veclab run'")
    }
    return found
  }

  private func sweep(ofFolder folder: String) throws -> Shown {
    Shown(
      status: try SweepStatus(
        ledger: RunLedger(folder: folder), entries: SweepIndex.latest(folder: folder)),
      origin: try SweepIndex.latestOrigin(folder: folder))
  }

  /// What the file says now, whatever was started from it.
  private func sweep(ofFile file: String) throws -> Shown {
    let selection = ExperimentSelection(
      file: file, profile: profile, only: only, settings: set, record: [])
    let experiment = try selection.experiment()
    let folder = "\(results)/\(experiment.name)"
    let scratch = try ScratchResults(experiment: experiment.name, experimentFolder: folder)
    let plan = try selection.plan(experiment, results: scratch.path)
    let ledger = RunLedger(folder: folder)
    return Shown(
      status: SweepStatus(
        ledger: ledger, entries: plan.runs.map { SweepEntry($0, store: ledger) }),
      origin: selection.origin(experiment))
  }
}
