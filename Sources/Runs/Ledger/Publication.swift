internal import CProcess
internal import Glibc
internal import Plan
package import Support

/// The last step of a run: its files become its result in one rename.
package struct Publication {
  let ledger: RunLedger
  let specification: RunSpecification

  package enum Outcome: Equatable {
    case published
    /// Another attempt had published before; this one's files are dropped.
    case alreadyPublished
  }

  /// Flushes everything, then renames the folder to the run's result.
  ///
  /// A result that is there already refuses the rename. Nothing is flushed after the rename but the folder's
  /// entry: a reader that sees the result sees all of it.
  func publish(_ folder: String) throws -> Outcome {
    try Publication.seal(folder, as: specification.document)
    let run = specification.id
    let result = ledger.resultFolder(run)
    while rename(folder, result) != 0 {
      let code = errno
      guard code == ENOTEMPTY || code == EEXIST else {
        throw Files.failure("publish the result as", result, code: code)
      }
      if ledger.isComplete(run) {
        try Files.remove(folder)
        return .alreadyPublished
      }
      try ledger.setAside(run)
    }
    try Files.synchroniseFolder(ledger.runFolder(run))
    try Files.synchroniseFolder(ledger.runsFolder)
    return .published
  }

  /// Writes the manifest of a folder's files and flushes everything: what is left is to rename the folder.
  ///
  /// - Parameter identity: what the result's identity is the digest of.
  package static func seal(_ folder: String, as identity: JSONValue) throws {
    let manifest = try Manifest(specification: identity, folder: folder)
    guard !manifest.files.isEmpty else {
      throw InputError("the run ended without writing a file", file: folder)
    }
    for file in manifest.files { try Publication.flush(folder + "/" + file.name) }
    try Files.writeSynchronised(
      Array(manifest.text().utf8), to: folder + "/" + Manifest.fileName)
    for name in Set(manifest.files.map { Files.folder(of: folder + "/" + $0.name) }).sorted()
    where name != folder {
      try Files.synchroniseFolder(name)
    }
    try Files.synchroniseFolder(folder)
  }

  private static func flush(_ path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Files.failure("open", path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw Files.failure("flush", path) }
  }
}

extension RunLedger {
  /// Moves a run's result folder to the first free `damaged-N` beside it.
  ///
  /// - Returns: the new path; nil when there was nothing to move.
  @discardableResult
  func setAside(_ run: String) throws -> String? {
    var number = 1
    while Files.exists("\(runFolder(run))/damaged-\(number)") { number += 1 }
    let target = "\(runFolder(run))/damaged-\(number)"
    guard rename(resultFolder(run), target) == 0 else {
      if errno == ENOENT { return nil }
      throw Files.failure("move the damaged result to", target)
    }
    return target
  }

  /// Where a result is while another one takes its place, on file systems that cannot exchange two folders at once.
  private func replacedFolder(_ run: String) -> String { runFolder(run) + "/replaced" }

  /// Puts a sealed folder in the place of a run's result, which is removed.
  func replaceResult(_ run: String, by folder: String) throws {
    let result = resultFolder(run)
    if paths_exchange(folder, result) == 0 {
      try Files.synchroniseFolder(runFolder(run))
      return try Files.remove(folder)
    }
    guard [EINVAL, ENOSYS, ENOTSUP].contains(errno) else {
      throw Files.failure("publish the result as", result)
    }
    let replaced = replacedFolder(run)
    for (from, to) in [(result, replaced), (folder, result)] where rename(from, to) != 0 {
      let code = errno
      try restoreReplaced([run])
      throw Files.failure("publish the result as", result, code: code)
    }
    try Files.synchroniseFolder(runFolder(run))
    try Files.remove(replaced)
  }

  /// Puts results back that an interruption of `replaceResult` has left without a successor.
  public func restoreReplaced(_ runs: [String]) throws {
    for run in runs where Files.exists(replacedFolder(run)) {
      if isComplete(run) {
        try Files.remove(replacedFolder(run))
      } else if rename(replacedFolder(run), resultFolder(run)) != 0 {
        throw Files.failure("put back the result", replacedFolder(run))
      }
    }
  }

  /// Verifies the published results among runs and moves those that do not verify aside, so that they run again.
  ///
  /// - Returns: a sentence for each of them.
  public func setAsideDamaged(_ runs: [String]) throws -> [String] {
    try runs.compactMap { run in
      guard Files.exists(resultFolder(run)) else { return nil }
      do {
        try verify(run)
        return nil
      } catch let error as InputError where error.systemCode.map({ $0 == ENOENT }) ?? true {
        guard let target = try setAside(run) else { return nil }
        // Another process may have replaced the damaged result since it was read.
        if let manifest = try? Manifest(folder: target, run: run),
          (try? manifest.verify(folder: target)) != nil,
          rename(target, resultFolder(run)) == 0
        {
          return nil
        }
        return "\(error) The result is kept in \(target) and the run is done again."
      }
    }
  }
}
