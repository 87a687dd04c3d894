import Algorithms
import ArgumentParser
import Support

/// `veclab bench sac`: one train step of RTD's soft actor-critic on random data, on one thread.
struct BenchSAC: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sac",
    abstract: "Measure the train step of the soft actor-critic of RTD.")

  @Option(help: "Transitions of a mini-batch.") var batch = 256
  @Option(help: "Width of both hidden layers.") var hidden = 256
  @Option(help: "Length of an observation.") var observation = 17
  @Option(help: "Cuts to choose from.") var choices = 22
  @Option(help: "Train steps to measure.") var steps = 200
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    for (name, value) in [
      ("--batch", batch), ("--hidden", hidden), ("--observation", observation),
      ("--choices", choices), ("--steps", steps),
    ] where value < 1 || value > 1_000_000 {
      throw ValidationError("\(name) must be between 1 and 1000000, not \(value).")
    }
  }

  func run() throws {
    var benchmark = SACBenchmark()
    benchmark.batch = batch
    benchmark.hidden = hidden
    benchmark.observation = observation
    benchmark.choices = choices
    benchmark.steps = steps
    let report = try benchmark.run()
    let rows: KeyValuePairs<String, JSONValue> = [
      "isa": .text(report.isa), "batch": .integer(batch), "hidden": .integer(hidden),
      "stepsPerSecond": .number(report.stepsPerSecond), "msPerStep": .number(report.msPerStep),
      "cpuMsPerStep": .number(report.cpuMsPerStep), "actMs": .number(report.meanActMs),
      "criticLoss": .number(report.criticLoss),
    ]
    print(json ? jsonLine(rows) : lines(rows))
  }
}
