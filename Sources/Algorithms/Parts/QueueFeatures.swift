internal import Simulation

#if canImport(Glibc)
  internal import Glibc
#endif

/// A client's observation without positions, P1 eq (54), as networks see it best: q / 30 and ln(1 + q) / 2 of its own
/// queue, that of its type at the RSU and those of the service vehicles (q in GFLOP; ours).
struct QueueFeatures {
  /// Numbers for each client.
  let size: Int
  private let scale: Double

  init(_ scenario: SingleRSUScenario) {
    size = 2 * (scenario.nodes + 1)
    scale = scenario.backlogScale
  }

  func values(_ situation: SlotSituation, client: Int) -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(size)
    func add(_ backlog: Double) {
      values.append(Float(backlog / scale))
      values.append(Float(log1p(backlog) / 2))
    }
    add(situation.clientBacklog(client))
    for node in 0..<situation.scenario.nodes {
      add(situation.edgeBacklog(client: client, node: node))
    }
    return values
  }
}
