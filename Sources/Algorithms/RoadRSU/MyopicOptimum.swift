internal import Glibc
internal import Simulation
internal import Support

/// The exact minimum of a single task's cost (21), penalty included: every cut at every RSU in range with the
/// best two frequencies in closed form (ours).
///
/// Write u = C_veh / f_veh, s = C_RSU / f_RSU, w for the local wait, T for the transmission time, q for the
/// queueing time. For a fixed cut and RSU the cost, but for constants and the penalty, is
///
///     max(q, w + u + T) + s + A / u² + B / s²,   A = β α κ C_veh³,  B = β κ C_RSU³
///
/// which is convex. Without the deadline u and s separate: s where f_RSU = (2 β κ)^(-1/3), u where
/// f_veh = (2 β α κ)^(-1/3) or, if that ends before the queue does, u = q - w - T: slower costs nothing.
/// Where that misses the deadline L and the penalty is on, the best decision that meets it is on the
/// boundary max(q, w + u + T) + s = L. There the energy decides alone: u >= q - w - T, because slower is
/// cheaper, and A / u² + B / s² with u + s fixed is least where u : s = α^(1/3) C_veh : C_RSU.
struct MyopicOptimum: Agent {
  typealias Model = RoadRSUEnvironment
  private let model: TaskModel
  /// (2 β κ)^(-1/3): the frequency at which more speed is not worth its energy; infinite without energy costs.
  private let freeFrequency: Double
  /// Whether only the RSU that diversion picked may be used.
  private let followsDiversion: Bool

  init(model: TaskModel, followsDiversion: Bool = false) {
    self.model = model
    self.followsDiversion = followsDiversion
    freeFrequency = 1 / cbrt(2 * model.constants.beta * model.constants.kappa)
  }

  func decide(_ situation: TaskSituation, phase: Phase) -> TaskDecision {
    let layers = model.types[situation.type].layers
    var best = best(situation, cut: layers, link: nil)
    for (place, link) in situation.links.enumerated()
    where !followsDiversion || place == situation.diverted {
      for cut in 0..<layers {
        let candidate = self.best(situation, cut: cut, link: link)
        if candidate.cost < best.cost { best = candidate }
      }
    }
    return best.decision
  }

  /// The best frequencies for a cut at an RSU (nil: the last cut), and what they cost.
  private func best(
    _ situation: TaskSituation, cut: Int, link: RSULink?
  ) -> (decision: TaskDecision, cost: Double) {
    let constants = model.constants
    let cuts = model.types[situation.type].cuts
    let localWork = cuts.localFLOP[cut]
    let remoteWork = cuts.remoteFLOP[cut]
    let leastLocal = localWork / constants.vehicleFrequency
    let leastRemote = remoteWork / constants.rsuFrequency
    let alphaRoot = cbrt(situation.alpha)
    let before =
      (localWork > 0 ? situation.localWait : 0) + (link.map { cuts.bits[cut] / $0.rate } ?? 0)
    let wait = link.map { situation.decision - situation.release + $0.queueWait } ?? 0
    // The local time up to which the vehicle is not what the RSU waits for.
    let slack = wait - before

    func candidate(
      local: Double, remote: Double
    ) -> (decision: TaskDecision, cost: TaskCost) {
      let decision = TaskDecision(
        cut: cut, rsu: link?.rsu ?? 0,
        vehicleFrequency: localWork > 0
          ? min(localWork / local, constants.vehicleFrequency) : constants.vehicleFrequency,
        rsuFrequency: remoteWork > 0
          ? min(remoteWork / remote, constants.rsuFrequency) : constants.rsuFrequency)
      let cost = model.cost(
        of: situation, cut: cut, link: link, vehicleFrequency: decision.vehicleFrequency,
        rsuFrequency: decision.rsuFrequency)
      return (decision, cost)
    }

    var best = candidate(
      local: max(leastLocal, localWork * alphaRoot / freeFrequency, slack),
      remote: max(leastRemote, remoteWork / freeFrequency))
    func consider(local: Double, remote: Double) {
      let other = candidate(local: local, remote: remote)
      if other.cost.cost < best.cost.cost { best = other }
    }

    if best.cost.missed, constants.missedPenalty > 0 {
      // A margin, so that rounding cannot turn a deadline that is just met into one that is missed.
      let deadline = situation.deadline * (1 - 1e-12)
      let least = max(leastLocal, slack)
      if localWork == 0 {
        let remote = deadline - max(wait, before)
        if remote >= leastRemote { consider(local: 0, remote: remote) }
      } else if remoteWork == 0 {
        let local = deadline - before
        if local >= leastLocal { consider(local: local, remote: 0) }
      } else {
        let room = deadline - before
        if least + leastRemote <= room {
          let balanced =
            room * (alphaRoot * localWork / (alphaRoot * localWork + remoteWork))
          let local = min(max(balanced, least), room - leastRemote)
          consider(local: local, remote: room - local)
        }
      }
    }
    return (best.decision, best.cost.cost)
  }

  static let algorithm = Algorithm<RoadRSUEnvironment>(
    name: "myopic-optimum", version: 1,
    summary: "The least cost of each task by itself: every cut and RSU, frequencies in closed form."
  ) { environment, _, _, _ in MyopicOptimum(model: environment.model) }

  /// What an agent can reach that follows diversion, such as RTD.
  static let diverted = Algorithm<RoadRSUEnvironment>(
    name: "diverted-optimum", version: 1,
    summary: "myopic-optimum at the RSU that diversion picked: the bound of rtd."
  ) { environment, _, _, _ in
    MyopicOptimum(model: environment.model, followsDiversion: true)
  }
}
