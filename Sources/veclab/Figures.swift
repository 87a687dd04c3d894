import ArgumentParser
import Figures
import Plan
import Runs
import Support

struct FiguresCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "figures",
    abstract: "Write the figure CSVs of an experiment from its finished runs.",
    discussion: """
      Seeds are the unit of replication: a run's episodes are averaged first, then the runs of a seed, and \
      intervals are taken over seeds (Student's t for the mean, bootstrap for the interquartile mean). An \
      incomplete grid is refused unless --allow-partial is given, which marks the rows that miss runs and lists these \
      runs on standard error. A figure that nothing of the results belongs to is not written; the exit code is then 1.
      """,
    aliases: ["collect"])

  @OptionGroup var options: ExperimentOptions

  @Flag(help: "Take what there is; rows with missing runs say complete = false.")
  var allowPartial = false

  @Flag(help: "Replace figures that another experiment file of the same name has made.")
  var replace = false

  func run() throws {
    let experiment = try options.experiment()
    if experiment.figures.isEmpty {
      print("\(options.file) describes no figures.")
      return
    }
    let folder = "\(options.results)/\(experiment.name)"
    // Planning would make it, for its traces.
    guard Files.isFolder(folder) else {
      throw InputError(
        "no such folder: no run of \(options.file) is done", file: folder,
        advice: "Run them with 'veclab run', or name the folder of results with --results")
    }
    var files = FigureFiles(
      experiment, plan: try options.plan().plan, results: options.results,
      store: RunLedger(folder: folder), origin: options.selection.origin(experiment))
    let outcome = try files.write(allowPartial: allowPartial, replacesOthers: replace)
    for note in outcome.notes { complain("Note: \(note)") }
    for run in outcome.missing {
      let state = run.hasFailed ? "failed" : "not done"
      complain("left out: \(run.label): " + (run.damage.map { "\($0)" } ?? state))
    }
    let failed = outcome.missing.count { $0.hasFailed }
    if failed > 0 {
      complain(
        "\(failed) of these failed: \(FigureFiles.adviceOnFailures(options.file))")
    }
    for run in outcome.lacking {
      complain(
        "left out: \(run.label): lacks \(run.columns.joined(separator: ", ")); "
          + "'veclab run --evaluate-again' adds them")
    }
    for path in outcome.paths { print(path) }
    for problem in outcome.empty { complain("Error: \(problem)") }
    if !outcome.empty.isEmpty { throw ExitCode.failure }
  }
}
