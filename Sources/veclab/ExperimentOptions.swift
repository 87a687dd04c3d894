import ArgumentParser
import Plan
import Support
import Sweep

/// An experiment file and what the command line makes of it.
struct ExperimentSelection {
  var file: String
  var profile: String?
  var only: [String]
  var settings: [String]
  var record: [String]

  /// The experiment; nothing is written.
  func experiment() throws -> Experiment {
    for word in record where !Experiment.recordWords.contains(word) {
      throw InputError(
        "is not something to record", key: "--record", value: word,
        advice: "Known are \(Experiment.recordWords.joined(separator: ", "))")
    }
    let settings = try settings.map { try PointFilter($0, option: "--set") }
    do {
      return try Experiment(path: file, profile: profile, settings: settings)
    } catch let error as InputError {
      // Whoever mends a file wants to know all that is wrong with it.
      let mistakes = Experiment.mistakes(path: file, profile: profile, settings: settings)
      if mistakes.count > 1 { throw InputErrors(mistakes) }
      throw error
    }
  }

  func plan(_ experiment: Experiment, results: String) throws -> Plan {
    try Plan(
      experiment, results: results, only: only.map { try PointFilter($0) }, record: record)
  }

  func origin(_ experiment: Experiment) -> PlanOrigin {
    PlanOrigin(
      file: file, profile: experiment.profile, only: only, settings: settings, record: record)
  }
}

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

  @Option(
    help: ArgumentHelp(
      """
      Another value for a parameter, whatever the file says; several with commas make a dimension of it, lists \
      stand in brackets. Also seeds=N. May be repeated.
      """, valueName: "key=value"))
  var set: [String] = []

  private static let usualResults = "Results"

  @Option(help: "Folder that all experiments' results are in.")
  var results = usualResults

  @Option(help: ArgumentHelp("Record more than the file asks for: slots.", valueName: "what"))
  var record: [String] = []

  func validate() throws {
    try refuseEmpty(["The experiment file": file, "--results": results])
  }

  var selection: ExperimentSelection {
    ExperimentSelection(
      file: file, profile: profile, only: only, settings: set, record: record)
  }

  /// The experiment; nothing is written.
  func experiment() throws -> Experiment { try selection.experiment() }

  /// Folder of an experiment's results.
  func folder(of experiment: Experiment) -> String { "\(results)/\(experiment.name)" }

  /// The experiment and its plan; traces are imported if they have not been.
  func plan() throws -> (experiment: Experiment, plan: Plan) {
    let experiment = try experiment()
    warnOfFolder(of: experiment)
    return (experiment, try selection.plan(experiment, results: results))
  }

  /// The plan of what is going to be run. A run that is sure to fail is told of at once, on standard error; it is
  /// no reason to keep the others from running.
  ///
  /// - Parameter leavesNoTrace: imports nothing into the folder of results.
  func planToRun(leavesNoTrace: Bool = false) throws -> (experiment: Experiment, plan: Plan) {
    let experiment = try experiment()
    warnOfFolder(of: experiment, leavesNoTrace: leavesNoTrace)
    let scratch =
      leavesNoTrace
      ? try ScratchResults(
        experiment: experiment.name, experimentFolder: folder(of: experiment)) : nil
    let results = scratch?.path ?? results
    let plan = try selection.plan(experiment, results: results)
    printWarnings(plan.warnings)
    for warning in plan.doubts(experiment, results: results) { complain("Warning: \(warning)") }
    do {
      try plan.tryOut(experiment, results: results)
    } catch let error as InputError {
      complain("Warning: \(error)")
    } catch let several as InputErrors {
      for error in several.errors { complain("Warning: \(error)") }
    }
    return (experiment, plan)
  }

  /// What to say of a sweep of hours that nobody has chosen.
  func adviceAboutProfile(_ experiment: Experiment, seconds: Double) -> String? {
    guard profile == nil, let used = experiment.profile, used != "quick", seconds > 3600,
      experiment.profiles.contains("quick")
    else { return nil }
    return
      "this is the profile '\(used)', which takes hours; '--profile quick' shows the same in less"
  }

  /// Whether the folder of results is one that nobody has named, and the experiment file is not below the working
  /// folder, so that results may be made where nobody looks for them.
  private var isFarFromFile: Bool {
    guard results == ExperimentOptions.usualResults, let file = Files.resolved(file) else {
      return false
    }
    let working = Files.workingFolder
    return working == "/" || !file.hasPrefix(working + "/")
  }

  /// Warns of results that are going to stand where nobody looks for them, or beside another experiment's.
  private func warnOfFolder(of experiment: Experiment, leavesNoTrace: Bool = false) {
    if !leavesNoTrace && !Files.exists(results) {
      let place = "the folder of results will be \(Files.absolute(results))"
      if isFarFromFile {
        let beside = Files.folder(of: Files.absolute(file)) + "/Results"
        complain(
          "Warning: \(place), not beside \(file); '--results \(beside)' puts it there")
      } else {
        complain("\(place); --results names another one")
      }
    }
    let folder = folder(of: experiment)
    if let rival = SweepIndex.rival(
      of: selection.origin(experiment), experiment: experiment.name, folder: folder)
    {
      complain(
        "Warning: \(file): experiment: \(folder) also holds the runs of \(rival), which has the same name. "
          + "Give one of them another name: figures of one would replace the other's.")
    }
  }
}
