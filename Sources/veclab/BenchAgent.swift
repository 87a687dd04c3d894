import ArgumentParser
import Plan
import Runs
import Support

/// `veclab bench agent`: decisions that an external agent and the program exchange in a second.
struct BenchAgent: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "agent",
    abstract:
      "Measure how many decisions an external agent of an experiment file makes in a second.",
    discussion:
      "Training episodes with everything that 'learn' costs of a learner, else evaluation episodes."
  )

  @OptionGroup var options: ExperimentOptions

  @Argument(help: ArgumentHelp("The agent's name in the experiment file.", valueName: "agent"))
  var agent: String

  @Option(help: "Seconds to measure.") var seconds = 3.0
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    guard seconds > 0, seconds <= 3600 else {
      throw ValidationError("--seconds must be above 0 and at most 3600, not \(seconds).")
    }
  }

  func run() throws {
    var options = options
    options.only.append("algorithm=\(agent)")
    let (experiment, plan) = try options.plan()
    guard let run = plan.runs.first else { throw InputError("has no run", file: experiment.file) }
    var benchmark = AgentBenchmark()
    benchmark.seconds = seconds
    let report = try benchmark.run(
      run, sources: RunSources(experimentFolder: "\(options.results)/\(experiment.name)"))
    let rows: KeyValuePairs<String, JSONValue> = [
      "agent": .text(agent), "run": .text(run.label), "decisions": .integer(report.decisions),
      "episodes": .integer(report.episodes),
      "startSeconds": .number((report.startSeconds * 1000).rounded() / 1000),
      "decisionsPerSecond": .number(report.decisionsPerSecond.rounded()),
    ]
    print(json ? jsonLine(rows) : lines(rows))
  }
}
