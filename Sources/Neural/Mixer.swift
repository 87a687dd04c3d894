public import Support

/// The mixing network of QMIX (P1 (59)): Qtot from the agents' q-values, weighted by the joint state.
///
/// Qtot = w2 . elu(W1 q + b1) + b2 with W1 [N, E], b1 [E], w2 [E], b2 from hypernetworks of the joint state, W1 and w2
/// made non-negative by their absolute value. `linear` drops elu and absolute value (as printed).
public struct Mixer: Sendable {
  public enum Form: String, CaseIterable, DescribedSettingValue {
    case monotonic
    case linear = "printed"
  }

  public let form: Form
  public let agents: Int
  public let embedding: Int
  /// Hypernetworks of W1, b1, w2, b2 in this order.
  let networks: [MLP]

  public init(
    _ layout: inout ParameterLayout, _ name: String, agents: Int, state: Int, embedding: Int,
    hidden: [Int], form: Form
  ) {
    self.form = form
    self.agents = agents
    self.embedding = embedding
    networks = zip(["w1", "b1", "w2", "b2"], [agents * embedding, embedding, embedding, 1]).map {
      MLP(&layout, "\(name).\($0)", widths: [state] + hidden + [$1], activation: .relu)
    }
  }

  /// What one forward pass leaves for the backward pass.
  public final class Record {
    let networks: [MLP.Record]
    var outputs: [Matrix] = []  // W1 [B, N E], b1 [B, E], w2 [B, E], b2 [B, 1]
    let sums: Matrix  // W1 q + b1 [B, E]
    let hidden: Matrix  // elu of it
    let slope: Matrix
    let total: Matrix  // [B, 1]
    let gradients: [Matrix]

    public init(_ mixer: Mixer, batch: Int) {
      networks = mixer.networks.map { MLP.Record($0, rows: batch) }
      sums = Matrix(rows: batch, columns: mixer.embedding)
      hidden = Matrix(rows: batch, columns: mixer.embedding)
      slope = Matrix(rows: batch, columns: mixer.embedding)
      total = Matrix(rows: batch, columns: 1)
      gradients = mixer.networks.map { Matrix(rows: batch, columns: $0.outputs) }
    }
  }

  /// Qtot [B, 1] from q [B, N] and the joint state [B, S]: a view of the record.
  public func forward(
    _ q: Matrix, state: Matrix, _ store: ParameterStore,
    _ section: ParameterStore.Section = .parameters, record: Record
  ) -> Matrix {
    precondition(q.columns == agents && q.rows == state.rows)
    record.outputs = zip(networks, record.networks).map {
      $0.forward(state, store, section, record: $1)
    }
    let monotonic = form == .monotonic
    let rows = 0..<q.rows
    let sums = record.sums.slice(rows: rows)
    let hidden = record.hidden.slice(rows: rows)
    let total = record.total.slice(rows: rows)
    for b in rows {
      let w1 = record.outputs[0].rowPointer(b)
      let b1 = record.outputs[1].rowPointer(b)
      let sum = sums.rowPointer(b)
      let values = q.rowPointer(b)
      for e in 0..<embedding { sum[e] = b1[e] }
      for n in 0..<agents {
        let weights = w1 + n * embedding
        let value = values[n]
        if monotonic {
          for e in 0..<embedding { sum[e] += abs(weights[e]) * value }
        } else {
          for e in 0..<embedding { sum[e] += weights[e] * value }
        }
      }
    }
    store.kernels.activate(
      monotonic ? .elu : .linear, sums, into: hidden, derivative: record.slope.slice(rows: rows))
    for b in rows {
      let w2 = record.outputs[2].rowPointer(b)
      let h = hidden.rowPointer(b)
      var sum = record.outputs[3].rowPointer(b)[0]
      for e in 0..<embedding { sum += (monotonic ? abs(w2[e]) : w2[e]) * h[e] }
      total.rowPointer(b)[0] = sum
    }
    return total
  }

  /// Gradients of the hypernetworks, and of q [B, N] into `qGradient`, from the gradient of Qtot [B, 1].
  public func backward(
    _ q: Matrix, state: Matrix, totalGradient: Matrix, _ store: ParameterStore, record: Record,
    qGradient: Matrix
  ) {
    precondition(qGradient.rows == q.rows && qGradient.columns == agents)
    let monotonic = form == .monotonic
    let rows = 0..<q.rows
    let gradients = record.gradients.map { $0.slice(rows: rows) }
    for b in rows {
      let d = totalGradient.rowPointer(b)[0]
      let w1 = record.outputs[0].rowPointer(b)
      let w2 = record.outputs[2].rowPointer(b)
      let h = record.hidden.rowPointer(b)
      let slope = record.slope.rowPointer(b)
      let dw1 = gradients[0].rowPointer(b)
      let db1 = gradients[1].rowPointer(b)
      let dw2 = gradients[2].rowPointer(b)
      gradients[3].rowPointer(b)[0] = d
      for e in 0..<embedding {
        let sign: Float = monotonic && w2[e] < 0 ? -1 : 1
        dw2[e] = d * h[e] * sign
        db1[e] = d * (w2[e] * sign) * slope[e]
      }
      let values = q.rowPointer(b)
      let dq = qGradient.rowPointer(b)
      for n in 0..<agents {
        var sum: Float = 0
        for e in 0..<embedding {
          let weight = w1[n * embedding + e]
          let sign: Float = monotonic && weight < 0 ? -1 : 1
          sum += weight * sign * db1[e]
          dw1[n * embedding + e] = values[n] * db1[e] * sign
        }
        dq[n] = sum
      }
    }
    for (i, network) in networks.enumerated() {
      network.backward(
        state, outputGradient: gradients[i], store, record: record.networks[i])
    }
  }
}
