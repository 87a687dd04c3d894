internal import Glibc
public import Plan
internal import Support

extension RunLedger {
  /// Takes over the result of the same run from another experiment of the same folder of results, if one is complete.
  ///
  /// A run's identity says everything that decides its result, so experiments that have a run in common need it
  /// once. The files are linked, or copied where the file system cannot link, after the result has been verified.
  ///
  /// - Returns: the folder that the result was taken from; nil when no other experiment has it whole.
  @discardableResult
  public func adopt(_ specification: RunSpecification) throws -> String? {
    let run = specification.id
    let parent = Files.folder(of: folder)
    let own = Files.name(of: folder)
    // An experiment's folder may be anywhere; only folders beside it that look like results are asked.
    guard Files.isFolder(parent), !Files.exists(resultFolder(run)) else { return nil }
    for name in try Files.list(parent).sorted() where name != own {
      let other = RunLedger(folder: "\(parent)/\(name)")
      guard other.isComplete(run), let manifest = try? other.verifiedManifest(run) else { continue }
      if try publishLinks(to: other.resultFolder(run), files: manifest.files.map(\.name), run: run)
      {
        return other.resultFolder(run)
      }
    }
    return nil
  }

  /// - Returns: whether it is now this ledger's result; another process may have published one meanwhile.
  private func publishLinks(to source: String, files: [String], run: String) throws -> Bool {
    let temporary = "\(runFolder(run))/adopted-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    defer { try? Files.remove(temporary) }
    try Files.makeFolder(temporary)
    for name in files + [Manifest.fileName] {
      let target = "\(temporary)/\(name)"
      try Files.makeFolder(Files.folder(of: target))
      guard link("\(source)/\(name)", target) != 0 else { continue }
      guard [EXDEV, EPERM, EMLINK, ENOTSUP, EACCES].contains(errno) else {
        throw Files.failure("link", target)
      }
      try Files.writeSynchronised(try Files.read("\(source)/\(name)"), to: target)
    }
    // What was read while somebody replaced it must not pass.
    guard let manifest = try? Manifest(folder: temporary, run: run),
      (try? manifest.verify(folder: temporary)) != nil
    else { return false }
    try Files.synchroniseFolder(temporary)
    guard rename(temporary, resultFolder(run)) == 0 else {
      if errno == ENOTEMPTY || errno == EEXIST { return false }
      throw Files.failure("publish the result as", resultFolder(run))
    }
    try Files.synchroniseFolder(runFolder(run))
    return true
  }
}
