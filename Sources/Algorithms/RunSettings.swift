public import Support

/// Parameters that every run has, whatever its model and algorithm.
public struct RunSettings: Settings {
  @Setting(
    0...Int.max, source: "ours",
    "Seed of everything random in the run: scenario, search, initialisation, exploration.")
  public var seed = 1
  @Setting(
    1...1_000_000, source: "ours",
    "Number of episodes of an evaluation, on windows of the last part of the trace.")
  public var evaluationEpisodes = 20

  public init() {}
}

/// Parameters that every run of a learner has besides.
public struct TrainingRunSettings: Settings {
  @Setting(
    1...10_000_000, source: "P1 section 8.1; ours for P2", "Number of training episodes.")
  public var episodes = 1000
  @Setting(
    0...10_000_000, unit: "episodes", source: "ours",
    "Training episodes between two evaluations of the policy so far; 0: only at the end.")
  public var evaluationEvery = 0

  public init() {}
}
