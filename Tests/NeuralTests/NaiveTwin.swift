import Foundation
import Neural

/// The networks again, in double precision and as plainly as they can be written: what the fast code is held against.
struct NaiveTwin {
  typealias Row = [Double]
  /// Tensors by name, as rows.
  var parameters: [String: [Row]]

  init(_ store: ParameterStore, _ section: ParameterStore.Section = .parameters) {
    parameters = [:]
    for tensor in store.layout.tensors {
      let values = store.matrix(tensor, section)
      parameters[tensor.name] = (0..<tensor.rows).map { values.row($0).map { Double($0) } }
    }
  }

  func dense(_ name: String, _ x: Row) -> Row {
    var y = parameters[name + ".bias"]![0]
    for (i, row) in parameters[name + ".weight"]!.enumerated() {
      for j in y.indices { y[j] += x[i] * row[j] }
    }
    return y
  }

  static func mish(_ x: Double) -> Double { x * tanh(log1p(exp(x))) }
  static func relu(_ x: Double) -> Double { max(x, 0) }

  /// Layers `name.1` ... `name.count`, the last one linear.
  func mlp(_ name: String, _ x: Row, layers count: Int, _ f: (Double) -> Double) -> Row {
    var h = x
    for l in 1...count {
      h = dense("\(name).\(l)", h)
      if l < count { h = h.map(f) }
    }
    return h
  }

  /// x^0 of one sample; `noise`: x^M, then z of steps M, ..., 2.
  func denoised(
    _ name: String, _ observation: Row, noise: [Row], layers: Int, _ settings: Diffusion
  ) -> Row {
    let count = settings.steps
    var beta: [Double] = []
    for m in 1...count {
      let t = Double(2 * m - 1) / Double(2 * count * count)
      let rate = settings.betaMax - settings.betaMin
      beta.append(1 - exp(-settings.betaMin / Double(count) - t * rate))
    }
    func bar(_ m: Int) -> Double { beta.prefix(m).reduce(1) { $0 * (1 - $1) } }
    var x = noise[0]
    for m in (1...count).reversed() {
      let phases = (0..<8).map { Double(m) * pow(10000, -Double($0) / 7) }
      let hidden = dense(name + ".embedding.1", phases.map(sin) + phases.map(cos))
      let step = dense(name + ".embedding.2", hidden.map(Self.mish))
      var f = mlp(name, x + step + observation, layers: layers, Self.mish)
      if settings.noiseOutput == .tanh { f = f.map { tanh($0) } }
      let (alpha, b) = (1 - beta[m - 1], beta[m - 1])
      let spread = (bar(m - 1) * b / (1 - bar(m)), alpha.squareRoot())
      for j in x.indices {
        var start = f[j]
        if settings.prediction == .epsilon {
          start = (x[j] - (1 - bar(m)).squareRoot() * f[j]) / bar(m).squareRoot()
        }
        if let clip = settings.clip { start = min(max(start, -clip), clip) }
        let kept = spread.1 * (1 - bar(m - 1)) / (1 - bar(m))
        var mean = kept * x[j] + bar(m - 1).squareRoot() * b / (1 - bar(m)) * start
        if settings.prediction == .epsilon && settings.clip == nil {
          mean = (x[j] - (1 - alpha) / (1 - bar(m)).squareRoot() * f[j]) / alpha.squareRoot()
        }
        let sigma = ((1 - bar(m - 1)) / (1 - bar(m)) * b).squareRoot()
        x[j] = m == 1 ? mean : mean + sigma * noise[count - m + 1][j]
      }
    }
    guard settings.q == .softmax else { return x }
    let peak = x.max()!
    let total = x.reduce(0) { $0 + exp($1 - peak) }
    return x.map { exp($0 - peak) / total }
  }

  func mixed(_ q: Row, state: Row, embedding: Int, layers: Int, form: Mixer.Form) -> Double {
    let hyper = ["w1", "b1", "w2", "b2"].map {
      mlp("mixer." + $0, state, layers: layers, Self.relu)
    }
    func weight(_ w: Double) -> Double { form == .monotonic ? abs(w) : w }
    var total = hyper[3][0]
    for e in 0..<embedding {
      var sum = hyper[1][e]
      for n in q.indices { sum += q[n] * weight(hyper[0][n * embedding + e]) }
      if form == .monotonic && sum < 0 { sum = expm1(sum) }
      total += sum * weight(hyper[2][e])
    }
    return total
  }

  /// q-values of one agent's observation.
  func qValues(_ settings: QMIXSettings, agent: Int, _ observation: Row, noise: [Row]) -> Row {
    let labels = settings.networkOfAgent ?? Array(settings.actions.indices)
    var order: [Int] = []
    for label in labels where !order.contains(label) { order.append(label) }
    let name = "agent\(order.firstIndex(of: labels[agent])! + 1)"
    let layers = settings.training.hidden.count + 1
    if let diffusion = settings.diffusion {
      return denoised(name, observation, noise: noise, layers: layers, diffusion)
    }
    return mlp(name, observation, layers: layers, Self.mish)
  }

