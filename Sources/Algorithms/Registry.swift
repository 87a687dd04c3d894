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
    PQMIX.algorithm,
    MAD2RL.algorithm,
  ]
}
