import ArgumentParser
import Experiments
import Support

/// Options of every command that takes an experiment file.
struct ExperimentOptions: ParsableArguments {
  @Argument(help: ArgumentHelp("Experiment file.", valueName: "file"))
  var file: String

  @Option(help: "Profile of the experiment file (default: its first).")
  var profile: String?

  @Option(
    help: ArgumentHelp(
      "Only the points of the grid with this value; several values with commas. May be repeated.",
      valueName: "key=value"))
  var only: [String] = []

  @Option(help: "Folder that all experiments' results are in.")
  var results = "Results"

  @Option(help: ArgumentHelp("Record more than the file asks for: slots.", valueName: "what"))
  var record: [String] = []

  /// The experiment and its plan; traces are imported if they have not been.
  ///
  /// - Parameter isToRun: whether to try what the runs would refuse; results that are there need no trial.
  func plan(isToRun: Bool = true) throws -> (experiment: Experiment, plan: Plan) {
    for word in record where !Experiment.recordWords.contains(word) {
      throw InputError(
        "is not something to record", key: "--record", value: word,
        advice: "Known are \(Experiment.recordWords.joined(separator: ", "))")
    }
    let experiment = try Experiment(path: file, profile: profile)
    let plan = try Plan(
      experiment, results: results, only: only.map { try PointFilter($0) }, record: record)
    if isToRun { try plan.tryOut(experiment, results: results) }
    return (experiment, plan)
  }
}
