import ArgumentParser
import Plan
import Runs
import Support
import Sweep

/// `veclab calibrate`: the part of `run` that measures, in a process of its own: what a run may do to a process (run
/// out of memory, crash, search for ever) must not reach the coordinator.
struct Calibrate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure the runs of a registered plan for a moment.", shouldDisplay: false)

  @Option(help: "Plan, as 'veclab run' writes it.")
  var plan: String

  func run() throws {
    WorkerProcess.dieWithParent(orAfter: 30)
    let plan = try Plan(path: plan)
    let ledger = RunLedger(folder: Files.folder(of: Files.folder(of: self.plan)))
    let open = plan.runs.filter { ledger.published($0.specification) == nil }
    var cost = CostEstimate()
    cost.learn(from: ledger, try SweepIndex.all(folder: ledger.folder))
    cost.learn(calibrationIn: ledger.folder)
    // An external agent is somebody else's program: it is started for its runs only.
    let own = open.filter { $0.specification.document["agent"] == nil }
    _ = try measure(
      own.map { (SweepEntry($0, store: ledger), $0) }, .brief, ledger, &cost)
  }
}

/// Measures what has no estimate, tells of it on standard error, and keeps it in the experiment's folder.
///
/// - Returns: sentences about what could not be measured.
func measure(
  _ runs: [(entry: SweepEntry, run: PlannedRun)], _ calibration: Calibration, _ ledger: RunLedger,
  _ cost: inout CostEstimate
) throws -> [String] {
  let sources = RunSources(experimentFolder: ledger.folder)
  let (samples, problems) = try calibration.measure(
    runs, unknownTo: cost, execute: { try executeRun($0, sources: sources, context: $1) })
  for sample in samples {
    cost.learn(sample.entry, calibrated: sample.secondsPerEpisode)
    if calibration.isBrief { continue }
    complain(
      "measured \(sample.episodes) episodes of \(sample.entry.label): "
        + "\(short(sample.secondsPerEpisode)) s each over the whole run")
  }
  if !samples.isEmpty { try CostEstimate.save(samples, folder: ledger.folder) }
  return problems
}
