import Foundation
import Neural
import Support
import Testing

/// Losses and gradients that PyTorch found for the same parameters, batches and noise.
private struct Reference {
  var losses: [Double] = []
  var gradients: [String: [[Double]]] = [:]

  init(_ name: String) throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = root.appending(path: "Scripts/reference/pytorch-\(name).txt")
    var current = ""
    for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
      let words = line.split(separator: " ")
      switch words[0] {
      case "#": continue
      case "loss": losses.append(try #require(Double(words[1])))
      case "gradient":
        current = String(words[1])
        gradients[current] = []
      default: gradients[current]!.append(try words.map { try #require(Double($0)) })
      }
    }
  }
}

private struct PyTorchCase: CustomTestStringConvertible, Sendable {
  let name: String
  let settings: QMIXSettings
  var testDescription: String { name }

  static let all = [
    PyTorchCase(name: "mad2rl", settings: Case.small { $0.diffusion!.steps = 5 }),
    PyTorchCase(
      name: "mad2rl-printed",
      settings: Case.small {
        $0.diffusion = .printed
        $0.diffusion!.steps = 5
        $0.training.mixer = .linear
      }),
    PyTorchCase(
      name: "mad2rl-shared",
      settings: Case.small {
        $0.actions = [6, 5, 6]
        $0.networkOfAgent = [1, 2, 1]
        $0.diffusion!.noiseOutput = .tanh
        $0.diffusion!.clip = 0.25
      }),
    PyTorchCase(name: "p-qmix", settings: Case.small { $0.diffusion = nil }),
  ]
}

@Suite struct LearnerTests {
  /// Four train steps: the gradients of the first, and every loss, so that clipping, Adam and soft update count.
  @Test(arguments: PyTorchCase.all)
  private func agreesWithPyTorch(_ example: PyTorchCase) throws {
    let reference = try Reference(example.name)
    #expect(reference.losses.count == 4)
    var settings = example.settings
    settings.training.gradientClip = 0.05
    for kernels in Kernels.available {
      var random = TestGenerator(state: 11)
      var noise = NoiseStream(seed: 12)
      let core = try QMIXCore(settings, kernels: kernels, using: &random)
      for (step, loss) in reference.losses.enumerated() {
        let batch = randomBatch(settings, &random)
        if step == 0 {
          var copy = noise
          _ = core.gradients(batch, noise: &copy)
          let largest = reference.gradients.values.reduce(0.0) {
            max($0, $1.reduce(0.0) { max($0, $1.reduce(0.0) { max($0, abs($1)) }) })
          }
          #expect(reference.gradients.count == core.store.layout.tensors.count)
          for tensor in core.store.layout.tensors {
            let expected = try #require(reference.gradients[tensor.name])
            let found = core.store.gradient(tensor)
            try #require(expected.count == tensor.rows && expected[0].count == tensor.columns)
            var worst = 0.0
            for r in 0..<tensor.rows {
              for c in 0..<tensor.columns {
                worst = max(worst, abs(Double(found[r, c]) - expected[r][c]))
              }
            }
            #expect(worst <= 1e-5 * largest, "\(kernels.name) \(tensor.name)")
          }
        }
        let result = core.trainStep(batch, noise: &noise)
        #expect(abs(result.loss - loss) <= 1e-5 * loss, "\(kernels.name), step \(step)")
      }
    }
  }

  private func trained(
    _ settings: QMIXSettings, steps: Int, kernels: Kernels, from state: ([UInt8], UInt64)? = nil
  ) throws -> (bytes: [UInt8], block: UInt64, losses: [Double]) {
    var random = TestGenerator(state: state == nil ? 1 : 999)
    let core = try QMIXCore(settings, kernels: kernels, using: &random)
    var noise = NoiseStream(seed: 2)
    var first = 0
    if let (bytes, block) = state {
      try core.restoreState(bytes)
      noise.block = block
      first = steps / 2
    }
    var losses: [Double] = []
    for step in first..<steps {
      var random = TestGenerator(state: UInt64(1000 + step))
      losses.append(core.trainStep(randomBatch(settings, &random), noise: &noise).loss)
    }
    return (core.saveState(), noise.block, losses)
  }

  @Test(arguments: [Case.all[0], Case.all[1], Case.all[6], Case.all[7]])
  func sameSeedAndResumeGiveSameBytes(_ example: Case) throws {
    for kernels in Kernels.available {
      let once = try trained(example.settings, steps: 6, kernels: kernels)
      let twice = try trained(example.settings, steps: 6, kernels: kernels)
      #expect(once.bytes == twice.bytes && once.losses == twice.losses)
      let half = try trained(example.settings, steps: 3, kernels: kernels)
      #expect(half.bytes != once.bytes)
      let resumed = try trained(
        example.settings, steps: 6, kernels: kernels, from: (half.bytes, half.block))
      #expect(resumed.bytes == once.bytes && resumed.losses == Array(once.losses[3...]))
      #expect(resumed.block == once.block)
    }
  }

  /// Repeated steps on one batch fit it: Adam goes downhill in every form.
  @Test(arguments: Case.all)
  func fitsOneBatch(_ example: Case) throws {
    var settings = example.settings
    settings.training.discount = 0
    settings.training.learningRate = 0.01
    var random = TestGenerator(state: 3)
    let core = try QMIXCore(settings, kernels: Kernels.available[0], using: &random)
    let batch = randomBatch(settings, &random)
    var noise = NoiseStream(seed: 4)
    var losses: [Double] = []
    for _ in 0..<200 { losses.append(core.trainStep(batch, noise: &noise).loss) }
    let start = losses[..<5].reduce(0, +)
    let end = losses[195...].reduce(0, +)
    #expect(end < start / 2, "\(start / 5) to \(end / 5)")
  }

