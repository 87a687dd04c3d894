import ArgumentParser
import Neural
import Support

/// `veclab bench train`: one gradient step of MAD2RL or P-QMIX on random data.
struct BenchTrain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Measure the train step of MAD2RL or P-QMIX and the time to choose actions.")

  @Option(help: "Agents (client vehicles).") var agents = 7
  @Option(help: "Transitions of a mini-batch.") var batch = 64
  @Option(help: "Denoising steps M of MAD2RL.") var denoise = 7
  @Option(help: "Actions of each agent.") var actions = 132
  @Option(help: "Length of an agent's observation.") var observation = 24
  @Option(help: "mad2rl or p-qmix.", transform: learner) var algorithm = TrainBenchmark.Algorithm
    .mad2rl
  @Option(help: "Train steps to measure.") var steps = 60
  @Option(help: "Instruction set: avx512, avx2 or base; default: VECLAB_ISA, else the best.")
  var isa: String?
  @Option(help: "fp32, or bf16: products of bfloat16.", transform: namedPrecision) var precision =
    Precision.fp32
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    for (name, value, limit) in [
      ("--agents", agents, 1000), ("--batch", batch, 65536), ("--denoise", denoise, 1000),
      ("--actions", actions, 100_000), ("--observation", observation, 10_000),
      ("--steps", steps, 1_000_000),
    ] where value < 1 || value > limit {
      throw ValidationError("\(name) must be between 1 and \(limit), not \(value).")
    }
    // Activations of all agents, parameters with moments and targets.
    let floats =
      agents * denoise * batch * (6 * 256 + 2 * actions)
      + 5 * agents * (256 * (2 * actions + observation + 528) + 256 * agents * observation)
    guard floats < 2_000_000_000 else {
      throw ValidationError("These sizes need more than 8 GB of memory; choose smaller ones.")
    }
  }

  func run() throws {
    var benchmark = TrainBenchmark()
    benchmark.agents = agents
    benchmark.batch = batch
    benchmark.denoise = denoise
    benchmark.actions = actions
    benchmark.observation = observation
    benchmark.algorithm = algorithm
    benchmark.steps = steps
    benchmark.precision = precision
    let report = try benchmark.run(kernels: try kernels(isa))
    let rows: [(key: String, value: String, text: String)] = [
      ("algorithm", "\"\(algorithm.rawValue)\"", algorithm.rawValue),
      ("isa", "\"\(report.isa)\"", report.isa),
      ("precision", "\"\(precision.rawValue)\"", precision.rawValue),
      ("stepsPerSecond", "\(report.stepsPerSecond)", short(report.stepsPerSecond)),
      ("stepsPerCPUSecond", "\(report.stepsPerCPUSecond)", short(report.stepsPerCPUSecond)),
      (
        "bestStepsPerCPUSecond", "\(report.bestStepsPerCPUSecond)",
        short(report.bestStepsPerCPUSecond)
      ),
      ("msPerStep", "\(report.msPerStep)", short(report.msPerStep)),
      ("gflops", "\(report.gflops)", short(report.gflops)),
      ("gflopsExecuted", "\(report.gflopsExecuted)", short(report.gflopsExecuted)),
      ("gflopsPeak", "\(report.gflopsPeak)", short(report.gflopsPeak)),
      ("rssMiB", "\(report.rssMiB)", short(report.rssMiB)),
      ("actionSelectMs", "\(report.actionSelectMs)", short(report.actionSelectMs)),
      ("loss", report.loss.isFinite ? "\(report.loss)" : "null", short(report.loss)),
    ]
    if json {
      print("{" + rows.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ") + "}")
    } else {
      for row in rows { print("\(row.key): \(row.text)") }
    }
  }
}

/// `veclab bench kernels`: the matrix products of the train step against the peak and against plain loops.
struct BenchKernels: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Measure matrix products on every instruction set of this machine.")

  @Option(help: "Instruction set: avx512, avx2 or base; default: all of this machine.")
  var isa: String?
  @Flag(help: "Print one JSON array.") var json = false

  func run() throws {
    let sets = try isa.map { [try kernels($0)] } ?? Kernels.available
    let rows = sets.flatMap { KernelBenchmark().run(kernels: $0) }
    if json {
      let objects = rows.map {
        "{\"isa\": \"\($0.isa)\", \"product\": \"\($0.product)\", \"gflops\": \($0.gflops), "
          + "\"gflopsPeak\": \($0.gflopsPeak), \"timesNaive\": \($0.timesNaive)}"
      }
      print("[" + objects.joined(separator: ",\n ") + "]")
    } else {
      for row in rows {
        print(
          "\(row.isa)  \(row.product): \(short(row.gflops)) GFLOP/s of \(short(row.gflopsPeak)), "
            + "\(short(row.timesNaive)) times plain loops")
      }
    }
  }
}

@Sendable private func learner(_ name: String) throws -> TrainBenchmark.Algorithm {
  if let algorithm = TrainBenchmark.Algorithm(rawValue: name) { return algorithm }
  throw ValidationError("'\(name)' has no train step to measure; use mad2rl or p-qmix.")
}

@Sendable private func namedPrecision(_ name: String) throws -> Precision {
  if let precision = Precision(rawValue: name) { return precision }
  throw ValidationError("'\(name)' is no precision; use fp32 or bf16.")
}

private func kernels(_ isa: String?) throws -> Kernels {
  if let isa { return try Kernels.named(isa, key: "--isa") }
  return try Kernels.selected()
}
