public import Support

/// Parameters that every run has, whatever its model and algorithm.
public enum RunParameters {
  /// Known to every algorithm.
  public static let all: [Parameter] = [
    Parameter(
      "seed", .integer(0...Int.max), default: .integer(1), source: "ours",
      "Seed of everything random in the run: scenario, search, initialisation, exploration."),
    Parameter(
      "evaluationEpisodes", .integer(1...1_000_000), default: .integer(20), source: "ours",
      "Number of episodes of an evaluation, on windows of the last part of the trace."),
  ]

  /// Known to learners only.
  public static let learners: [Parameter] = [
    Parameter(
      "episodes", .integer(1...10_000_000), default: .integer(1000),
      source: "P1 section 8.1; ours for P2",
      "Number of training episodes."),
    Parameter(
      "evaluationEvery", .integer(0...10_000_000), default: .integer(0), unit: "episodes",
      source: "ours",
      "Training episodes between two evaluations of the policy so far; 0: only at the end."),
  ]

  /// Decides how often a run saves its state, not what it computes: no part of a run's identity.
  public static let checkpointEvery = Parameter(
    "checkpointEvery", .integer(1...1_000_000), default: .integer(50), unit: "episodes",
    source: "ours", "Episodes between two checkpoints.")

  package static func schema(isLearner: Bool) -> [Parameter] { isLearner ? all + learners : all }
}

/// Numbers of episodes of a run, from its document.
package struct RunSchedule {
  package let trainingEpisodes: Int
  /// Episodes of all evaluations together, those in the midst of training included.
  package let evaluationEpisodes: Int

  package var episodes: Int { trainingEpisodes + evaluationEpisodes }

  package init(_ document: JSONValue) {
    func number(_ key: String) -> Int { document["parameters"]?[key]?.integerValue ?? 0 }
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
