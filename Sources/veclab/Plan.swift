import ArgumentParser
import Foundation
import Plan
import Runs
import Support
import Sweep

struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Check an experiment file and show its runs, and which of them are done.",
    discussion: """
      Every mistake in the file is reported with line, column, key and value. So are values that the model, the trace \
      or an algorithm that does not learn refuse together; of more than 200 combinations only a sample is tried, for \
      two seconds at most. `run` and `submit` warn of such a run and let the others go on. Traces are imported into \
      the folder of results, because a run's identity depends on their content; nothing is run.

      The cost is estimated from finished runs of the experiment: those that differ in the seed alone, else those \
      of the same algorithm, in proportion to slots, vehicles, tasks, actions and denoising steps. --calibrate first \
      executes short pieces of runs that nothing is known about: of every algorithm the most expensive point, then the \
      cheapest, then those between while there is time; of a learner with a short warm-up and until an episode has \
      trained. The time to the end is for what the processors have to spare at this moment.
      """)

  @OptionGroup var options: ExperimentOptions

  @Flag(help: "Print the plan as JSON, each run with its document.")
  var json = false

  @Flag(help: "List every run, not just the first 20.")
  var all = false

  @Flag(
    help: """
      Measure what has no finished run yet, some seconds or one training episode each.
      """)
  var calibrate = false

  @Flag(
    help:
      "Write the plan for workers that are started by hand, and tell its path on standard error.")
  var save = false

  @Option(help: "Worker processes that the expected end is for (default: one for each core).")
  var workers: Int?

  func validate() throws { try refuseWrongWorkers(workers) }

  func run() throws {
    let (experiment, plan) = try options.plan()
    printWarnings(plan.warnings)
    let doubts = plan.doubts(experiment, results: options.results)
    for doubt in doubts { complain("Warning: \(doubt)") }
    try plan.tryOut(experiment, results: options.results)
    let store = RunLedger(folder: "\(options.results)/\(experiment.name)")
    let entries = plan.runs.map { SweepEntry($0, store: store) }
    if save {
      let origin = options.selection.origin(experiment)
      complain("plan: \(try SweepIndex.register(plan, origin: origin, ledger: store).path)")
    }
    let done = entries.map { store.isComplete($0.run) }
    let cost = try estimate(plan, entries, done: done, ledger: store)
    let workers = workers ?? max(ProcessInfo.processInfo.activeProcessorCount, 1)
    let share = cost.estimated > 0 ? Availability.share(workers: workers) : 1
    if json {
      var members = PlanCommand.json(plan, done: done).objectValue ?? [:]
      members["estimate"] = cost.json(workers: workers, share: share)
      members["warnings"] = .list((plan.warnings + doubts.map(\.description)).map { .text($0) })
      print(JSONValue.object(members).readable, terminator: "")
    } else {
      print(text(experiment, plan, done: done), terminator: "")
      print("\n" + cost.text(workers: workers, share: share), terminator: "")
      let duration = cost.duration(workers: workers, share: share)
      if let advice = options.adviceAboutProfile(experiment, seconds: duration) { print(advice) }
      if cost.unknown > 0 && !calibrate { print("'veclab plan --calibrate' measures them") }
    }
  }

  /// Cost of the runs that are not done.
  private func estimate(
    _ plan: Plan, _ entries: [SweepEntry], done: [Bool], ledger: RunLedger
  ) throws -> CostEstimate.Total {
    var cost = CostEstimate()
    let planned = Set(entries.map(\.run))
    let others = try SweepIndex.all(folder: ledger.folder).filter { !planned.contains($0.run) }
    cost.learn(from: ledger, entries + others)
    cost.learn(calibrationIn: ledger.folder)
    let open = zip(zip(entries, plan.runs), done).filter { !$0.1 }.map(\.0)
    if calibrate {
      for problem in try measure(open.map { ($0.0, $0.1) }, Calibration(), ledger, &cost) {
        complain("could not measure \(problem)")
      }
    }
    return cost.total(open.map(\.0))
  }

  private static func json(_ plan: Plan, done: [Bool]) -> JSONValue {
    guard case .object(var members) = plan.json, case .list(let runs)? = members["runs"] else {
      return .null
    }
    members["runs"] = .list(
      zip(runs, done).map { run, isDone in
        guard case .object(var members) = run else { return run }
        members["isDone"] = .flag(isDone)
        return .object(members)
      })
    members["done"] = .integer(done.count { $0 })
    members["digest"] = .text(plan.digest)
    return .object(members)
  }

  private func text(_ experiment: Experiment, _ plan: Plan, done: [Bool]) -> String {
    var text = "\(experiment.name): \(experiment.title)\n"
    text += "model \(experiment.model.name)"
    if let profile = experiment.profile {
      text += ", profile \(profile) of \(experiment.profiles.joined(separator: ", "))"
    }
    text += "\n\(plan.points.count) points of \(plan.dimensions.joined(separator: " x "))"
    text += ", \(plan.runs.count) runs, \(done.count { $0 }) done\n\n"
    let shown = all ? plan.runs.count : min(plan.runs.count, 20)
    for (run, isDone) in zip(plan.runs, done).prefix(shown) {
      text += "\(run.specification.shortID)  \(isDone ? "done   " : "waiting")  \(run.label)\n"
    }
    if shown < plan.runs.count { text += "… and \(plan.runs.count - shown) more (--all)\n" }
    if !experiment.figures.isEmpty {
      let ids = experiment.figures.map(\.id).joined(separator: ", ")
      text += "\nfigures: \(ids)\n"
    }
    return text
  }
}
