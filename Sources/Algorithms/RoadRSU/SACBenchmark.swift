internal import Glibc
internal import Neural
internal import Support

/// Measures the train step of the hybrid soft actor-critic on random data.
public struct SACBenchmark: Sendable {
  public struct Report: Sendable {
    public let isa: String
    /// Median over blocks of steps.
    public let stepsPerSecond: Double
    public let msPerStep: Double
    /// The same in processor time, which other processes on the machine do not disturb.
    public let cpuMsPerStep: Double
    public let meanActMs: Double
    public let criticLoss: Double
  }

  public var observation = 17
  public var choices = 22
  public var continuous = 2
  public var batch = 256
  public var hidden = 256
  public var steps = 200

  public init() {}

  public func run() throws -> Report {
    var settings = HybridSACSettings(
      observation: observation, choices: choices, continuous: continuous)
    settings.batch = batch
    settings.hidden = [hidden, hidden]
    settings.discount = 0.99
    var stream = RandomStream(seed: 1, .test)
    let kernels = try Kernels.selected()
    let sac = HybridSAC(settings, kernels: kernels, using: &stream)
    let data = HybridBatch(settings)
    for b in 0..<batch {
      for i in 0..<observation {
        data.states[b, i] = Float(stream.normal())
        data.nextStates[b, i] = Float(stream.normal())
      }
      for k in 0..<continuous {
        data.actions[b * continuous + k] = Float(stream.uniform(-1, 1))
      }
      data.choices[b] = stream.index(below: choices)
      data.rewards[b] = Float(stream.normal())
    }
    let clock = ContinuousClock()
    func seconds(_ body: () -> Void) -> Double {
      let (whole, fraction) = clock.measure(body).components
      return Double(whole) + Double(fraction) * 1e-18
    }
    var loss = 0.0
    for _ in 0..<5 { loss = sac.trainStep(data, learningRate: 3e-4, using: &stream).criticLoss }
    let blocks = 10
    let block = max(1, steps / blocks)
    let processorStart = processorNanoseconds()
    let times = (0..<blocks).map { _ in
      seconds {
        for _ in 0..<block {
          loss = sac.trainStep(data, learningRate: 3e-4, using: &stream).criticLoss
        }
      } / Double(block)
    }
    let processorTime = processorNanoseconds() - processorStart
    let median = Statistics.quantile(times, 0.5)
    let state = data.states.row(0)
    var acting: RandomStream? = stream
    let act = seconds {
      for _ in 0..<200 { _ = sac.act(state, allowed: choices, stream: &acting) }
    }
    return Report(
      isa: kernels.name, stepsPerSecond: 1 / median, msPerStep: 1000 * median,
      cpuMsPerStep: processorTime / 1e6 / Double(blocks * block),
      meanActMs: 1000 * act / 200, criticLoss: loss)
  }
}

/// Processor time of this process in nanoseconds.
private func processorNanoseconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}
