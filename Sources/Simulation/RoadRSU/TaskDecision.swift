/// An RSU in range of a task's vehicle, as the request finds it.
public struct RSULink: Sendable, Equatable {
  /// Number of the RSU, counted from 1.
  public var rsu: Int
  /// Three-dimensional distance of the vehicle, in metres.
  public var distance: Double
  /// Distance along the road's axis from the RSU to the vehicle, in metres.
  public var along: Double
  /// Rayleigh fading power E, of mean 1.
  public var fading: Double
  /// Transmission rate (12), in bit/s.
  public var rate: Double
  /// True waiting time of a task that is decided now (17), in seconds.
  public var queueWait: Double
  /// Tasks at the RSU that are not finished.
  public var queueLength: Int
  /// Waiting time that the RSU broadcast last, in seconds.
  public var broadcastWait: Double

  public init(
    rsu: Int, distance: Double, along: Double, fading: Double, rate: Double, queueWait: Double,
    queueLength: Int, broadcastWait: Double
  ) {
    self.rsu = rsu
    self.distance = distance
    self.along = along
    self.fading = fading
    self.rate = rate
    self.queueWait = queueWait
    self.queueLength = queueLength
    self.broadcastWait = broadcastWait
  }
}

/// A task that has been released and must be decided on.
public struct TaskSituation: Sendable, Equatable {
  /// Number of the task in its episode, counted from 1.
  public var task: Int
  public var slot: Int
  /// The vehicle's place among the task vehicles, counted from 0.
  public var vehicle: Int
  /// Time of release P_g, in seconds from the window's start.
  public var release: Double
  /// Time of decision P_d, in seconds from the window's start.
  public var decision: Double
  /// Position in the trace's coordinates, in metres.
  public var x: Double
  public var y: Double
  /// Position along the road's axis from the middle of the RSUs, in metres.
  public var along: Double
  /// In m/s.
  public var speed: Double
  /// Index of the task's DNN among the model's.
  public var type: Int
  /// Time allowed from release to completion, in seconds.
  public var deadline: Double
  /// Battery level b in [0, 1].
  public var battery: Double
  /// Battery coefficient α of (20).
  public var alpha: Double
  /// Time for which the vehicle's own processor is still busy, in seconds; 0 without `localQueue`.
  public var localWait: Double
  /// The RSUs in range, in order of their numbers.
  public var links: [RSULink]
  /// Index in `links` of the RSU that diversion picked; nil when none is in range.
  public var diverted: Int?

  public init(
    task: Int = 1, slot: Int = 0, vehicle: Int = 0, release: Double = 0, decision: Double = 0,
    x: Double = 0, y: Double = 0, along: Double = 0, speed: Double = 0, type: Int,
    deadline: Double, battery: Double, alpha: Double, localWait: Double = 0, links: [RSULink],
    diverted: Int?
  ) {
    self.task = task
    self.slot = slot
    self.vehicle = vehicle
    self.release = release
    self.decision = decision
    self.x = x
    self.y = y
    self.along = along
    self.speed = speed
    self.type = type
    self.deadline = deadline
    self.battery = battery
    self.alpha = alpha
    self.localWait = localWait
    self.links = links
    self.diverted = diverted
  }

  /// Index in `links` of the RSU at the least distance, the first of equals; nil when none is in range.
  public var nearest: Int? {
    links.indices.min { links[$0].distance < links[$1].distance }
  }

  /// The link to an RSU by its number; nil when it is out of range.
  public func link(to rsu: Int) -> RSULink? { links.first { $0.rsu == rsu } }
}

/// What is decided about a task.
public struct TaskDecision: Sendable, Equatable {
  /// Number x of layers that run on the vehicle; all of them: nothing is sent.
  public var cut: Int
  /// Number of the RSU, counted from 1; 0: none, which only a task that runs locally can have.
  public var rsu: Int
  /// In Hz, above 0 and at most the vehicle's greatest frequency.
  public var vehicleFrequency: Double
  /// In Hz, above 0 and at most the RSU's greatest frequency.
  public var rsuFrequency: Double
  /// The numbers that a stochastic policy drew and made the decision from, in (-1, 1): what its learner stores
  /// as the action. The environment does not look at them; empty for agents that do not need them.
  public var drawn: [Float]

  public init(
    cut: Int, rsu: Int, vehicleFrequency: Double, rsuFrequency: Double, drawn: [Float] = []
  ) {
    self.cut = cut
    self.rsu = rsu
    self.vehicleFrequency = vehicleFrequency
    self.rsuFrequency = rsuFrequency
    self.drawn = drawn
  }
}

/// What a decision about one task costs, equations (8) to (21).
public struct TaskCost: Sendable, Equatable {
  /// C_veh and C_RSU (8), in FLOP, and the data at the cut (5), (7), in bits.
  public var localFLOP: Double
  public var remoteFLOP: Double
  public var cutBits: Double
  /// Queueing time at the RSU (17); 0 for a task that runs locally.
  public var queueWait: Double
  /// t_veh (9), t_trans (11), t_RSU (13) and t (18), in seconds.
  public var localTime: Double
  public var transmitTime: Double
  public var remoteTime: Double
  public var delay: Double
  /// e_veh (10), e_trans (14), e_RSU (15), unweighted, and e (19), in joules.
  public var vehicleEnergy: Double
  public var transmitEnergy: Double
  public var rsuEnergy: Double
  public var energy: Double
  /// Whether the deadline is missed.
  public var missed: Bool
  /// t + β e (21), in seconds.
  public var objective: Double
  /// The objective, and the penalty of a missed deadline, in seconds.
  public var cost: Double
}

/// Everything about a task that has been decided.
public struct DecidedTask: Sendable {
  public var situation: TaskSituation
  public var decision: TaskDecision
  public var costs: TaskCost
  /// Id of the vehicle in the trace.
  public var vehicleName: String
  /// Name of the task's DNN.
  public var dnn: String
  /// The RSU that the task was sent to; nil for a task that runs locally.
  public var link: RSULink?
  /// Mean number of unfinished tasks at an RSU, over all RSUs, when the task was released.
  public var meanQueueLength: Double
  /// Wait for the vehicle's own processor, in seconds; 0 for a task without local layers.
  public var localWait: Double { costs.localFLOP > 0 ? situation.localWait : 0 }
  /// Service at the RSU, and the wait for it once the data are there, in seconds; 0 for a task that runs locally.
  public var edgeTime: Double {
    guard link != nil else { return 0 }
    let arrival = localWait + costs.localTime + costs.transmitTime
    let wait = situation.decision - situation.release + costs.queueWait - arrival
    return max(wait, 0) + costs.remoteTime
  }
  /// -cost (28).
  public var reward: Double { -costs.cost }
}
