public import Simulation

/// Every algorithm by model: the only list, in the order of the help and the figures.
public enum Registry {
  public static let singleRSU: [Algorithm<SingleRSUEnvironment>] = [
    RandomAgent.algorithm,
    LocalOnly.algorithm,
    RSUOnly.algorithm,
    Greedy.algorithm,
    GreedyShortestQueue.algorithm,
    Genetic.algorithm,
    CoordinateDescent.algorithm,
    Exact.algorithm,
    FixedSchedule.algorithm,
    BeliefPlanner.algorithm,
    QMIX.pQMIX,
    QMIX.mad2rl,
    Imitation.algorithm,
    ImitationDiffusion.algorithm,
    Counterfactual.algorithm,
  ]

  public static let roadRSU: [Algorithm<RoadRSUEnvironment>] = [
    LEO.algorithm,
    REO.algorithm,
    GBS.algorithm,
    RandomTaskAgent.algorithm,
    RTD.algorithm,
    DisDQN.algorithm,
    MyopicOptimum.algorithm,
    MyopicOptimum.diverted,
  ]

  /// Every model with its algorithms: adding one is one line.
  public static let models: [any OfferedModel] = [
    Offer(singleRSU),
    Offer(roadRSU),
  ]
}

/// A model with the algorithms that can act in it, for those who know models by this alone.
///
/// Who needs the types opens the existential: `func run<Offered: OfferedModel>(_ model: Offered)`.
public protocol OfferedModel<Model>: Sendable {
  associatedtype Model: Environment
  var algorithms: [Algorithm<Model>] { get }
}

/// The one kind of offered model.
public struct Offer<Model: Environment>: OfferedModel {
  public let algorithms: [Algorithm<Model>]

  public init(_ algorithms: [Algorithm<Model>]) { self.algorithms = algorithms }
}
