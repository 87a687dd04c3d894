import ArgumentParser
import Experiments

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Evaluate the trained policy of a run on another trace or with other parameters.",
    discussion: """
      The policy's networks fix the shape of what it sees and decides: parameters that change it (the number of \
      service vehicles, for example) are an error. Episodes are taken from the last part of the trace, as in \
      every evaluation.
      """)

  @Argument(help: ArgumentHelp("Folder of the run: Results/EXPERIMENT/runs/ID.", valueName: "run"))
  var runFolder: String

  @Option(help: "FCD file or imported trace.")
  var trace: String

  @Option(
    help: ArgumentHelp("A parameter to change. May be repeated.", valueName: "key=value"))
  var parameters: [String] = []

  @Option(help: "Number of episodes (default: as in the run).")
  var episodes: Int?

  @Flag(help: "Write the tables that log every outcome as well.")
  var recordSlots = false

  @Option(
    name: [.short, .customLong("output")],
    help: ArgumentHelp("Folder to write; it must not exist.", valueName: "folder"))
  var output: String

  func run() throws {
    try evaluatePolicy(
      runFolder: runFolder, tracePath: trace,
      settings: parameters.map { try PointFilter($0, option: "--parameters") },
      episodes: episodes, isRecording: recordSlots, output: output)
    print("\(output)/episodes.csv")
  }
}
