import Foundation
import Neural
import Support
import Testing

@testable import Algorithms

/// A multilayer perceptron in plain Double loops, with the parameters of a store.
private struct NaiveMLP {
  /// Weights [inputs][outputs] and biases of each layer.
  var weights: [[[Double]]]
  var biases: [[Double]]

  init(_ mlp: MLP, _ store: ParameterStore, _ section: ParameterStore.Section = .parameters) {
    func rows(_ matrix: Matrix) -> [[Double]] {
      (0..<matrix.rows).map { matrix.row($0).map(Double.init) }
    }
    weights = mlp.layers.map { rows(store.matrix($0.weight, section)) }
    biases = mlp.layers.map { rows(store.matrix($0.bias, section))[0] }
  }

  func callAsFunction(_ input: [Double]) -> [Double] {
    var x = input
    for l in weights.indices {
      var y = biases[l]
      for (i, row) in weights[l].enumerated() {
        for j in y.indices { y[j] += x[i] * row[j] }
      }
      x = l + 1 < weights.count ? y.map { max($0, 0) } : y
    }
    return x
  }

  /// Calls `body` with each of some parameters changed by ±step; `read` gives the analytic gradient.
  mutating func differences(
    step: Double, stride: Int, gradient: (_ layer: Int, _ row: Int?, _ column: Int) -> Double,
    loss: (NaiveMLP) -> Double, check: (_ analytic: Double, _ numeric: Double, String) -> Void
  ) {
    var counter = 0
    func isDue() -> Bool {
      counter += 1
      return counter % stride == 0
    }
    for l in weights.indices {
      for i in weights[l].indices {
        for j in weights[l][i].indices where isDue() {
          let old = weights[l][i][j]
          weights[l][i][j] = old + step
          let above = loss(self)
          weights[l][i][j] = old - step
          let below = loss(self)
          weights[l][i][j] = old
          check(gradient(l, i, j), (above - below) / (2 * step), "weight \(l) \(i) \(j)")
        }
      }
      for j in biases[l].indices {
        let old = biases[l][j]
        biases[l][j] = old + step
        let above = loss(self)
        biases[l][j] = old - step
        let below = loss(self)
        biases[l][j] = old
        check(gradient(l, nil, j), (above - below) / (2 * step), "bias \(l) \(j)")
      }
    }
  }
}

/// The losses of soft actor-critic in plain Double loops, written from the definitions.
private struct NaiveSAC {
  let settings: HybridSACSettings
  var choiceTemperature: Double
  var continuousTemperature: Double

  /// Probabilities of the choices, continuous actions and their log-density.
  func policy(
    _ output: [Double], allowed: Int, noise: [Double]
  ) -> (probabilities: [Double], actions: [Double], logDensity: Double) {
    let exponentials = output[..<allowed].map { exp($0) }
    let sum = exponentials.reduce(0, +)
    var actions: [Double] = []
    var logDensity = 0.0
    for k in 0..<settings.continuous {
      let mean = output[settings.choices + k]
      let raw = output[settings.choices + settings.continuous + k]
      let deviation = exp(-5 + 3.5 * (tanh(raw) + 1))
      let u = mean + deviation * noise[k]
      let action = tanh(u)
      actions.append(action)
      logDensity +=
        -pow((u - mean) / deviation, 2) / 2 - log(deviation * (2 * Double.pi).squareRoot())
        - log(1 - action * action)
    }
    return (exponentials.map { $0 / sum }, actions, logDensity)
  }

  func value(
    _ state: [Double], allowed: Int, noise: [Double], actor: NaiveMLP, critics: [NaiveMLP]
  ) -> Double {
    let (probabilities, actions, logDensity) = policy(
      actor(state), allowed: allowed, noise: noise)
    let q = critics.map { $0(state + actions) }
    var value = -continuousTemperature * logDensity
    for d in 0..<allowed {
      value +=
        probabilities[d]
        * (min(q[0][d], q[1][d]) - choiceTemperature * log(probabilities[d]))
    }
    return value
  }
}

