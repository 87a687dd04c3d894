import ArgumentParser
import Experiments
import Support

struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Check an experiment file and show its runs, and which of them are done.",
    discussion: """
      Every mistake in the file is reported with line, column, key and value. Traces are imported into the folder \
      of results, because a run's identity depends on their content; nothing is run.
      """)

  @OptionGroup var options: ExperimentOptions

  @Flag(help: "Print the plan as JSON, each run with its document.")
  var json = false

  @Flag(help: "List every run, not just the first 20.")
  var all = false

  func run() throws {
    let (experiment, plan) = try options.plan()
    let store = RunLedger(folder: "\(options.results)/\(experiment.name)")
    let done = plan.runs.map { store.published($0.specification) != nil }
    if json {
      print(PlanCommand.json(plan, done: done).readable, terminator: "")
    } else {
      print(text(experiment, plan, done: done), terminator: "")
    }
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
