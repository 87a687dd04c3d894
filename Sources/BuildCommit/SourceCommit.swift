/// The commit of the repository that this program was built from.
///
/// `Scripts/write-commit` writes the values into a file beside this one at every build.
public struct SourceCommit: Sendable, Equatable {
  /// Hash in hexadecimal; nil where the sources were in no repository of their own, or git was missing.
  public let hash: String?
  /// Whether the sources differed from the commit.
  public let hasChanges: Bool

  /// The commit of this program.
  public static var ofProgram: SourceCommit {
    SourceCommit(hash: builtHash, hasChanges: builtWithChanges)
  }

  /// The first 12 digits, with `+changes` where the sources differed; `unknown` without a commit.
  public var text: String {
    hash.map { $0.prefix(12) + (hasChanges ? "+changes" : "") } ?? "unknown"
  }
}