private func makeBatch(_ settings: HybridSACSettings, _ stream: inout RandomStream) -> HybridBatch {
  let batch = HybridBatch(settings)
  for b in 0..<batch.size {
    for i in 0..<settings.observation {
      batch.states[b, i] = Float(stream.normal())
      batch.nextStates[b, i] = Float(stream.normal())
    }
    for k in 0..<settings.continuous {
      batch.actions[b * settings.continuous + k] = Float(stream.uniform(-1, 1))
    }
    batch.allowed[b] = 1 + stream.index(below: settings.choices)
    batch.nextAllowed[b] = 1 + stream.index(below: settings.choices)
    batch.choices[b] = stream.index(below: batch.allowed[b])
    batch.rewards[b] = Float(stream.normal())
  }
  return batch
}

private func small(choices: Int, continuous: Int) -> HybridSACSettings {
  var settings = HybridSACSettings(observation: 5, choices: choices, continuous: continuous)
  settings.hidden = [13, 9]
  settings.batch = 6
  settings.firstTemperature = 0.3
  settings.discount = 0.99
  return settings
}

private func rows(_ matrix: Matrix) -> [[Double]] {
  (0..<matrix.rows).map { matrix.row($0).map(Double.init) }
}

@Suite struct HybridSACTests {
  /// Hybrid actions, and the form with the cut rounded: no choice, three Gaussians.
  @Test(arguments: [(4, 2), (1, 3)], [1, 2, 3] as [UInt64])
  func gradientsEqualCentralDifferences(_ shape: (choices: Int, continuous: Int), seed: UInt64)
    throws
  {
    let settings = small(choices: shape.choices, continuous: shape.continuous)
    var stream = RandomStream(seed: seed, .test)
    let sac = HybridSAC(settings, kernels: try Kernels.selected(), using: &stream)
    let batch = makeBatch(settings, &stream)
    // Different networks and targets, as after some training.
    for _ in 0..<20 { _ = sac.trainStep(batch, learningRate: 3e-4, using: &stream) }
    let noise = (0..<batch.size * settings.continuous).map { _ in stream.normal() }
    func sampleNoise(_ b: Int) -> [Double] {
      Array(noise[b * settings.continuous..<(b + 1) * settings.continuous])
    }
    let naive = NaiveSAC(
      settings: settings, choiceTemperature: sac.choiceTemperature.value,
      continuousTemperature: sac.continuousTemperature.value)
    let actor = NaiveMLP(sac.actor, sac.actorStore)
    let critics = sac.critics.map { NaiveMLP($0, sac.criticStore) }
    let targets = sac.critics.map { NaiveMLP($0, sac.criticStore, .targets) }
    let states = rows(batch.states)
    let nextStates = rows(batch.nextStates)

    let values = sac.nextValues(batch, noise: noise)
    for b in 0..<batch.size {
      let expected = naive.value(
        nextStates[b], allowed: batch.nextAllowed[b], noise: sampleNoise(b), actor: actor,
        critics: targets)
      #expect(abs(values[b] - expected) <= 1e-4 * max(1, abs(expected)), "seed \(seed), row \(b)")
    }

    func compare(_ analytic: Double, _ numeric: Double, _ what: String) {
      #expect(
        abs(analytic - numeric) <= 2e-4 * max(abs(numeric), 0.05),
        "seed \(seed), \(what): \(analytic), \(numeric)")
    }
    let criticLoss = sac.criticGradients(batch, nextValues: values)
    var sum = 0.0
    for (index, network) in sac.critics.enumerated() {
      func loss(_ critic: NaiveMLP) -> Double {
        (0..<batch.size).reduce(0.0) { sum, b in
          let actions = batch.actions[
            b * settings.continuous..<(b + 1) * settings.continuous
          ].map(Double.init)
          let target = Double(batch.rewards[b]) + 0.99 * values[b]
          return sum + pow(critic(states[b] + actions)[batch.choices[b]] - target, 2)
            / Double(batch.size)
        }
      }
      sum += loss(critics[index]) / 2
      var critic = critics[index]
      critic.differences(
        step: 1e-5, stride: 3,
        gradient: { layer, row, column in
          let dense = network.layers[layer]
          return Double(
            row.map { sac.criticStore.gradient(dense.weight)[$0, column] }
              ?? sac.criticStore.gradient(dense.bias)[0, column])
        }, loss: loss, check: { compare($0, $1, "critic \(index + 1) \($2)") })
    }
    #expect(abs(sum - criticLoss) <= 1e-4 * sum)

