#if canImport(Glibc)
  internal import Glibc
#endif

/// Measures the train step on random data: figures for `veclab bench train`.
public struct TrainBenchmark: Sendable {
  public enum Algorithm: String, Sendable, CaseIterable {
    case mad2rl
    case pQmix = "p-qmix"
  }

  public var agents = 7
  public var batch = 64
  /// Denoising steps M; without meaning for P-QMIX.
  public var denoise = 7
  public var actions = 132
  public var observation = 24
  public var algorithm = Algorithm.mad2rl
  public var precision = Precision.fp32
  /// Train steps measured, after a short warm-up.
  public var steps = 60

  public init() {}

  public struct Report: Sendable {
    /// Train steps per second of wall-clock time, median of blocks.
    public var stepsPerSecond: Double
    /// Train steps per second of processor time, median of blocks.
    public var stepsPerCPUSecond: Double
    /// The same of the fastest block: what the machine does when nothing else disturbs it.
    public var bestStepsPerCPUSecond: Double
    /// Wall-clock milliseconds of a step.
    public var msPerStep: Double
    /// Rate of the step's matrix products in GFLOP per processor second, counted as the algorithm states them
    /// (`operationsPerStep`), so that programs that do the same step can be compared.
    public var gflops: Double
    /// The same with the operations that this program really carries out.
    public var gflopsExecuted: Double
    /// Rate of multiply-adds in registers, measured before and after.
    public var gflopsPeak: Double
    /// Peak resident memory of the process.
    public var rssMiB: Double
    public var isa: String
    /// Processor milliseconds to choose the actions of all agents in one slot, median.
    public var actionSelectMs: Double
    /// Loss of the last step.
    public var loss: Double
  }

  var settings: QMIXSettings {
    var settings = QMIXSettings(
      actions: Array(repeating: actions, count: agents), observation: observation)
    settings.training.batchSize = batch
    settings.training.precision = precision
    if algorithm == .mad2rl {
      var diffusion = Diffusion()
      diffusion.steps = denoise
      settings.diffusion = diffusion
    }
    return settings
  }

  /// Operations of the matrix products of one step as the algorithm states it: four passes (target, online, gradient
  /// of parameters and of inputs) over every layer, all of layer 1 in every denoising step.
  public var operationsPerStep: Double {
    let settings = settings
    let inputs = algorithm == .mad2rl ? actions + 16 + observation : observation
    let passes = algorithm == .mad2rl ? denoise : 1
    let widths = [inputs] + settings.training.hidden + [actions]
    return 8 * Double(batch) * Double(passes * agents * Self.weights(widths) + hyperWeights)
  }

  /// Operations carried out: the parts of layer 1 that belong to observation and denoising step are computed once, no
  /// gradient of the observations or of the start noise, and of the last outputs only those of the actions taken.
  public var operationsExecuted: Double {
    let settings = settings
    let first = settings.training.hidden[0]
    let upper = Self.weights(settings.training.hidden + [actions])
    var perAgent = 3 * batch * observation * first
    if algorithm == .mad2rl {
      perAgent += 4 * denoise * batch * upper + (4 * denoise - 1) * batch * actions * first
      perAgent += 4 * denoise * 16 * (first + 2 * 32)
    } else {
      perAgent += 4 * batch * upper
    }
    perAgent -=
      3 * batch * settings.training.hidden[settings.training.hidden.count - 1] * (actions - 1)
    let state = agents * observation * settings.hyperHidden[0] * 4
    return 2 * Double(agents * perAgent + batch * (4 * hyperWeights - state))
  }

  private var hyperWeights: Int {
    let settings = settings
    let trunk = Self.weights([agents * observation] + settings.hyperHidden)
    let outputs = (agents + 2) * settings.mixerEmbedding + 1
    return 4 * trunk + settings.hyperHidden[settings.hyperHidden.count - 1] * outputs
  }

  private static func weights(_ widths: [Int]) -> Int {
    zip(widths, widths.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 }
  }

