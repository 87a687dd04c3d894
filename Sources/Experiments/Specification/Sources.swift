public import Simulation
internal import Support
public import Trace

/// Digest of a DNN table's content.
func profileDigest(name: String, path: String) throws -> String {
  SHA256Digest.hex(of: try Files.read(path))
}

/// Reads a DNN table.
func loadProfile(name: String, path: String) throws -> DNNProfile {
  DNNProfile(name: name)
}

/// The imported form of a trace: the file itself when it is one, else `traces/<digest>.trace`, made once.
///
/// - Returns: its path, absolute or relative to the experiment's folder, and the digest of its content.
func importedTrace(
  _ path: String, experimentFolder: String
) throws -> (path: String, digest: String) {
  (path, SHA256Digest.hex(of: try Files.read(path)))
}

/// Traces and DNN tables of one experiment, each opened once in a process.
public final class RunSources {
  /// Folder that relative paths of a plan belong to: `Results/<experiment>`.
  public let experimentFolder: String
  private var traces: [String: TraceFile] = [:]
  private var profiles: [String: DNNProfile] = [:]

  public init(experimentFolder: String) { self.experimentFolder = experimentFolder }

  func trace(_ path: String) throws -> TraceFile {
    let path = Files.path(path, relativeTo: experimentFolder)
    if let known = traces[path] { return known }
    let trace = TraceFile(path: path)
    traces[path] = trace
    return trace
  }

  func profile(_ name: String, _ path: String) throws -> DNNProfile {
    let key = "\(name) \(path)"
    if let known = profiles[key] { return known }
    let profile = try loadProfile(
      name: name, path: Files.path(path, relativeTo: experimentFolder))
    profiles[key] = profile
    return profile
  }
}