  @Test func actingMatchesTheTwinAndRespectsTheMask() throws {
    for example in Case.all {
      for kernels in Kernels.available {
        var random = TestGenerator(state: 5)
        let settings = example.settings
        let core = try QMIXCore(settings, kernels: kernels, using: &random)
        let twin = NaiveTwin(core.store)
        for agent in settings.actions.indices {
          let observation = (0..<settings.observation).map { _ in random.float() }
          let stream = NoiseStream(seed: 6, block: UInt64(agent) * 1000)
          var noise = stream
          let q = core.qValues(agent: agent, observation: observation, noise: &noise)
          #expect(q.count == settings.actions[agent])
          let rows = Matrix(
            rows: settings.diffusion?.steps ?? 0, columns: settings.actions[agent])
          noise = stream
          if rows.rows > 0 { noise.fill(rows, kernels: kernels) }
          let exact = twin.qValues(
            settings, agent: agent, observation.map { Double($0) },
            noise: (0..<rows.rows).map { rows.row($0).map { Double($0) } })
          for (a, b) in zip(q, exact) { #expect(abs(Double(a) - b) < 1e-5 * max(1, abs(b))) }
          noise = stream
          let best = core.greedyAction(agent: agent, observation: observation, noise: &noise)
          #expect(q[best] == q.max())
          var allowed = Array(repeating: true, count: q.count)
          allowed[best] = false
          noise = stream
          let second = core.greedyAction(
            agent: agent, observation: observation, allowed: allowed, noise: &noise)
          #expect(
            second != best && q[second] == q.enumerated().filter { $0.0 != best }.map(\.1).max())
        }
      }
    }
  }

  @Test func settingsThatCannotWorkAreErrors() throws {
    func make(_ change: (inout QMIXSettings) -> Void) throws {
      var random = TestGenerator(state: 1)
      _ = try QMIXCore(
        Case.small(change), kernels: Kernels.available[0], using: &random)
    }
    #expect(throws: InputError.self) { try make { $0.actions = [] } }
    #expect(throws: InputError.self) { try make { $0.actions = [3, 0] } }
    #expect(throws: InputError.self) { try make { $0.training.hidden = [] } }
    #expect(throws: InputError.self) { try make { $0.training.batchSize = 0 } }
    #expect(throws: InputError.self) { try make { $0.diffusion!.steps = 0 } }
    #expect(throws: InputError.self) { try make { $0.networkOfAgent = [0, 1] } }
    let error = #expect(throws: InputError.self) { try make { $0.networkOfAgent = [0, 0, 1] } }
    #expect(error?.description.contains("agents 1 and 2 share a network") == true)
  }

  @Test func damagedStateIsAnErrorAndChangesNothing() throws {
    var random = TestGenerator(state: 1)
    let core = try QMIXCore(
      Case.all[0].settings, kernels: Kernels.available[0], using: &random)
    let other = try QMIXCore(
      Case.small { $0.training.hidden = [8, 7, 5] }, kernels: Kernels.available[0], using: &random)
    let bytes = core.saveState()
    #expect(throws: InputError.self) { try core.restoreState(other.saveState()) }
    for cut in [0, 1, 7, 8, 100, bytes.count / 2, bytes.count - 1] {
      #expect(throws: InputError.self) { try core.restoreState(Array(bytes[..<cut])) }
    }
    for place in stride(from: 0, to: 2000, by: 37) {
      var changed = bytes
      changed[place] ^= 0x40
      #expect(throws: InputError.self, "byte \(place)") { try core.restoreState(changed) }
    }
    #expect(core.saveState() == bytes)
    try core.restoreState(bytes)
    #expect(core.saveState() == bytes)
  }

  @Test func instructionSetsByName() throws {
    #expect(Kernels.available.last?.name == "base")
    for kernels in Kernels.available {
      #expect(try Kernels.named(kernels.name).name == kernels.name)
    }
    let error = #expect(throws: InputError.self) { try Kernels.named("sse9", key: "--isa") }
    #expect(error?.description.contains("--isa") == true)
    #expect(error?.description.contains("'sse9'") == true)
    #expect(error?.description.contains("base") == true)
  }

  @Test func softUpdateAndCopyOfTargets() throws {
    var random = TestGenerator(state: 9)
    var layout = ParameterLayout()
    let tensor = layout.add("w", rows: 3, columns: 17, fanIn: 4)
    let store = ParameterStore(layout, targets: true, kernels: Kernels.available[0])
    store.initialise(using: &random)
    let first = store.matrix(tensor).row(1)
    #expect(first.allSatisfy { abs($0) <= 0.5 } && Set(first).count == 17)
    #expect(store.matrix(tensor, .targets).row(1) == first)
    store.matrix(tensor)[1, 0] += 1
    store.softUpdate(rate: 0.25)
    #expect(abs(store.matrix(tensor, .targets)[1, 0] - (first[0] + 0.25)) < 1e-6)
    store.copyToTargets()
    #expect(store.matrix(tensor, .targets).row(1) == store.matrix(tensor).row(1))
    store.gradient(tensor).fill(2)
    #expect(abs(store.gradientNorm() - 2 * 51.0.squareRoot()) < 1e-5)
    #expect(abs(store.adamStep(Adam(learningRate: 0.1), clip: 1) - 2 * 51.0.squareRoot()) < 1e-5)
    // The first step of Adam has the size of the learning rate whatever the gradient's.
    #expect(abs(store.matrix(tensor)[1, 0] - (first[0] + 1 - 0.1)) < 1e-5)
    #expect(store.steps == 1)
    store.zeroGradients()
    #expect(store.gradientNorm() == 0)
  }
}
