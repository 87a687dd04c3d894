internal import Support

/// How far a run is.
public struct RunProgress: Sendable, Equatable {
  /// Episodes done, training and evaluation together.
  public var episode: Int
  public var episodes: Int
  /// What the run is doing, in a word or two, e.g. `training`.
  public var stage: String
  /// Kind of the episode that was done last; nil when it is not known.
  public var lastEpisode: EpisodeKind?

  /// What an episode did to the policy, and so what it costs.
  public enum EpisodeKind: Sendable, Equatable {
    /// It trained the policy.
    case training
    /// A training episode without a gradient step: the learner was only gathering experience.
    case warmUp
    case evaluation
  }

  public init(
    episode: Int, episodes: Int, stage: String, lastEpisode: EpisodeKind? = nil
  ) {
    self.episode = episode
    self.episodes = episodes
    self.stage = stage
    self.lastEpisode = lastEpisode
  }
}

/// The place in which a run is executed: where its files go, its checkpoints, its signs of life.
public protocol RunContext: Sendable {
  /// Folder that the run writes its result files into; not yet published.
  var folder: String { get }
  /// The newest checkpoint that verifies and can be used, or nil to start anew.
  ///
  /// - Parameter check: throws an `InputError` about a checkpoint that cannot be used, so that the one before is
  ///   tried.
  func latestCheckpoint(passing check: ([UInt8]) throws -> Void) throws -> [UInt8]?
  /// Takes down which instruction set the run trains with: its results hold for that one alone.
  func note(instructionSet: String)
  /// Keeps a checkpoint safely; the one before stays until this one is whole.
  func saveCheckpoint(_ bytes: [UInt8]) throws
  /// Tells how far the run is; cheap enough to call after every episode.
  func report(_ progress: RunProgress) throws
  /// Adds lines to the learning curve that others can watch; no part of the result.
  func show(curve lines: [UInt8])
  /// Whether the run should save a checkpoint and return `RunEnd.stopped` at the next episode's end.
  var shouldStop: Bool { get }
}

extension RunContext {
  public func show(curve lines: [UInt8]) {}
}

/// How the execution of a run ended, if not by an error.
public enum RunEnd: Sendable, Equatable {
  /// Every result file is written.
  case finished
  /// A checkpoint is saved; another attempt goes on from it.
  case stopped
}
