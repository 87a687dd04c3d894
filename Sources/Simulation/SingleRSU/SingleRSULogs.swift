internal import Support

extension SingleRSUEnvironment {
  /// `slots.csv`, one row a task (none for a client without one), and `queues.csv`, one row a queue, for every slot.
  ///
  /// Slots, clients, cuts (phi) and nodes (xi, 1 is the RSU) count from 1.
  public static let logs: [OutcomeLog<SlotOutcome>] = [slotLog, queueLog]

  private static let slotLog = OutcomeLog<SlotOutcome>(
    file: "slots.csv",
    columns: [
      "episode", "slot", "time_s", "client", "vehicle", "dnn", "x_m", "y_m", "position_m", "cut",
      "node", "distance_m", "fading", "rate_bps", "local_gflop", "remote_gflop", "cut_bits",
      "local_backlog_gflop", "edge_backlog_gflop", "local_delay_s", "transmit_delay_s",
      "edge_delay_s", "delay_s", "objective", "reward",
    ],
    textColumns: ["vehicle", "dnn"],
    append: { outcome, episode, writer in
      let situation = outcome.situation
      let scenario = situation.scenario
      for task in outcome.tasks {
        let i = task.client
        let place = situation.clientPosition(i)
        writer.append([
          .integer(episode), .integer(situation.slot + 1), .number(situation.time),
          .integer(i + 1), .text(situation.vehicleName(client: i)),
          .text(scenario.typeNames[scenario.typeOfClient[i]]), .number(place.x), .number(place.y),
          .number(situation.along(place)), .integer(task.cut + 1), .integer(task.node + 1),
          .number(task.link.distance), .number(task.link.fading), .number(task.link.rate),
          .number(task.localWork), .number(task.remoteWork), .number(task.cutBits),
          .number(task.localBacklog), .number(task.edgeBacklog), .number(task.localDelay),
          .number(task.transmitDelay), .number(task.edgeDelay), .number(task.delay),
          .number(outcome.objective), .number(outcome.reward),
        ])
      }
    })

  private static let queueLog = OutcomeLog<SlotOutcome>(
    file: "queues.csv",
    columns: [
      "episode", "slot", "queue", "capacity_gflops", "users", "backlog_gflop", "arrivals_gflop",
      "backlog_after_gflop", "background_gflop",
    ],
    textColumns: ["queue"],
    append: { outcome, episode, writer in
      for (i, queue) in outcome.queues.enumerated() {
        writer.append([
          .integer(episode), .integer(outcome.situation.slot + 1),
          .text(outcome.situation.scenario.queueName(i)), .number(queue.capacity),
          .integer(queue.users), .number(queue.backlog), .number(queue.arrivals),
          .number(queue.backlogAfter), .number(queue.background),
        ])
      }
    })
}
