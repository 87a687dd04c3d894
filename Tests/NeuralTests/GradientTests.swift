import Foundation
import Neural
import Testing

extension Diffusion {
  /// All choices as P1 prints them.
  static var printed: Diffusion {
    var result = Diffusion()
    result.prediction = .epsilon
    result.q = .softmax
    return result
  }
}

/// A batch of random transitions.
func randomBatch(_ settings: QMIXSettings, _ random: inout TestGenerator) -> JointBatch {
  let batch = JointBatch(settings)
  let agents = settings.actions.count
  for matrix in [batch.states, batch.nextStates] {
    for b in 0..<batch.size {
      matrix.setRow(b, (0..<matrix.columns).map { _ in random.float() })
    }
  }
  for i in batch.actions.indices {
    batch.actions[i] = Int(random.next() % UInt64(settings.actions[i % agents]))
  }
  for b in 0..<batch.size { batch.rewards[b] = random.float() }
  for b in 0..<batch.size { batch.bootstrap[b] = random.next() % 4 == 0 ? 0 : 1 }
  return batch
}

/// Small networks in every form that the learners know.
struct Case: CustomTestStringConvertible, Sendable {
  let name: String
  let settings: QMIXSettings
  var testDescription: String { name }

  static func small(_ change: (inout QMIXSettings) -> Void) -> QMIXSettings {
    var settings = QMIXSettings(actions: [6, 5, 7], observation: 5)
    settings.training.hidden = [8, 7, 6]
    settings.hyperHidden = [5, 4]
    settings.mixerEmbedding = 3
    settings.training.batchSize = 4
    var diffusion = Diffusion()
    diffusion.steps = 3
    settings.diffusion = diffusion
    change(&settings)
    return settings
  }

  static let all = [
    Case(name: "default", settings: small { _ in }),
    Case(
      name: "printed",
      settings: small {
        $0.diffusion = .printed
        $0.diffusion!.steps = 3
        $0.training.mixer = .linear
      }),
    Case(
      name: "tanh, softmax",
      settings: small {
        $0.diffusion!.noiseOutput = .tanh
        $0.diffusion!.q = .softmax
      }),
    Case(name: "tanh", settings: small { $0.diffusion!.noiseOutput = .tanh }),
    Case(name: "clipped x0", settings: small { $0.diffusion!.clip = 0.4 }),
    Case(
      name: "clipped epsilon",
      settings: small {
        $0.diffusion!.prediction = .epsilon
        $0.diffusion!.clip = 1
      }),
    Case(
      name: "one step, two layers",
      settings: small {
        $0.diffusion!.steps = 1
        $0.training.hidden = [17, 16]
      }),
    Case(
      name: "shared",
      settings: small {
        $0.actions = [6, 5, 6]
        $0.networkOfAgent = [3, 1, 3]
      }),
    Case(name: "p-qmix", settings: small { $0.diffusion = nil }),
    Case(
      name: "p-qmix shared",
      settings: small {
        $0.diffusion = nil
        $0.actions = [6, 6, 6]
        $0.networkOfAgent = [0, 0, 0]
      }),
  ]
}

@Suite struct GradientTests {
  /// Loss and all gradients of the train step against central differences in double precision.
  @Test(arguments: Case.all)
  func lossOfTheTrainStep(_ example: Case) throws {
    var settings = example.settings
    settings.training.discount = 0.9
    // Noise differs in its last bits between the sets, too little to matter here: one set of differences serves all.
    var differences: Differences?
    for kernels in Kernels.available {
      var random = TestGenerator(state: 21)
      let core = try QMIXCore(settings, kernels: kernels, using: &random)
      let batch = randomBatch(settings, &random)
      if example.name == "default" {
        batch.nextAllowed = (0..<batch.size * 18).map { $0 < 18 + 6 || random.next() % 2 == 0 }
        for i in 18..<24 { batch.nextAllowed![i] = false }
      }
      let stream = NoiseStream(seed: 5)
      let naive = NaiveLoss(
        settings, batch, targets: NaiveTwin(core.store), noise: stream, kernels: kernels)
      var noise = stream
      let result = core.gradients(batch, noise: &noise)
      let exact = naive.value(NaiveTwin(core.store))
      #expect(abs(result.loss - exact) < 2e-5 * max(exact, 1), "\(kernels.name)")
      let known = differences ?? Differences(core.store, perTensor: 8, naive.value)
      differences = known
      for (name, error) in known.errors(of: core.store) {
        #expect(error < 1e-4, "\(kernels.name) \(name)")
      }
    }
  }

