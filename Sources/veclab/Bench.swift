import ArgumentParser
import Support

/// `veclab bench`: measurements of speed; never part of a test.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure the speed of the training, simulation and import code.",
    subcommands: [
      BenchTrain.self, BenchKernels.self, BenchStep.self, BenchTasks.self, BenchSAC.self,
      BenchAgent.self, BenchImport.self,
    ])
}

/// Does something with parameters that options have set; an error about one of them names its option.
func namingOptions<Result>(
  _ options: [String: String], _ body: () throws -> Result
) throws -> Result {
  do {
    return try body()
  } catch var error as InputError {
    error.key = error.key.map { options[$0] ?? $0 }
    throw error
  }
}
