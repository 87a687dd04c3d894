import Algorithms
import ArgumentParser
import Simulation
import Support

/// `veclab bench tasks`: tasks of the road model that are simulated in a second on one core.
struct BenchTasks: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tasks",
    abstract: "Measure how many tasks of the road model are simulated in a second.")

  @Option(help: "Algorithm that decides.") var algorithm = "leo"
  @Option(help: "Task vehicles.") var vehicles = 15
  @Option(help: "Tasks that a vehicle releases in a second.") var releaseRate = 0.05
  @Option(help: "Seconds to measure.") var seconds = 2.0
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    guard seconds > 0, seconds <= 3600 else {
      throw ValidationError("--seconds must be above 0 and at most 3600, not \(seconds).")
    }
    let names = Registry.roadRSU.map(\.name)
    guard names.contains(algorithm) else {
      throw ValidationError("'\(algorithm)' is none of \(names.joined(separator: ", ")).")
    }
  }

  func run() throws {
    var benchmark = TaskBenchmark()
    benchmark.algorithm = algorithm
    benchmark.seconds = seconds
    benchmark.parameters = [
      "vehicles": .integer(vehicles), "releaseRate": .number(releaseRate),
    ]
    let report = try namingOptions(["vehicles": "--vehicles", "releaseRate": "--release-rate"]) {
      try benchmark.run { try DNNProfile.load($0, relativeTo: ".") }
    }
    let rows: KeyValuePairs<String, JSONValue> = [
      "algorithm": .text(algorithm), "vehicles": .integer(vehicles),
      "releaseRate": .number(releaseRate), "tasks": .integer(report.tasks),
      "episodes": .integer(report.episodes),
      "tasksPerSecond": .number(report.tasksPerSecond.rounded()),
      "meanCost": .number(report.meanCost),
    ]
    print(json ? jsonLine(rows) : lines(rows))
  }
}
