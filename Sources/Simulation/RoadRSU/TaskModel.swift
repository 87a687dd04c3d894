internal import Support

/// A DNN in the road model: the work and the data at each of its cuts.
public struct TaskType: Sendable {
  public let name: String
  public let cuts: DNNCuts
  /// Most data that any cut sends, in bits: what diversion predicts with (23).
  public let mostBits: Double
  /// Time allowed for a task of this type, in seconds.
  public let deadline: Double

  /// Number of layers J; the cuts are 0...J.
  public var layers: Int { cuts.bits.count - 1 }
}

/// The equations of the road model (P2, Section II) with their constants.
///
/// Agents may evaluate any decision with it before they take it.
public struct TaskModel: Sendable {
  public let constants: TaskConstants
  public let types: [TaskType]
  /// Positions of the RSUs in the trace's coordinates, in metres; RSU 1 is the first.
  public let rsuX: [Double]
  public let rsuY: [Double]

  public var rsuCount: Int { rsuX.count }

  /// Offered load: the work of all tasks, every one of them run remotely as a whole, over what all RSUs can do at
  /// their greatest frequency; 1 and more: they could not, however well the tasks were spread.
  ///
  /// releaseRate × vehicles × mean work of a DNN / (RSUs × greatest frequency).
  public var load: Double {
    let works = types.map { $0.cuts.localFLOP[$0.layers] }
    return constants.releaseRate * Double(constants.vehicles) * Statistics.mean(works)
      / (Double(rsuCount) * constants.rsuFrequency)
  }

  public init(
    constants: TaskConstants, profiles: [DNNProfile], workload: Workload, skipAware: Bool = false,
    rsuX: [Double], rsuY: [Double]
  ) {
    precondition(rsuX.count == rsuY.count && !rsuX.isEmpty && !profiles.isEmpty)
    self.constants = constants
    self.rsuX = rsuX
    self.rsuY = rsuY
    types = profiles.map { profile in
      let cuts = profile.cuts(workload, skipAware: skipAware)
      let localTime = cuts.localFLOP[profile.layers.count] / constants.deadlineFrequency
      return TaskType(
        name: profile.name, cuts: cuts, mostBits: cuts.bits.max() ?? 0,
        deadline: constants.deadlineFactor * localTime)
    }
  }

  /// Transmission rate (12) at a three-dimensional distance, in bit/s.
  @inline(__always)
  public func rate(distance: Double, fading: Double) -> Double {
    constants.channel.rate(
      gain: constants.pathLoss.gain(distance: max(distance, constants.minimumDistance)),
      fading: fading)
  }

  /// The decision that runs all layers on the vehicle.
  public func local(_ situation: TaskSituation, frequency: Double? = nil) -> TaskDecision {
    TaskDecision(
      cut: types[situation.type].layers, rsu: 0,
      vehicleFrequency: frequency ?? constants.vehicleFrequency,
      rsuFrequency: constants.rsuFrequency)
  }

  /// What a cut costs with a link (nil: the task must run locally) at two frequencies.
  ///
  /// - Parameters:
  ///   - vehicleFrequency: In Hz; does not matter for cut 0.
  ///   - rsuFrequency: In Hz; does not matter for the last cut.
  public func cost(
    of situation: TaskSituation, cut: Int, link: RSULink?, vehicleFrequency: Double,
    rsuFrequency: Double
  ) -> TaskCost {
    let cuts = types[situation.type].cuts
    let localFLOP = cuts.localFLOP[cut]
    let remoteFLOP = cuts.remoteFLOP[cut]
    let localTime = localFLOP > 0 ? localFLOP / vehicleFrequency : 0
    let localWait = localFLOP > 0 ? situation.localWait : 0
    let vehicleEnergy = constants.kappa * localFLOP * vehicleFrequency * vehicleFrequency
    var bits = 0.0
    var wait = 0.0
    var transmitTime = 0.0
    var remoteTime = 0.0
    var rsuEnergy = 0.0
    var delay = localWait + localTime
    if let link, cut < cuts.bits.count - 1 {
      bits = cuts.bits[cut]
      wait = link.queueWait
      transmitTime = bits / link.rate
      remoteTime = remoteFLOP / rsuFrequency
      rsuEnergy = constants.kappa * remoteFLOP * rsuFrequency * rsuFrequency
      // (18) without the two additions of P_g, which would only cost digits.
      delay =
        max((situation.decision - situation.release) + wait, localWait + localTime + transmitTime)
        + remoteTime
    }
    let transmitEnergy = constants.transmitPower * transmitTime
    let energy = situation.alpha * (vehicleEnergy + transmitEnergy) + rsuEnergy
    let missed = delay > situation.deadline
    let objective = delay + constants.beta * energy
    return TaskCost(
      localFLOP: localFLOP, remoteFLOP: remoteFLOP, cutBits: bits, queueWait: wait,
      localTime: localTime, transmitTime: transmitTime, remoteTime: remoteTime, delay: delay,
      vehicleEnergy: vehicleEnergy, transmitEnergy: transmitEnergy, rsuEnergy: rsuEnergy,
      energy: energy, missed: missed, objective: objective,
      cost: missed ? objective + constants.missedPenalty : objective)
  }

  /// What a decision costs.
  ///
  /// - Throws: `InputError` if the decision is not possible in the situation.
  public func cost(of decision: TaskDecision, in situation: TaskSituation) throws -> TaskCost {
    func refuse(_ key: String, _ value: String, _ problem: String) -> InputError {
      InputError("\(problem) in the decision on task \(situation.task)", key: key, value: value)
    }
    let layers = types[situation.type].layers
    guard (0...layers).contains(decision.cut) else {
      throw refuse("cut", "\(decision.cut)", "must be 0 to \(layers)")
    }
    let isLocal = decision.cut == layers
    let link = isLocal ? nil : situation.link(to: decision.rsu)
    guard isLocal || link != nil else {
      throw refuse("rsu", "\(decision.rsu)", "is not in range")
    }
    guard decision.vehicleFrequency > 0, decision.vehicleFrequency <= constants.vehicleFrequency
    else {
      throw refuse(
        "vehicleFrequency", "\(decision.vehicleFrequency)",
        "must be above 0 and at most \(constants.vehicleFrequency) Hz")
    }
    guard decision.rsuFrequency > 0, decision.rsuFrequency <= constants.rsuFrequency else {
      throw refuse(
        "rsuFrequency", "\(decision.rsuFrequency)",
        "must be above 0 and at most \(constants.rsuFrequency) Hz")
    }
    return cost(
      of: situation, cut: decision.cut, link: link, vehicleFrequency: decision.vehicleFrequency,
      rsuFrequency: decision.rsuFrequency)
  }
}
