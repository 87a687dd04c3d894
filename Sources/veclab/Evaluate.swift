import ArgumentParser
import Plan
import Runs

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Evaluate the trained policy of a run on another trace or with other parameters.",
    discussion: """
      The run is checked against its manifest first. What the policy was trained with (the parameters of the \
      algorithm and of training, the scales of observations) stays as it was; parameters of the scenario, seed \
      and evaluationEpisodes may change. The policy's networks fix the shape of what it sees and decides: what \
      changes it (the number of service vehicles, for example, or a DNN with more layers) is an error. The number \
      of clients may change if the policy was trained with 'shared: true' and has a network for each client's DNN.

      Episodes are taken from the last part of the trace, as in every evaluation: the same trace and parameters \
      give the run's own rows. The trace needs no windows for training, and '--parameters trainShare=0' takes \
      episodes from the whole of it.

      DNNs that the run was trained with keep the tables that it was trained with; others are shipped names, or \
      paths against the working folder.

      The folder gets the tables of a run, run.json (with the policy's run and SHA-256 and the digests of trace \
      and DNN tables), provenance.json and manifest.json.
      """)

  @Argument(help: ArgumentHelp("Folder of the run: Results/EXPERIMENT/runs/ID.", valueName: "run"))
  var runFolder: String

  @Option(help: "FCD file or imported trace.")
  var trace: String

  @Option(
    help: ArgumentHelp(
      "A parameter of the scenario to change; lists as value,value. May be repeated.",
      valueName: "key=value"))
  var parameters: [String] = []

  @Option(help: "Number of episodes (default: as in the run).")
  var episodes: Int?

  @Flag(help: "Write the tables that log every outcome as well.")
  var recordSlots = false

  @Option(
    name: [.short, .customLong("output")],
    help: ArgumentHelp("Folder to write; it must not exist.", valueName: "folder"))
  var output: String

  func validate() throws {
    try refuseEmpty(["The run": runFolder, "--trace": trace, "--output": output])
  }

  func run() throws {
    try evaluatePolicy(
      runFolder: runFolder, tracePath: trace,
      settings: parameters.map { try PointFilter($0, option: "--parameters") },
      episodes: episodes, isRecording: recordSlots, output: output,
      warn: { printWarnings([$0]) })
    print("\(output)/episodes.csv")
  }
}
