import ArgumentParser
import Plan
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

  func validate() throws {
    try refuseEmpty(["The experiment file": file, "--results": results])
  }

  /// The experiment; nothing is written.
  func experiment() throws -> Experiment {
    for word in record where !Experiment.recordWords.contains(word) {
      throw InputError(
        "is not something to record", key: "--record", value: word,
        advice: "Known are \(Experiment.recordWords.joined(separator: ", "))")
    }
    return try Experiment(path: file, profile: profile)
  }

  /// The experiment and its plan; traces are imported if they have not been.
  func plan() throws -> (experiment: Experiment, plan: Plan) {
    let experiment = try experiment()
    let plan = try Plan(
      experiment, results: results, only: only.map { try PointFilter($0) }, record: record)
    return (experiment, plan)
  }

  /// The plan of what is going to be run. A run that is sure to fail is told of at once, on standard error; it is
  /// no reason to keep the others from running.
  func planToRun() throws -> (experiment: Experiment, plan: Plan) {
    let (experiment, plan) = try plan()
    printWarnings(plan.warnings)
    do {
      try plan.tryOut(experiment, results: results)
    } catch let error as InputError {
      complain("Warning: \(error)")
    }
    return (experiment, plan)
  }
}