  func total(_ settings: QMIXSettings, _ q: Row, state: Row) -> Double {
    mixed(
      q, state: state, embedding: settings.mixerEmbedding, layers: settings.hyperHidden.count + 1,
      form: settings.training.mixer)
  }
}

/// The joint batch and its noise as rows of doubles, and the loss that `QMIXCore` should find.
struct NaiveLoss {
  let settings: QMIXSettings
  let batch: JointBatch
  var goals: [Double] = []
  var noise: [[Matrix]] = []  // per agent: target, online

  init(
    _ settings: QMIXSettings, _ batch: JointBatch, targets: NaiveTwin, noise stream: NoiseStream,
    kernels: Kernels
  ) {
    self.settings = settings
    self.batch = batch
    var stream = stream
    for actions in settings.actions {
      noise.append(
        (0..<2).map { _ in
          let rows = (settings.diffusion?.steps ?? 0) * batch.size
          let matrix = Matrix(rows: rows, columns: actions)
          if rows > 0 { stream.fill(matrix, kernels: kernels) }
          return matrix
        })
    }
    let width = settings.actions.reduce(0, +)
    for b in 0..<batch.size {
      var next: [Double] = []
      for n in settings.actions.indices {
        let q = targets.qValues(
          settings, agent: n, observation(batch.nextStates, b, n), noise: rows(noise[n][0], b))
        let first = b * width + settings.actions[..<n].reduce(0, +)
        let open = q.indices.filter { batch.nextAllowed?[first + $0] ?? true }
        next.append(open.map { q[$0] }.max() ?? 0)
      }
      let value = targets.total(settings, next, state: state(batch.nextStates, b))
      goals.append(
        Double(batch.rewards[b]) + settings.training.discount * Double(batch.bootstrap[b]) * value)
    }
  }

  private func state(_ matrix: Matrix, _ b: Int) -> [Double] { matrix.row(b).map { Double($0) } }

  private func observation(_ matrix: Matrix, _ b: Int, _ agent: Int) -> [Double] {
    let size = settings.observation
    return Array(state(matrix, b)[agent * size..<(agent + 1) * size])
  }

  private func rows(_ noise: Matrix, _ b: Int) -> [[Double]] {
    stride(from: b, to: noise.rows, by: batch.size).map { noise.row($0).map { Double($0) } }
  }

  /// The loss as a function of the online parameters.
  func value(_ twin: NaiveTwin) -> Double {
    var sum = 0.0
    let agents = settings.actions.count
    for b in 0..<batch.size {
      let q = (0..<agents).map { n in
        twin.qValues(
          settings, agent: n, observation(batch.states, b, n), noise: rows(noise[n][1], b))[
            batch.actions[b * agents + n]]
      }
      let error = twin.total(settings, q, state: state(batch.states, b)) - goals[b]
      sum += error * error
    }
    return sum / Double(batch.size)
  }
}

/// Central differences of a function of the twin, at a sample of every tensor's parameters.
struct Differences {
  var samples: [(tensor: Tensor, row: Int, column: Int, exact: Double)] = []

  init(_ store: ParameterStore, perTensor limit: Int, _ loss: (NaiveTwin) -> Double) {
    var twin = NaiveTwin(store)
    var random = TestGenerator(state: 77)
    for tensor in store.layout.tensors {
      let all = (0..<tensor.rows).flatMap { r in (0..<tensor.columns).map { (r, $0) } }
      for (r, c) in all.count <= limit ? all : Array(all.shuffled(using: &random).prefix(limit)) {
        let value = twin.parameters[tensor.name]![r][c]
        let h = 1e-5
        twin.parameters[tensor.name]![r][c] = value + h
        let above = loss(twin)
        twin.parameters[tensor.name]![r][c] = value - h
        let below = loss(twin)
        twin.parameters[tensor.name]![r][c] = value
        samples.append((tensor, r, c, (above - below) / (2 * h)))
      }
    }
  }

  /// For each tensor the greatest error of the store's gradients over the tensor's greatest component.
  func errors(of store: ParameterStore) -> [(name: String, error: Double)] {
    store.layout.tensors.map { tensor in
      let gradient = store.gradient(tensor)
      let scale = (0..<tensor.rows).flatMap { gradient.row($0) }.reduce(0) { max($0, abs($1)) }
      let worst = samples.filter { $0.tensor == tensor }.reduce(0.0) {
        max($0, abs(Double(gradient[$1.row, $1.column]) - $1.exact))
      }
      return (tensor.name, scale == 0 ? worst : worst / Double(scale))
    }
  }
}