  @Test(arguments: [Activation.mish, .relu, .tanh])
  func perceptron(_ activation: Activation) throws {
    for kernels in Kernels.available {
      var random = TestGenerator(state: 31)
      var layout = ParameterLayout()
      let net = MLP(&layout, "net", widths: [5, 17, 3, 2], activation: activation)
      let store = ParameterStore(layout, targets: false, kernels: kernels)
      store.initialise(using: &random)
      let x = Matrix(rows: 6, columns: 5)
      for r in 0..<6 { x.setRow(r, (0..<5).map { _ in random.float() }) }
      let weights = Matrix(rows: 6, columns: 2)
      for r in 0..<6 { weights.setRow(r, [random.float(), random.float()]) }
      let record = MLP.Record(net, rows: 8)
      let output = net.forward(x, store, record: record)
      let f: (Double) -> Double =
        switch activation {
        case .relu: NaiveTwin.relu
        case .tanh: { tanh($0) }
        default: NaiveTwin.mish
        }
      /// The sum of outputs times fixed weights.
      func loss(_ twin: NaiveTwin, _ rows: [[Double]]) -> Double {
        var sum = 0.0
        for (r, row) in rows.enumerated() {
          let y = twin.mlp("net", row, layers: 3, f)
          sum += y[0] * Double(weights[r, 0]) + y[1] * Double(weights[r, 1])
        }
        return sum
      }
      let inputs = (0..<6).map { x.row($0).map { Double($0) } }
      for r in 0..<6 {
        let y = NaiveTwin(store).mlp("net", inputs[r], layers: 3, f)
        #expect(abs(Double(output[r, 0]) - y[0]) < 1e-6)
        #expect(abs(Double(output[r, 1]) - y[1]) < 1e-6)
      }
      let inputGradient = Matrix(rows: 6, columns: 5)
      net.backward(
        x, outputGradient: weights, store, record: record, inputGradient: inputGradient)
      for (name, error) in Differences(store, perTensor: 40, { loss($0, inputs) }).errors(
        of: store)
      {
        #expect(error < 1e-4, "\(kernels.name) \(name)")
      }
      for r in 0..<6 {
        for c in 0..<5 {
          var (above, below) = (inputs, inputs)
          above[r][c] += 1e-5
          below[r][c] -= 1e-5
          let twin = NaiveTwin(store)
          let exact = (loss(twin, above) - loss(twin, below)) / 2e-5
          #expect(abs(Double(inputGradient[r, c]) - exact) < 1e-5)
        }
      }
      // Accumulation doubles, and a pass for the input alone leaves the parameters' gradients.
      let first = store.gradient(layout.tensors[0]).row(0)
      _ = net.forward(x, store, record: record)
      net.backward(x, outputGradient: weights, store, record: record, accumulate: true)
      let second = store.gradient(layout.tensors[0]).row(0)
      for (a, b) in zip(first, second) { #expect(abs(2 * a - b) < 1e-6) }
      _ = net.forward(x, store, record: record)
      let again = Matrix(rows: 6, columns: 5)
      net.backward(
        x, outputGradient: weights, store, record: record, parameters: false,
        inputGradient: again)
      #expect(store.gradient(layout.tensors[0]).row(0) == second)
      #expect((0..<6).allSatisfy { again.row($0) == inputGradient.row($0) })
    }
  }

  @Test(arguments: Mixer.Form.allCases)
  func mixingNetwork(_ form: Mixer.Form) throws {
    for kernels in Kernels.available {
      var random = TestGenerator(state: 41)
      var layout = ParameterLayout()
      let mixer = Mixer(
        &layout, "mixer", agents: 3, state: 7, embedding: 17, hidden: [6, 5], form: form)
      let store = ParameterStore(layout, targets: false, kernels: kernels)
      store.initialise(using: &random)
      let (q, state) = (Matrix(rows: 5, columns: 3), Matrix(rows: 5, columns: 7))
      let d = Matrix(rows: 5, columns: 1)
      for r in 0..<5 {
        q.setRow(r, (0..<3).map { _ in 3 * random.float() })
        state.setRow(r, (0..<7).map { _ in random.float() })
        d[r, 0] = random.float()
      }
      let record = Mixer.Record(mixer, batch: 5)
      let total = mixer.forward(q, state: state, store, record: record)
      let values = (0..<5).map { q.row($0).map { Double($0) } }
      func loss(_ twin: NaiveTwin, _ q: [[Double]]) -> Double {
        (0..<5).reduce(0) {
          $0 + Double(d[$1, 0])
            * twin.mixed(
              q[$1], state: state.row($1).map { Double($0) }, embedding: 17, layers: 3, form: form)
        }
      }
      let twin = NaiveTwin(store)
      for r in 0..<5 {
        let exact = twin.mixed(
          values[r], state: state.row(r).map { Double($0) }, embedding: 17, layers: 3, form: form)
        #expect(abs(Double(total[r, 0]) - exact) < 1e-5)
      }
      let dq = Matrix(rows: 5, columns: 3)
      mixer.backward(q, state: state, totalGradient: d, store, record: record, qGradient: dq)
      for (name, error) in Differences(store, perTensor: 20, { loss($0, values) }).errors(
        of: store)
      {
        #expect(error < 1e-4, "\(kernels.name) \(name)")
      }
      for r in 0..<5 {
        for n in 0..<3 {
          var (above, below) = (values, values)
          above[r][n] += 1e-5
          below[r][n] -= 1e-5
          let exact = (loss(twin, above) - loss(twin, below)) / 2e-5
          #expect(abs(Double(dq[r, n]) - exact) < 1e-5)
          if form == .monotonic { #expect(dq[r, n] * d[r, 0] >= 0) }
        }
      }
    }
  }

  /// The reverse process alone, with the embedding of the steps, against central differences.
  @Test func denoiserWithSevenSteps() throws {
    for kernels in Kernels.available {
      for prediction in Diffusion.Prediction.allCases {
        var random = TestGenerator(state: 51)
        var diffusion = Diffusion()
        diffusion.prediction = prediction
        var layout = ParameterLayout()
        let net = Denoiser(
          &layout, "net", actions: 4, observation: 3, hidden: [6, 5, 6], settings: diffusion)
        let store = ParameterStore(layout, targets: false, kernels: kernels)
        store.initialise(using: &random)
        let s = Matrix(rows: 3, columns: 3)
        let d = Matrix(rows: 3, columns: 4)
        for r in 0..<3 {
          s.setRow(r, (0..<3).map { _ in random.float() })
          d.setRow(r, (0..<4).map { _ in random.float() })
        }
        let noise = Matrix(rows: 21, columns: 4)
        var stream = NoiseStream(seed: 8)
        stream.fill(noise, kernels: kernels)
        // Room for more samples than the pass has.
        let record = Denoiser.Record(net, batch: 5, keep: true)
        let result = net.forward(s, noise: noise, store, record: record)
        let forgetful = Denoiser.Record(net, batch: 4, keep: false)
        let same = net.forward(s, noise: noise, store, record: forgetful)
        func loss(_ twin: NaiveTwin) -> Double {
          var sum = 0.0
          for r in 0..<3 {
            let rows = stride(from: r, to: 21, by: 3).map { noise.row($0).map { Double($0) } }
            let y = twin.denoised(
              "net", s.row(r).map { Double($0) }, noise: rows, layers: 4, diffusion)
            for j in 0..<4 { sum += y[j] * Double(d[r, j]) }
          }
          return sum
        }
        var total = 0.0
        for r in 0..<3 {
          #expect(result.row(r) == same.row(r))
          for j in 0..<4 { total += Double(result[r, j] * d[r, j]) }
        }
        let exact = loss(NaiveTwin(store))
        #expect(abs(total - exact) < 1e-5 * max(abs(exact), 1))
        let workspace = Denoiser.Workspace(net, batch: 5)
        net.backward(s, resultGradient: d, store, record: record, workspace: workspace)
        for (name, error) in Differences(store, perTensor: 8, loss).errors(of: store) {
          #expect(error < 1e-4, "\(kernels.name) \(prediction) \(name)")
        }
      }
    }
  }

  /// A pass that computes one output per sample leaves the same values and gradients, to the last bit, as the whole
  /// pass whose other outputs have no gradient.
  @Test(arguments: Kernels.available.map(\.name), [false, true])
  func choicesChangeNothing(_ isa: String, accumulate: Bool) throws {
    let kernels = try Kernels.named(isa)
    let (batch, actions, inputs) = (11, 19, 5)
    var random = TestGenerator(state: 71)
    let x = Matrix(rows: batch, columns: inputs)
    for r in 0..<batch { x.setRow(r, (0..<inputs).map { _ in random.float() }) }
    let choices = (0..<batch).map { _ in Int32(random.next() % UInt64(actions)) }
    let gradient = Matrix(rows: 1, columns: batch)
    let whole = Matrix(rows: batch, columns: actions)
    for (r, choice) in choices.enumerated() {
      gradient[0, r] = random.float()
      whole[r, Int(choice)] = gradient[0, r]
    }
    /// Runs both passes on one network; each gives its values and fills the gradients of a fresh store.
    func compare(
      _ layout: ParameterLayout, _ pass: (ParameterStore, _ choices: [Int32]?) -> Matrix
    ) {
      let stores = (0..<2).map { _ in
        let store = ParameterStore(layout, targets: false, kernels: kernels)
        var same = TestGenerator(state: 72)
        store.initialise(using: &same)
        for tensor in layout.tensors {
          for r in 0..<tensor.rows { store.gradient(tensor)[r, tensor.columns / 2] = 0.25 }
        }
        return store
      }
      let all = pass(stores[0], nil)
      let some = pass(stores[1], choices)
      for (r, choice) in choices.enumerated() { #expect(some[0, r] == all[r, Int(choice)]) }
      for tensor in layout.tensors {
        let (a, b) = (stores[0].gradient(tensor), stores[1].gradient(tensor))
        for r in 0..<tensor.rows { #expect(a.row(r) == b.row(r), "\(tensor.name), row \(r)") }
      }
    }

    var layout = ParameterLayout()
    let net = MLP(&layout, "net", widths: [inputs, 18, 7, actions], activation: .mish)
    compare(layout) { store, choices in
      let record = MLP.Record(net, rows: batch + 1)
      let values = net.forward(x, store, choices: choices, record: record)
      let result = Matrix(rows: values.rows, columns: values.columns)
      result.copy(from: values)
      net.backward(
        x, outputGradient: choices == nil ? whole : gradient, store, record: record,
        accumulate: accumulate)
      return result
    }

    for (prediction, output, clip, steps) in [
      (Diffusion.Prediction.x0, Diffusion.NoiseOutput.linear, nil as Double?, 3),
      (.epsilon, .tanh, nil, 2), (.epsilon, .linear, 0.5, 1),
    ] {
      var settings = Diffusion()
      settings.prediction = prediction
      settings.noiseOutput = output
      settings.clip = clip
      settings.steps = steps
      var layout = ParameterLayout()
      let net = Denoiser(
        &layout, "net", actions: actions, observation: inputs, hidden: [8, 17], settings: settings)
      let noise = Matrix(rows: steps * batch, columns: actions)
      var stream = NoiseStream(seed: 9)
      stream.fill(noise, kernels: kernels)
      compare(layout) { store, choices in
        let record = Denoiser.Record(net, batch: batch + 1, keep: true)
        let values = net.forward(x, noise: noise, store, choices: choices, record: record)
        net.backward(
          x, resultGradient: choices == nil ? whole : gradient, store, record: record,
          workspace: Denoiser.Workspace(net, batch: batch + 1), accumulate: accumulate)
        return values
      }
    }
  }

  /// The schedule for M = 7, to five digits.
  @Test func schedule() {
    let expected = [0.10891, 0.27192, 0.40512, 0.51394, 0.60286, 0.67551, 0.73487]
    let beta = DiffusionSchedule(Diffusion()).beta
    #expect(beta.count == 7)
    for (a, b) in zip(beta, expected) { #expect(abs(a - b) < 5e-6) }
    #expect(abs(1 / beta.reduce(1) { $0 * (1 - $1) }.squareRoot() - 12.5) < 0.1)
  }

  @Test func squashedGaussian() {
    for (mean, deviation, noise) in [
      (0.3, -0.5, 0.8), (-2.0, 0.4, -1.1), (0.0, -3.0, 0.2), (12.0, 0.0, 1.0),
    ] {
      func make(_ a: Double, _ b: Double) -> SquashedGaussian {
        SquashedGaussian(mean: a, logDeviation: b, noise: noise)
      }
      let it = make(mean, deviation)
      let u = mean + exp(deviation) * noise
      #expect(it.action == tanh(u))
      if abs(u) < 4 {
        let density =
          exp(-noise * noise / 2) / (exp(deviation) * (2 * Double.pi).squareRoot())
          / (1 - tanh(u) * tanh(u))
        #expect(abs(it.logProbability - log(density)) < 1e-9)
      }
      #expect(it.logProbability.isFinite)
      let h = 1e-6
      let g = it.gradient(action: 0.7, logProbability: -1.3)
      func loss(_ a: Double, _ b: Double) -> Double {
        0.7 * make(a, b).action - 1.3 * make(a, b).logProbability
      }
      let dMean = (loss(mean + h, deviation) - loss(mean - h, deviation)) / (2 * h)
      let dDeviation = (loss(mean, deviation + h) - loss(mean, deviation - h)) / (2 * h)
      #expect(abs(g.mean - dMean) < 1e-7 && abs(g.logDeviation - dDeviation) < 1e-7)
    }
  }

  @Test func categorical() {
    let logits: [Float] = [0.4, -1.5, 700, 2.25, 0.5]
    let allowed = [true, true, false, true, true]
    let it = Categorical(logits: logits, allowed: allowed)
    #expect(abs(it.probabilities.reduce(0, +) - 1) < 1e-12)
    #expect(it.probabilities[2] == 0 && it.logProbabilities[2] == 0)
    for i in [0, 1, 3, 4] {
      #expect(abs(exp(it.logProbabilities[i]) - it.probabilities[i]) < 1e-12)
    }
    let dp = [0.5, -1, 3, 0.25, 0.75]
    let dl = [-0.5, 0.3, 9, 0.2, 1.5]
    let gradient = it.gradient(probabilities: dp, logProbabilities: dl)
    #expect(gradient[2] == 0)
    for i in [0, 1, 3, 4] {
      func loss(_ shift: Float) -> Double {
        var moved = logits
        moved[i] += shift
        let c = Categorical(logits: moved, allowed: allowed)
        return [0, 1, 3, 4].reduce(0) {
          $0 + dp[$1] * c.probabilities[$1] + dl[$1] * c.logProbabilities[$1]
        }
      }
      let h: Float = 0x1p-10
      #expect(abs(Double(gradient[i]) - (loss(h) - loss(-h)) / (2 * Double(h))) < 1e-5)
    }
    #expect(it.sample(0) == 0 && it.sample(0.999_999_9) == 4)
    var counts = Array(repeating: 0, count: 5)
    var random = TestGenerator(state: 61)
    for _ in 0..<20_000 { counts[it.sample(Double(random.next() >> 11) * 0x1p-53)] += 1 }
    for i in 0..<5 {
      let p = it.probabilities[i]
      let deviation = (p * (1 - p) / 20_000).squareRoot()
      #expect(abs(Double(counts[i]) / 20_000 - p) <= 5 * deviation)
    }
  }
}
