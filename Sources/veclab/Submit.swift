import ArgumentParser
import Plan
import Runs
import Support
import Sweep

/// `veclab submit`: hands a sweep to a cluster.
struct Submit: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run an experiment on a cluster (Slurm).",
    discussion: """
      Writes and submits array jobs, whose tasks run 'veclab worker', and a last job that does what they have left \
      and makes the figures. Program, experiment file and results must be on a file system that all nodes see.

      The same command may be given again at any time: runs that are done are skipped, interrupted ones go on from \
      their checkpoints, and local workers ('veclab run') may help in the same folder. 'veclab status' shows all of \
      it. A task that reaches its time limit saves a checkpoint and asks Slurm for another turn.
      """)

  @OptionGroup var options: ExperimentOptions

  @Option(
    help: ArgumentHelp(
      "System of the cluster: \(Clusters.all.map { $0.name }.joined(separator: ", ")).",
      valueName: "name"))
  var cluster: String?

  @Flag(help: "Short for --cluster slurm.")
  var slurm = false

  @Option(help: ArgumentHelp("Partition of the cluster.", valueName: "name"))
  var partition: String?

  @Option(help: ArgumentHelp("Time limit of a task, e.g. 8:00:00.", valueName: "time"))
  var time: String?

  @Option(help: ArgumentHelp("Memory of a task, e.g. 2G.", valueName: "size"))
  var memory: String?

  @Option(help: ArgumentHelp("Runs that a task executes one after another.", valueName: "count"))
  var runsPerTask = 4

  @Option(
    help: ArgumentHelp(
      "Tasks of one array at most; must be below the cluster's MaxArraySize.", valueName: "count"))
  var maxArray = 1000

  @Option(
    help: ArgumentHelp(
      "A further option for sbatch, e.g. --sbatch=--account=physics; may be repeated.",
      valueName: "option"))
  var sbatch: [String] = []

  @OptionGroup var takeover: TakeoverOptions

  @Option(help: "Try runs again that have failed: 'failed'.")
  var retry: Run.Retry?

  @Flag(help: "Print the scripts and submit nothing.")
  var dryRun = false

  private func system() throws -> any Cluster.Type {
    let names = Clusters.all.map { $0.name }.joined(separator: ", ")
    if slurm && cluster.map({ $0 != Slurm.name }) == true {
      throw ValidationError("Say --slurm or --cluster, not both.")
    }
    guard let name = slurm ? Slurm.name : cluster else {
      throw ValidationError("Say --slurm, or --cluster with one of \(names).")
    }
    guard let system = Clusters.all.first(where: { $0.name == name }) else {
      throw ValidationError("--cluster must be one of \(names), not '\(name)'.")
    }
    return system
  }

  private var clusterOptions: ClusterOptions {
    var chosen = ClusterOptions()
    chosen.partition = partition
    chosen.time = time
    chosen.memory = memory
    chosen.runsPerTask = runsPerTask
    chosen.maximumArray = maxArray
    chosen.lease = takeover.lease
    chosen.extra = sbatch
    return chosen
  }

  func validate() throws {
    let system = try system()
    guard runsPerTask >= 1 else { throw ValidationError("--runs-per-task must be at least 1.") }
    guard (1...1_000_000).contains(maxArray) else {
      throw ValidationError("--max-array must be between 1 and 1000000.")
    }
    if let problem = system.problem(with: clusterOptions) { throw ValidationError(problem) }
  }

  func run() async throws {
    let (experiment, plan) = try options.planToRun(leavesNoTrace: dryRun)
    let ledger = RunLedger(folder: options.folder(of: experiment))
    var path = plan.path(inExperimentFolder: ledger.folder)
    var entries = plan.runs.map { SweepEntry($0, store: ledger) }
    if !dryRun {
      (path, entries) = try SweepIndex.register(
        plan, origin: options.selection.origin(experiment), ledger: ledger)
      let ids = entries.map(\.run)
      for sentence in try ledger.setAsideDamaged(ids) { complain(sentence) }
      if retry != nil { _ = try ledger.forgiveFailures(ids) }
    }
    var status = SweepStatus(ledger: ledger, entries: entries)
    try status.refresh()
    let open = status.waiting + status.running.count
    if open == 0 {
      print(status.report, terminator: "")
      print("nothing to submit; 'veclab figures \(options.file)' makes the figures")
      return
    }
    let submission = try submission(experiment, plan: path, openRuns: open)
    if dryRun {
      for script in submission.workers + [submission.collector(after: ["JOB"])] {
        print("# \(submission.work.folder)/\(script.name)\n\(script.text)")
      }
      return
    }
    let jobs = try await submission.submit()
    print(
      "\(open) runs in \(submission.work.tasks) tasks: jobs \(jobs.dropLast().joined(separator: ", ")); "
        + "figures by job \(jobs.last ?? "")\n'veclab status \(ledger.folder)' shows the progress")
  }

  private func submission(
    _ experiment: Experiment, plan: String, openRuns: Int
  ) throws -> any Cluster {
    func absolute(_ path: String) -> String {
      Files.path(path, relativeTo: Files.workingFolder)
    }
    let system = try system()
    var collect = ["figures", absolute(options.file), "--results", absolute(options.results)]
    if let profile = options.profile { collect += ["--profile", profile] }
    for condition in options.only { collect += ["--only", condition] }
    for setting in options.set { collect += ["--set", setting] }
    for word in options.record { collect += ["--record", word] }
    return try system.init(
      ClusterWork(
        experiment: experiment.name,
        folder: absolute("\(options.results)/\(experiment.name)/\(system.name)"),
        program: Provenance.executablePath,
        workerArguments: [
          "worker", "--plan", absolute(plan), "--results", absolute(options.results),
        ],
        collectArguments: collect, openRuns: openRuns, options: clusterOptions))
  }
}
