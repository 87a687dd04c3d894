public import Plan
public import Simulation
internal import Support

extension RoadRSUEnvironment: ExternalModel {
  public func writeScenario(to writer: inout MessageWriter) {
    let model = model
    writer.member("rsus", model.rsuCount)
    writer.member("vehicles", model.constants.vehicles)
    writer.member("slots", model.constants.slots)
    writer.member(
      "observation_size", observation.requestCount + model.rsuCount * TaskObservation.linkCount)
    writer.member("request_size", observation.requestCount)
    writer.member("link_size", TaskObservation.linkCount)
    writer.member("types", .list(model.types.map { .text($0.name) }))
    writer.member("layers", model.types.lazy.map(\.layers))
    writer.member("vehicle_frequency_hz", model.constants.vehicleFrequency)
    writer.member("rsu_frequency_hz", model.constants.rsuFrequency)
    func table(_ key: StaticString, _ values: (TaskType) -> [Double]) {
      writer.list(key) { writer in
        for type in model.types {
          writer.row { writer in for value in values(type) { writer.element(value) } }
        }
      }
    }
    table("local_work_flop") { $0.cuts.localFLOP }
    table("remote_work_flop") { $0.cuts.remoteFLOP }
    table("cut_bits") { $0.cuts.bits }
    writer.member("deadline_s", model.types.lazy.map(\.deadline))
  }

  public func write(
    _ situation: TaskSituation, sight: AgentSight, to writer: inout MessageWriter
  ) {
    writer.member("task", situation.task)
    writer.member("vehicle", situation.vehicle)
    writer.member("dnn", situation.type)
    writer.member("layers", model.types[situation.type].layers)
    var values: [Float] = []
    observation.appendRequest(situation, to: &values)
    for rsu in 1...model.rsuCount { observation.appendLink(situation.link(to: rsu), to: &values) }
    writer.list("observation") { writer in for value in values { writer.element(value) } }
    writer.member("reach", (1...model.rsuCount).lazy.map { situation.link(to: $0) == nil ? 0 : 1 })
    writer.member("diverted", situation.diverted.map { situation.links[$0].rsu } ?? 0)
    if sight == .slot { write(task: situation, to: &writer) }
  }

  private func write(task situation: TaskSituation, to writer: inout MessageWriter) {
    writer.member("slot", situation.slot)
    writer.member("release_s", situation.release)
    writer.member("decision_s", situation.decision)
    writer.member("x_m", situation.x)
    writer.member("y_m", situation.y)
    writer.member("position_m", situation.along)
    writer.member("speed_mps", situation.speed)
    writer.member("deadline_s", situation.deadline)
    writer.member("battery", situation.battery)
    writer.member("alpha", situation.alpha)
    writer.member("local_wait_s", situation.localWait)
    writer.list("links") { writer in
      for link in situation.links {
        writer.element { writer in
          writer.member("rsu", link.rsu)
          writer.member("distance_m", link.distance)
          writer.member("position_m", link.along)
          writer.member("fading", link.fading)
          writer.member("rate_bps", link.rate)
          writer.member("queue_wait_s", link.queueWait)
          writer.member("queue_length", link.queueLength)
          writer.member("broadcast_wait_s", link.broadcastWait)
        }
      }
    }
  }

  public static func write(measures outcome: DecidedTask, to writer: inout MessageWriter) {
    writer.member("delay_s", outcome.costs.delay)
    writer.member("energy_j", outcome.costs.energy)
    writer.member("cost", outcome.costs.cost)
    writer.member("missed", outcome.costs.missed)
  }

  public static func reward(of outcome: DecidedTask) -> Double { outcome.reward }

  public func isEpisodeOver(before next: TaskSituation?) -> Bool { next == nil }

  public static let actionMembers = ["cut", "rsu", "vehicle_frequency_hz", "rsu_frequency_hz"]

  public func decision(
    of answer: AgentAnswer, in situation: TaskSituation
  ) throws -> TaskDecision {
    let layers = model.types[situation.type].layers
    let cut = try answer.integer("cut", 0...layers)
    let rsu = try answer.integer("rsu", 0...model.rsuCount)
    if cut < layers, situation.link(to: rsu) == nil {
      let reach = situation.links.map { String($0.rsu) }.joined(separator: ", ")
      throw AgentAnswerError(
        "has rsu \(rsu) in 'act' with cut \(cut) of \(layers) layers: "
          + (reach.isEmpty
            ? "no RSU is in range, so cut must be \(layers)" : "in range are \(reach)"))
    }
    func frequency(_ key: String, _ greatest: Double) throws -> Double {
      try answer.number(key, "it must be above 0 and at most \(greatest)") {
        $0 > 0 && $0 <= greatest
      } ?? greatest
    }
    return TaskDecision(
      cut: cut, rsu: rsu,
      vehicleFrequency: try frequency("vehicle_frequency_hz", model.constants.vehicleFrequency),
      rsuFrequency: try frequency("rsu_frequency_hz", model.constants.rsuFrequency))
  }
}
