public import Support
internal import Synchronization

/// When the task vehicles release tasks: a Bernoulli draw for each slot and vehicle.
///
/// It depends on seed, episode and phase alone, on no trace and on no decision.
struct TaskReleases: Sendable {
  private let field: RandomField
  private let probability: Double
  private let slots: Int
  private let vehicles: Int

  init(constants: TaskConstants, seed: UInt64) {
    field = RandomField(seed: seed, .taskRelease)
    probability = constants.releaseRate * constants.slotLength
    slots = constants.slots
    vehicles = constants.vehicles
  }

  /// What tells the episodes of both phases apart in all random fields.
  static func key(episode: Int, phase: Phase) -> Int { 2 * episode + (phase == .eval ? 1 : 0) }

  /// Calls `body` with slot and vehicle of every task of an episode, in order of decision.
  func forEach(_ key: Int, _ body: (_ slot: Int, _ vehicle: Int) -> Void) {
    // A draw below the probability releases a task: the releases of a low rate are among those of a higher one.
    for slot in 0..<slots {
      for vehicle in 0..<vehicles where field.uniform(key, slot, vehicle) < probability {
        body(slot, vehicle)
      }
    }
  }
}

extension RoadRSUEnvironment {
  /// What the number of training episodes depends on.
  private struct ReleaseCase: Hashable {
    var tasks, slots, vehicles, seed: Int
    var probability: Double
  }

  /// Numbers that were counted already: a sweep asks for few of them, many times.
  private static let counted = Mutex<[ReleaseCase: Int]>([:])

  /// Draws that counting the tasks of a training may take: some ten seconds.
  private static let mostDraws = 1e9

  /// Training episodes, from the first, that have at least so many tasks.
  ///
  /// Complexity: one draw for each slot, vehicle and episode; bounded.
  /// - Parameter values: Of the model, with the run's `seed`.
  /// - Throws: `InputError` when no or hardly any task is released.
  public static func trainingEpisodes(tasks: Int, _ values: ParameterValues) throws -> Int {
    let constants = TaskConstants(values)
    let perSlot = constants.releaseRate * constants.slotLength
    guard Double(tasks) < perSlot * mostDraws else {
      throw InputError(
        "is too low for a training of \(tasks) tasks", key: "releaseRate",
        value: values["releaseRate"].text,
        advice: "Raise releaseRate, or lower trainingTasks")
    }
    let seed = values.integer("seed")
    let asked = ReleaseCase(
      tasks: tasks, slots: constants.slots, vehicles: constants.vehicles, seed: seed,
      probability: perSlot)
    if let known = counted.withLock({ $0[asked] }) { return known }
    let releases = TaskReleases(constants: constants, seed: UInt64(seed))
    var count = 0
    var episode = 0
    while count < tasks {
      episode += 1
      releases.forEach(TaskReleases.key(episode: episode, phase: .train)) { _, _ in count += 1 }
    }
    counted.withLock { $0[asked] = episode }
    return episode
  }
}
