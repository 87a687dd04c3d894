/// A trace file on disk, opened for reading.
public final class TraceFile: Sendable {
  public let path: String

  public init(path: String) { self.path = path }
}
