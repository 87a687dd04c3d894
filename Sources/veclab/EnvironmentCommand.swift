import ArgumentParser
import ExternalAgents
import Glibc
import Plan

/// `veclab environment`: a scenario that another program acts in.
struct EnvironmentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "environment",
    abstract: "Simulate a scenario for another program, by messages on standard input and output.",
    discussion: """
      What 'veclab.parallel_env' and 'veclab.gym_env' of the Python package drive; Experiments/AGENTS.md has the \
      messages. The scenario is the experiment file's, with --parameters in place of what it says; a parameter that \
      its grid varies must be given, but for the seed, of which the first is taken. Same seed and episode give the \
      same numbers as a run of the sweep. Ends with its input.
      """)

  @Argument(help: ArgumentHelp("Experiment file.", valueName: "file"))
  var file: String

  @Option(help: "Profile of the experiment file (default: its first).")
  var profile: String?

  @Option(
    help: ArgumentHelp(
      "A parameter of the model, seed or trace; lists as value,value. May be repeated.",
      valueName: "key=value"))
  var parameters: [String] = []

  @Option(help: "What is shown of a situation: observation or slot.")
  var sees = AgentSight.observation.rawValue

  @Option(help: "Folder that all experiments' results are in; an FCD trace is imported into it.")
  var results = "Results"

  func validate() throws {
    try refuseEmpty(["The experiment file": file, "--results": results])
    _ = try sight
  }

  private var sight: AgentSight {
    get throws {
      if let sight = AgentSight(rawValue: sees) { return sight }
      throw ValidationError("--sees must be observation or slot, not '\(sees)'.")
    }
  }

  func run() throws {
    let parent = getppid()
    let experiment = try Experiment(path: file, profile: profile)
    let scenario = try experiment.scenario(
      parameters.map { try PointFilter($0, option: "--parameters") }, results: results)
    try serveEnvironment(
      scenario, sources: RunSources(experimentFolder: "\(results)/\(experiment.name)"),
      sight: sight, parent: parent)
  }
}
