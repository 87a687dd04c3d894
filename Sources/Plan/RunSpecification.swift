public import Support

/// One run that a plan asks for: everything that decides its result, and nothing else.
public struct RunSpecification: Sendable, Equatable {
  /// SHA-256 (64 hexadecimal digits) of the canonical text of `document`.
  public let id: String
  /// Model, algorithm with version, every parameter expanded, digests of the trace and the DNN tables.
  public let document: JSONValue

  public init(document: JSONValue) {
    self.document = document
    id = SHA256Digest.hex(of: document.canonical)
  }

  /// The first digits of the identity, for people.
  public var shortID: String { String(id.prefix(12)) }
}
