public import Plan
public import Simulation
internal import Support

extension SingleRSUEnvironment: ExternalModel {
  public func writeScenario(to writer: inout MessageWriter) {
    let scenario = scenario
    writer.member("clients", scenario.clients)
    writer.member("nodes", scenario.nodes)
    writer.member("slots", scenario.slots)
    writer.member("observation_size", scenario.observationSize)
    let clients = 0..<scenario.clients
    writer.member("layers", clients.lazy.map { scenario.layers(ofClient: $0) })
    writer.member("actions", clients.lazy.map { scenario.actions(ofClient: $0) })
    writer.member("types", .list(scenario.typeNames.map { .text($0) }))
    writer.member("type_of_client", scenario.typeOfClient)
    func table(_ key: StaticString, _ values: [Double]) {
      writer.list(key) { writer in
        for type in 0..<scenario.types {
          let start = type * scenario.cutStride
          writer.row { writer in
            for cut in 0...scenario.layersOfType[type] { writer.element(values[start + cut]) }
          }
        }
      }
    }
    table("local_work_gflop", scenario.localWork)
    table("remote_work_gflop", scenario.remoteWork)
    table("cut_bits", scenario.cutBits)
  }

  public func write(
    _ situation: SlotSituation, sight: AgentSight, to writer: inout MessageWriter
  ) {
    let scenario = scenario
    writer.member("slot", situation.slot)
    let size = scenario.observationSize
    let state = situation.jointState()
    writer.list("observations") { writer in
      for client in 0..<scenario.clients {
        writer.row { writer in
          for i in client * size..<(client + 1) * size { writer.element(state[i]) }
        }
      }
    }
    if scenario.taskProbability < 1 {
      writer.member("tasks", situation.tasks.lazy.map { $0 ? 1 : 0 })
    }
    if scenario.v2vRange != nil {
      writer.table("reach", scenario) { situation.allows(client: $0, node: $1) ? 1 : 0 }
    }
    if sight == .slot { write(slot: situation, to: &writer) }
  }

  private func write(slot situation: SlotSituation, to writer: inout MessageWriter) {
    let clients = scenario.clients
    let types = scenario.types
    writer.member("time_s", situation.time)
    writer.object("backlogs_gflop") { writer in
      writer.member("clients", situation.backlogs[..<clients])
      writer.member("rsu", situation.backlogs[clients..<clients + types])
      writer.member("service", situation.backlogs[(clients + types)...])
    }
    var links: [Link] = []
    for client in 0..<clients {
      for node in 0..<scenario.nodes { links.append(situation.link(client: client, node: node)) }
    }
    let nodes = scenario.nodes
    writer.table("distance_m", scenario) { links[$0 * nodes + $1].distance }
    writer.table("fading", scenario) { links[$0 * nodes + $1].fading }
    writer.table("rate_bps", scenario) { links[$0 * nodes + $1].rate }
  }

  public static func write(measures outcome: SlotOutcome, to writer: inout MessageWriter) {
    func ofClients(_ value: (TaskOutcome) -> Double) -> [Double] {
      var values = [Double](repeating: 0, count: outcome.situation.scenario.clients)
      for task in outcome.tasks { values[task.client] = value(task) }
      return values
    }
    writer.member("delay_s", ofClients(\.delay))
    writer.member("local_delay_s", ofClients(\.localDelay))
    writer.member("transmit_delay_s", ofClients(\.transmitDelay))
    writer.member("edge_delay_s", ofClients(\.edgeDelay))
  }

  public static func reward(of outcome: SlotOutcome) -> Double { outcome.reward }

  public func isEpisodeOver(before next: SlotSituation?) -> Bool {
    next.map { $0.slot >= scenario.slots } ?? true
  }

  public static let actionMembers = ["actions"]

  public func decision(
    of answer: AgentAnswer, in situation: SlotSituation
  ) throws -> SlotDecision {
    let scenario = scenario
    let actions = try answer.integers(
      "actions", below: (0..<scenario.clients).map { scenario.actions(ofClient: $0) })
    let decision = SlotDecision(actions: actions, nodes: scenario.nodes)
    for client in 0..<scenario.clients
    where situation.tasks[client]
      && !situation.allows(client: client, node: decision.nodes[client])
    {
      throw AgentAnswerError(
        "has actions[\(client)] \(actions[client]) in 'act': node \(decision.nodes[client]) is out of the "
          + "client's reach in slot \(situation.slot)")
    }
    return decision
  }
}

extension MessageWriter {
  /// A row for each client, a number for each node.
  fileprivate mutating func table(
    _ key: StaticString, _ scenario: SingleRSUScenario, _ value: (Int, Int) -> Double
  ) {
    list(key) { writer in
      for client in 0..<scenario.clients {
        writer.row { writer in
          for node in 0..<scenario.nodes { writer.element(value(client, node)) }
        }
      }
    }
  }
}
