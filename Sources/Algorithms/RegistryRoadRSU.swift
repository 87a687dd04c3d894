public import Simulation

/// Every algorithm of the road model, in the order of tables and figures.
public let roadRSUAlgorithms: [Algorithm<RoadRSUEnvironment>] = [
  RoadLocalOnly.algorithm,
  RoadRSUOnly.algorithm,
  RoadGreedy.algorithm,
  RoadRandom.algorithm,
  RoadRTD.algorithm,
  RoadDisDQN.algorithm,
  RoadMyopicOptimum.algorithm,
]
