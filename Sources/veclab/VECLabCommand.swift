import ArgumentParser

/// The `veclab` program: one subcommand per file of this folder.
@main
struct VECLabCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "veclab",
    abstract: "Trace-driven batch experiments for vehicular edge computing.",
    subcommands: [
      Import.self,
      Inspect.self,
      DNN.self,
      PlanCommand.self,
      Run.self,
      Status.self,
      Worker.self,
      Submit.self,
      FiguresCommand.self,
      Evaluate.self,
      AlgorithmsCommand.self,
      Bench.self,
    ])
}
