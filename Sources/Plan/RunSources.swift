internal import Glibc
package import Simulation
internal import Support
package import Trace
internal import TraceImport

/// Reads a DNN table under the name that a run calls it by.
package func loadProfile(name: String, path: String) throws -> DNNProfile {
  try Files.refuseSpecialFile(path)
  return try DNNProfile(name: name, table: CSVTable(path: path))
}

/// The imported form of a trace: the file itself when it is one, else `traces/<digest>.trace`, made once.
///
/// - Parameter experimentFolder: where the imported trace is kept, under the digest of the FCD file.
/// - Returns: its path, absolute or relative to the experiment's folder, and the digest of its content.
package func importedTrace(
  _ path: String, experimentFolder: String
) throws -> (path: String, digest: String) {
  // It is read twice, which a pipe cannot be.
  try Files.refuseSpecialFile(path)
  if try isTraceFile(path) {
    let absolute = path.hasPrefix("/") ? path : Files.workingFolder + "/" + path
    return (absolute, try TraceFile(path: path).digest)
  }
  let relative = "traces/\(try digest(ofFile: path)).trace"
  let imported = "\(experimentFolder)/\(relative)"
  if Files.exists(imported), let digest = try? TraceFile(path: imported).digest {
    return (relative, digest)
  }
  try Files.makeFolder(experimentFolder + "/traces")
  return (relative, try TraceImporter.importTrace(from: path, to: imported).digest)
}

/// Whether a file begins as imported traces do.
private func isTraceFile(_ path: String) throws -> Bool {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw Files.failure("open", path) }
  defer { close(descriptor) }
  let magic = Array("VECTRACE".utf8)
  var start = [UInt8](repeating: 0, count: magic.count)
  return read(descriptor, &start, start.count) == start.count && start == magic
}

/// SHA-256 of a file, read in pieces: it may be large.
private func digest(ofFile path: String) throws -> String {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw Files.failure("open", path) }
  defer { close(descriptor) }
  var digest = SHA256Digest()
  var chunk = [UInt8](repeating: 0, count: 1 << 18)
  while true {
    let count = read(descriptor, &chunk, chunk.count)
    if count < 0 {
      if errno == EINTR { continue }
      throw Files.failure("read", path)
    }
    if count == 0 { return digest.finish() }
    chunk.withUnsafeBytes { digest.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
  }
}

/// Traces and DNN tables of one experiment, each opened once in a process.
public final class RunSources {
  /// Folder that relative paths of a plan belong to: `Results/<experiment>`.
  public let experimentFolder: String
  private var traces: [String: TraceFile] = [:]
  private var profiles: [String: DNNProfile] = [:]

  public init(experimentFolder: String) { self.experimentFolder = experimentFolder }

  package func trace(_ path: String) throws -> TraceFile {
    let path = Files.path(path, relativeTo: experimentFolder)
    if let known = traces[path] { return known }
    let trace = try TraceFile(path: path)
    traces[path] = trace
    return trace
  }

  package func profile(_ name: String, _ path: String) throws -> DNNProfile {
    let key = "\(name) \(path)"
    if let known = profiles[key] { return known }
    let profile = try loadProfile(
      name: name, path: Files.path(path, relativeTo: experimentFolder))
    profiles[key] = profile
    return profile
  }
}
