internal import Glibc
package import Simulation
internal import Support
package import Trace
package import TraceImport

/// Reads a DNN table under the name that a run calls it by.
package func loadProfile(name: String, path: String) throws -> DNNProfile {
  try Files.refuseSpecialFile(path)
  return try DNNProfile(name: name, table: CSVTable(path: path))
}

/// A trace in the form that runs read.
package struct ImportedTrace {
  /// Absolute, or relative to the experiment's folder of results.
  package let path: String
  /// Of the content.
  package let digest: String
  /// What its import warned of, a sentence each without a full stop.
  package let warnings: [String]
}

/// How the coordinates of floating-car data are to be read.
package struct TraceReading: Sendable, Equatable {
  /// `auto`, `metres` or `geo`.
  package var coordinates = ImportOptions.Coordinates.auto
  /// SUMO network whose `<location>` tells what `auto` means.
  package var network: String?

  package init(
    coordinates: ImportOptions.Coordinates = .auto, network: String? = nil
  ) {
    self.coordinates = coordinates
    self.network = network
  }

  func options() throws -> ImportOptions {
    var options = ImportOptions()
    options.coordinates = coordinates
    options.network = try network.map { try NetworkLocation(path: $0) }
    return options
  }

  /// Sets imports of the same file apart.
  func suffix() throws -> String {
    let word = coordinates == .auto ? "" : "-\(coordinates.rawValue)"
    return try word + (network.map { "-net-\(try digest(ofFile: $0).prefix(12))" } ?? "")
  }
}

/// The imported form of a trace: the file itself when it is one, else `traces/<digest>.trace`, made once.
///
/// - Parameters:
///   - experimentFolder: where the imported trace is kept, under the digest of the FCD file.
///   - reading: for FCD; a trace file has been read already.
package func importedTrace(
  _ path: String, experimentFolder: String, reading: TraceReading = TraceReading()
) throws -> ImportedTrace {
  // It is read twice, which a pipe cannot be.
  try Files.refuseSpecialFile(path)
  if try isTraceFile(path) {
    let absolute = path.hasPrefix("/") ? path : Files.workingFolder + "/" + path
    let trace = try TraceFile(path: path)
    return ImportedTrace(path: absolute, digest: trace.digest, warnings: trace.notes)
  }
  let relative = "traces/\(try digest(ofFile: path))\(try reading.suffix()).trace"
  let imported = "\(experimentFolder)/\(relative)"
  if Files.exists(imported), let trace = try? TraceFile(path: imported), trace.keepsNotes {
    return ImportedTrace(path: relative, digest: trace.digest, warnings: trace.notes)
  }
  try Files.makeFolder(experimentFolder + "/traces")
  let summary = try TraceImporter.importTrace(
    from: path, to: imported, options: reading.options())
  try Files.writeAtomically(path, to: sourceNote(of: imported))
  return ImportedTrace(path: relative, digest: summary.digest, warnings: summary.warnings)
}

/// The file beside an imported trace that holds the path of its floating-car data: what errors call the trace.
private func sourceNote(of imported: String) -> String { imported + ".source" }

/// Whether a file begins as imported traces do.
private func isTraceFile(_ path: String) throws -> Bool {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw Files.failure("open", path) }
  defer { close(descriptor) }
  return TraceFile.isTrace(descriptor: descriptor)
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
    let trace = try TraceFile(path: path, name: try? Files.readText(sourceNote(of: path)))
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