    let result = sac.actorGradients(batch, noise: noise)
    func actorLoss(_ actor: NaiveMLP) -> Double {
      (0..<batch.size).reduce(0.0) { sum, b in
        sum
          - naive.value(
            states[b], allowed: batch.allowed[b], noise: sampleNoise(b), actor: actor,
            critics: critics) / Double(batch.size)
      }
    }
    #expect(abs(result.loss - actorLoss(actor)) <= 1e-4 * max(1, abs(result.loss)))
    var changed = actor
    changed.differences(
      step: 1e-5, stride: 3,
      gradient: { layer, row, column in
        let dense = sac.actor.layers[layer]
        return Double(
          row.map { sac.actorStore.gradient(dense.weight)[$0, column] }
            ?? sac.actorStore.gradient(dense.bias)[0, column])
      }, loss: actorLoss, check: { compare($0, $1, "actor \($2)") })
  }

  @Test func temperaturesFollowTheEntropyWithinTheirBounds() {
    var settings = small(choices: 4, continuous: 2)
    settings.temperatures = 0.01...0.5
    var temperature = Temperature(settings)
    let adam = Adam(learningRate: 0.01)
    #expect(abs(temperature.value - 0.3) < 1e-12)
    // The first step of Adam has the size of the learning rate, against the sign of the excess.
    temperature.step(excessEntropy: 2, adam: adam, steps: 1)
    #expect(abs(log(temperature.value) - (log(0.3) - 0.01)) < 1e-8)
    for step in 2..<2000 { temperature.step(excessEntropy: 2, adam: adam, steps: step) }
    #expect(abs(temperature.value - 0.01) < 1e-12)
    for step in 2000..<6000 { temperature.step(excessEntropy: -1, adam: adam, steps: step) }
    #expect(abs(temperature.value - 0.5) < 1e-12)
  }

  /// One step in which the best choice and actions depend on the state: the agent must find them.
  @Test func learnsAKnownOptimum() throws {
    var settings = HybridSACSettings(observation: 2, choices: 3, continuous: 1)
    settings.hidden = [32, 32]
    settings.batch = 64
    settings.discount = 0
    var stream = RandomStream(seed: 5, .test)
    let sac = HybridSAC(settings, kernels: try Kernels.selected(), using: &stream)
    let batch = HybridBatch(settings)
    func observation(_ kind: Int) -> [Float] { kind == 0 ? [1, 0] : [0, 1] }
    func reward(_ kind: Int, _ choice: Int, _ action: Double) -> Double {
      (choice == (kind == 0 ? 2 : 0) ? 1 : 0) - pow(action - (kind == 0 ? 0.5 : -0.5), 2)
    }
    for _ in 0..<700 {
      for b in 0..<batch.size {
        let kind = stream.index(below: 2)
        let choice = stream.index(below: 3)
        let action = stream.uniform(-1, 1)
        batch.states.setRow(b, observation(kind))
        batch.nextStates.setRow(b, observation(kind))
        batch.choices[b] = choice
        batch.actions[b] = Float(action)
        batch.rewards[b] = Float(reward(kind, choice, action))
      }
      _ = sac.trainStep(batch, learningRate: 3e-3, using: &stream)
    }
    var none: RandomStream?
    for kind in 0...1 {
      let (choice, actions) = sac.act(observation(kind), allowed: 3, stream: &none)
      #expect(choice == (kind == 0 ? 2 : 0))
      #expect(abs(actions[0] - (kind == 0 ? 0.5 : -0.5)) < 0.15, "\(actions)")
    }
    // What is not allowed is not chosen.
    for _ in 0..<50 {
      var drawn: RandomStream? = stream
      #expect(sac.act(observation(0), allowed: 2, stream: &drawn).choice < 2)
      stream = drawn ?? stream
    }
  }
}
