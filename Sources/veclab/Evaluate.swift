import ArgumentParser
import Plan
import Runs
import Support
import Sweep

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

      The run is named by its folder, or by as many digits of its id, as plan, status and run print it, as no other \
      run in the folder of results begins with.

      Prints the mean of every measure over the episodes that have a value of it. The folder gets the tables of a \
      run, run.json (with the policy's run and SHA-256 and the digests of trace and DNN \
      tables), provenance.json and manifest.json.
      """)

  @Argument(
    help: ArgumentHelp(
      "The run: the first digits of its id, or its folder, Results/EXPERIMENT/runs/ID.",
      valueName: "run"))
  var runName: String

  @Option(help: "Folder of all results, in which a run is looked for by its id.")
  var results = "Results"

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

  @Flag(help: "Print the means as JSON, with all their digits.")
  var json = false

  func validate() throws {
    try refuseEmpty([
      "The run": runName, "--results": results, "--trace": trace, "--output": output,
    ])
  }

  func run() throws {
    let summary = try evaluatePolicy(
      runFolder: RunName.folder(of: runName, results: results, holding: "policy.bin"),
      tracePath: trace, settings: parameters.map { try PointFilter($0, option: "--parameters") },
      episodes: episodes, isRecording: recordSlots, output: output,
      warn: { printWarnings([$0]) })
    print(json ? jsonText(summary) : text(summary), terminator: "")
  }

  private func text(_ summary: EvaluationSummary) -> String {
    let count = summary.episodes == 1 ? "1 episode" : "\(summary.episodes) episodes"
    var text = "\(summary.algorithm) of run \(summary.run.prefix(12)), mean of \(count):\n"
    let width = summary.means.map(\.name.count).max() ?? 0
    for mean in summary.means where !mean.value.isNaN {
      let space = String(repeating: " ", count: width - mean.name.count)
      let unit = ["", "share"].contains(mean.unit) ? "" : " \(mean.unit)"
      text += "  \(mean.name)\(space)  \(short(mean.value, digits: 4))\(unit)\n"
    }
    return text + "\(output)/episodes.csv\n"
  }

  private func jsonText(_ summary: EvaluationSummary) -> String {
    func members(_ value: (EvaluationSummary.Mean) -> JSONValue) -> JSONValue {
      .object(
        Dictionary(uniqueKeysWithValues: summary.means.map { ($0.name, value($0)) }))
    }
    return JSONValue.object([
      "run": .text(summary.run), "algorithm": .text(summary.algorithm),
      "episodes": .integer(summary.episodes), "folder": .text(output),
      "means": members { $0.value.isNaN ? .null : .number($0.value) },
      "units": members { .text($0.unit) },
    ]).readable
  }
}
