public import Support

#if canImport(Glibc)
  internal import Glibc
#endif

/// A multilayer perceptron for each agent of a team, all in one store and trained by one Adam: agents that learn from
/// what is said of their single decisions, not from a sum of rewards.
///
/// Losses are summed, not averaged, over a batch: Adam does not depend on their scale.
public final class MLPTeam {
  /// What is said of an agent's outputs.
  public enum Target {
    /// Cross-entropy of softmax(outputs) with the choice of each row; a row without a choice (nil) says nothing.
    case choices([Int?])
    /// Expected cost sum_a softmax(outputs)_a cost_a of each row, with the entropy's weight subtracted as temperature.
    ///
    /// Costs [rows, outputs] are finite; a row that starts with NaN says nothing.
    case expectedCosts(Matrix, temperature: Float)
  }

  private let store: ParameterStore
  private let networks: [MLP]
  private let records: [MLP.Record]
  private let gradients: [Matrix]
  private let rows: [Matrix]

  /// - Parameters:
  ///   - inputs: Numbers that each agent sees.
  ///   - outputs: Actions of each agent.
  ///   - batch: The most rows of a train step.
  public init(
    inputs: [Int], hidden: [Int], outputs: [Int], activation: Activation, batch: Int,
    kernels: Kernels, using generator: inout some RandomNumberGenerator
  ) {
    precondition(inputs.count == outputs.count && batch > 0)
    var layout = ParameterLayout()
    var networks: [MLP] = []
    for agent in inputs.indices {
      networks.append(
        MLP(
          &layout, "agent\(agent + 1)", widths: [inputs[agent]] + hidden + [outputs[agent]],
          activation: activation))
    }
    self.networks = networks
    store = ParameterStore(layout, targets: false, kernels: kernels)
    records = networks.map { MLP.Record($0, rows: batch) }
    gradients = networks.map { Matrix(rows: batch, columns: $0.outputs) }
    rows = inputs.map { Matrix(rows: 1, columns: $0) }
    store.initialise(using: &generator)
  }

  /// Numbers that are trained.
  public var parameterCount: Int { store.layout.parameterCount }

  /// Actions of an agent.
  public func outputCount(agent: Int) -> Int { networks[agent].outputs }

  /// An agent's outputs, one for each action.
  public func outputs(agent: Int, inputs: [Float]) -> [Float] {
    rows[agent].setRow(0, inputs)
    return networks[agent].forward(rows[agent], store, record: records[agent]).row(0)
  }

  /// An agent's softmax over its actions.
  public func probabilities(agent: Int, inputs: [Float]) -> [Float] {
    rows[agent].setRow(0, inputs)
    let outputs = networks[agent].forward(rows[agent], store, record: records[agent])
    let gradient = gradients[agent].slice(rows: 0..<1)
    store.kernels.softmax(outputs, into: gradient)
    return gradient.row(0)
  }

  /// One step of Adam on every agent's loss.
  ///
  /// - Parameters:
  ///   - inputs: [rows, inputs] of each agent, as many rows for all.
  /// - Returns: The mean loss of the rows that say something, 0 without one, and the gradients' norm.
  public func trainStep(
    inputs: [Matrix], targets: [Target], adam: Adam
  ) -> (loss: Double, gradientNorm: Double) {
    var sum = 0.0
    var count = 0
    for (agent, network) in networks.enumerated() {
      let x = inputs[agent]
      let outputs = network.forward(x, store, record: records[agent])
      let gradient = gradients[agent].slice(rows: 0..<x.rows)
      store.kernels.softmax(outputs, into: gradient)
      let loss =
        switch targets[agent] {
        case .choices(let choices): Self.crossEntropy(gradient, choices)
        case .expectedCosts(let costs, let temperature):
          Self.expectedCost(gradient, costs, temperature)
        }
      sum += loss.sum
      count += loss.count
      network.backward(x, outputGradient: gradient, store, record: records[agent])
    }
    let norm = store.adamStep(adam)
    return (count == 0 ? 0 : sum / Double(count), norm)
  }

  /// Turns probabilities [rows, outputs] into the gradient of the cross-entropy: p - 1 at the choice.
  private static func crossEntropy(
    _ p: Matrix, _ choices: [Int?]
  ) -> (sum: Double, count: Int) {
    var sum = 0.0
    var count = 0
    let nothing = [Float](repeating: 0, count: p.columns)
    for (r, choice) in choices.enumerated() {
      guard let choice else {
        p.setRow(r, nothing)
        continue
      }
      sum -= log(max(Double(p[r, choice]), 1e-30))
      p[r, choice] -= 1
      count += 1
    }
    return (sum, count)
  }

  /// Turns probabilities into the gradient of sum_a p_a (c_a + T log p_a): p_a (g_a - sum p g), g = c + T log p.
  private static func expectedCost(
    _ p: Matrix, _ costs: Matrix, _ temperature: Float
  ) -> (sum: Double, count: Int) {
    var sum = 0.0
    var count = 0
    var values = [Float](repeating: 0, count: p.columns)
    for r in 0..<p.rows {
      let cost = costs.row(r)
      var row = p.row(r)
      if cost[0].isNaN {
        for a in row.indices { row[a] = 0 }
        p.setRow(r, row)
        continue
      }
      var mean: Float = 0
      var expected: Float = 0
      for a in row.indices {
        values[a] = cost[a] + temperature * log(max(row[a], 1e-12))
        mean += row[a] * values[a]
        expected += row[a] * cost[a]
      }
      for a in row.indices { row[a] *= values[a] - mean }
      p.setRow(r, row)
      sum += Double(expected)
      count += 1
    }
    return (sum, count)
  }

  // MARK: State

  /// Writes shape and numbers.
  public func save(_ extent: ParameterStore.Extent, to writer: inout StateWriter) {
    writer.section("mlp-team")
    store.save(extent, to: &writer)
  }

  /// Reads what `save` wrote for a team of the same shape; after an error nothing has changed.
  public func restore(_ extent: ParameterStore.Extent, from reader: inout StateReader) throws {
    try reader.section("mlp-team")
    try store.restore(extent, from: &reader)
  }
}