  /// Runs the step and reports medians.
  public func run(kernels: Kernels) throws -> Report {
    var generator = SplitMix(state: 1)
    let settings = settings
    let core = try QMIXCore(settings, kernels: kernels, using: &generator)
    var noise = NoiseStream(seed: 2)
    let batches = (0..<4).map { _ in randomBatch(settings, &generator) }
    var loss = 0.0
    for i in 0..<5 { loss = core.trainStep(batches[i % 4], noise: &noise).loss }
    var peak = Self.peak(kernels)
    let block = max(1, steps / 12)
    var wall: [Double] = []
    var processor: [Double] = []
    var done = 0
    while done < steps {
      let (w, c) = (Self.seconds(CLOCK_MONOTONIC), Self.seconds(CLOCK_PROCESS_CPUTIME_ID))
      for i in 0..<block {
        loss = core.trainStep(batches[(done + i) % 4], noise: &noise).loss
      }
      wall.append((Self.seconds(CLOCK_MONOTONIC) - w) / Double(block))
      processor.append((Self.seconds(CLOCK_PROCESS_CPUTIME_ID) - c) / Double(block))
      done += block
    }
    peak = max(peak, Self.peak(kernels))
    let observations = (0..<agents).map { _ in
      (0..<observation).map { _ in Float(generator.next() >> 40) * 0x1p-24 }
    }
    var select: [Double] = []
    for _ in 0..<60 {
      let c = Self.seconds(CLOCK_PROCESS_CPUTIME_ID)
      for agent in 0..<agents {
        _ = core.greedyAction(agent: agent, observation: observations[agent], noise: &noise)
      }
      select.append(Self.seconds(CLOCK_PROCESS_CPUTIME_ID) - c)
    }
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let w = Self.median(wall)
    let c = Self.median(processor)
    return Report(
      stepsPerSecond: 1 / w, stepsPerCPUSecond: 1 / c,
      bestStepsPerCPUSecond: 1 / processor.min()!, msPerStep: w * 1e3,
      gflops: operationsPerStep / c * 1e-9,
      gflopsExecuted: operationsExecuted / c * 1e-9, gflopsPeak: peak,
      rssMiB: Double(usage.ru_maxrss) / 1024, isa: kernels.name,
      actionSelectMs: Self.median(select) * 1e3, loss: loss)
  }

  private func randomBatch(
    _ settings: QMIXSettings, _ generator: inout SplitMix
  ) -> JointBatch {
    let batch = JointBatch(settings)
    func uniform() -> Float { Float(generator.next() >> 40) * 0x1p-24 }
    for b in 0..<batch.size {
      batch.states.setRow(b, (0..<batch.states.columns).map { _ in uniform() })
      batch.nextStates.setRow(b, (0..<batch.states.columns).map { _ in uniform() })
      batch.rewards[b] = uniform() * 2 - 1
    }
    for i in batch.actions.indices { batch.actions[i] = Int(generator.next() % UInt64(actions)) }
    return batch
  }

  /// The best of several short runs of multiply-adds in registers, in GFLOP per processor second.
  static func peak(_ kernels: Kernels) -> Double {
    var best = 0.0
    for _ in 0..<8 {
      let start = seconds(CLOCK_PROCESS_CPUTIME_ID)
      let (operations, _) = kernels.multiplyAddLoop(iterations: 1_000_000)
      best = max(best, Double(operations) / (seconds(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e-9)
    }
    return best
  }

  static func seconds(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}

/// One product of the train step in every way this program can compute it.
public struct KernelBenchmark: Sendable {
  public struct Row: Sendable {
    public var isa: String
    public var product: String
    public var gflops: Double
    public var gflopsPeak: Double
    /// How much faster than three nested loops in Swift.
    public var timesNaive: Double
  }

  public init() {}

  /// Layers of the denoiser at batch 64 and M = 7: forward with Mish, and the gradient of the weights.
  public func run(kernels: Kernels) -> [Row] {
    let peak = TrainBenchmark.peak(kernels)
    return [(64, 256, 256, false), (64, 256, 132, false), (256, 448, 256, true)].map {
      let (rows, inner, columns, transposed) = $0
      let a = transposed ? Matrix(rows: inner, columns: rows) : Matrix(rows: rows, columns: inner)
      let b = Matrix(rows: inner, columns: columns)
      let c = Matrix(rows: rows, columns: columns)
      let d = Matrix(rows: rows, columns: columns)
      var noise = NoiseStream(seed: 1)
      noise.fill(a, kernels: kernels)
      noise.fill(b, kernels: kernels)
      let operations = Double(2 * rows * inner * columns)
      func rate(_ repeats: Int, _ work: () -> Void) -> Double {
        var best = 0.0
        for _ in 0..<7 {
          let start = TrainBenchmark.seconds(CLOCK_PROCESS_CPUTIME_ID)
          for _ in 0..<repeats { work() }
          let time = TrainBenchmark.seconds(CLOCK_PROCESS_CPUTIME_ID) - start
          best = max(best, operations * Double(repeats) / time * 1e-9)
        }
        return best
      }
      let fast = rate(200) {
        if transposed {
          kernels.multiplyTransposed(a, b, into: c, accumulate: false)
        } else {
          kernels.multiply(a, b, into: c, activation: .mish, derivative: d)
        }
      }
      let slow = rate(1) { Self.naive(a, b, into: c, transposed: transposed) }
      let name = "\(transposed ? "gradient" : "mish") \(rows)x\(inner)x\(columns)"
      return Row(
        isa: kernels.name, product: name, gflops: fast, gflopsPeak: peak, timesNaive: fast / slow)
    }
  }

  private static func naive(_ a: Matrix, _ b: Matrix, into c: Matrix, transposed: Bool) {
    for r in 0..<c.rows {
      let out = c.rowPointer(r)
      for j in 0..<c.columns {
        var sum: Float = 0
        for k in 0..<b.rows {
          sum += (transposed ? a.rowPointer(k)[r] : a.rowPointer(r)[k]) * b.rowPointer(k)[j]
        }
        out[j] = sum
      }
    }
  }
}

/// Random numbers of the benchmarks, the same in every run.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
