internal import Support

/// What came of one episode.
public struct EpisodeResult<Metrics: EpisodeMetrics> {
  public var metrics = Metrics()
  public var timing = EpisodeTiming()
}

/// Wall-clock figures of an episode.
public struct EpisodeTiming: Sendable {
  public var decisions = 0
  public var decisionSeconds = 0.0
  public var learningSeconds = 0.0
  public var seconds = 0.0
}

extension Environment {
  /// Runs one episode: the only place where an environment and an agent meet.
  ///
  /// - Parameter log: called with every outcome; nil records nothing.
  public mutating func runEpisode<Learner: Agent<Self>>(
    _ episode: Int, phase: Phase, agent: inout Learner, learns: Bool,
    log: ((Outcome) -> Void)? = nil
  ) throws -> EpisodeResult<Metrics> {
    var result = EpisodeResult<Metrics>()
    let clock = ContinuousClock()
    let start = clock.now
    var decisionTime = Duration.zero
    var learningTime = Duration.zero
    beginEpisode(episode, phase: phase)
    agent.beginEpisode(episode, phase: phase)
    var next = isEpisodeOver ? nil : situation
    while let situation = next {
      let before = clock.now
      let decision = try agent.decide(situation, phase: phase)
      decisionTime += clock.now - before
      let outcome = try apply(decision)
      result.metrics.add(outcome)
      result.timing.decisions += 1
      log?(outcome)
      next = self.situation
      if learns {
        let before = clock.now
        try agent.learn(situation, decision, outcome, next: next)
        learningTime += clock.now - before
      }
      if isEpisodeOver { break }
    }
    try agent.endEpisode()
    result.timing.decisionSeconds = decisionTime.inSeconds
    result.timing.learningSeconds = learningTime.inSeconds
    result.timing.seconds = (clock.now - start).inSeconds
    return result
  }
}

extension Duration {
  var inSeconds: Double {
    let (seconds, attoseconds) = components
    return Double(seconds) + Double(attoseconds) * 1e-18
  }
}
