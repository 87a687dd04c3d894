internal import Algorithms
public import Support

/// Parameters that every run has, whatever its model and algorithm.
public enum RunParameters {
  /// Known to every algorithm.
  public static let all = RunSettings.parameters

  /// Known to learners only.
  public static let learners = TrainingRunSettings.parameters

  /// Decides how often a run saves its state, not what it computes: no part of a run's identity.
  public static let checkpointEvery = Parameter(
    "checkpointEvery", .integer(1...1_000_000), default: .integer(50), unit: "episodes",
    source: "ours", "Episodes between two checkpoints.")

  package static func schema(isLearner: Bool) -> [Parameter] { isLearner ? all + learners : all }
}

/// Numbers of episodes of a run.
package struct RunSchedule {
  package let trainingEpisodes: Int
  /// Episodes of all evaluations together, those in the midst of training included.
  package let evaluationEpisodes: Int

  package var episodes: Int { trainingEpisodes + evaluationEpisodes }

  package init(_ run: RunSpecification) {
    func number(_ key: String) -> Int { run.integer(key) ?? 0 }
    self.init(
      training: number("episodes"), evaluation: number("evaluationEpisodes"),
      every: number("evaluationEvery"))
  }

  /// - Parameters:
  ///   - evaluation: episodes of one evaluation.
  ///   - every: training episodes between two evaluations; 0: only at the end.
  package init(training: Int, evaluation: Int, every: Int) {
    trainingEpisodes = training
    let checks = every > 0 ? max(0, (training - 1) / every) : 0
    evaluationEpisodes = (checks + 1) * evaluation
  }
}
