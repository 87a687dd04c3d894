import ArgumentParser

/// `veclab bench`: measurements of speed; never part of a test.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure the speed of the training and simulation code.",
    subcommands: [
      BenchTrain.self, BenchKernels.self, BenchStep.self, BenchTasks.self, BenchSAC.self,
    ])
}
