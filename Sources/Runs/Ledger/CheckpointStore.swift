internal import Glibc
internal import Support

/// Checkpoints of a run: each is written whole or not at all, and the one before stays until then.
///
/// A file is the saved bytes followed by a trailer: a mark, their length, the run's identity and the SHA-256 of all
/// before it. What does not verify is skipped for the one before, in this attempt or an earlier one.
public struct CheckpointStore: Sendable {
  let ledger: RunLedger
  let run: String

  static let mark = Array("VECLABC1".utf8)
  static let trailerLength = 8 + 8 + 64 + 64
  /// Generations that an attempt keeps.
  static let generations = 2

  public init(ledger: RunLedger, run: String) {
    self.ledger = ledger
    self.run = run
  }

  private func path(attempt: Int, number: Int) -> String {
    "\(ledger.attemptFolder(run, attempt))/checkpoint-\(number)"
  }

  /// Numbers of an attempt's checkpoints, ascending; whether they verify is another matter.
  package func numbers(attempt: Int) -> [Int] {
    let prefix = "checkpoint-"
    let names = (try? Files.list(ledger.attemptFolder(run, attempt))) ?? []
    return names.filter { $0.hasPrefix(prefix) }.compactMap { Int($0.dropFirst(prefix.count)) }
      .sorted()
  }

  /// Keeps a checkpoint of an attempt and drops those that are older than the one before.
  public func save(_ bytes: [UInt8], attempt: Int) throws {
    let numbers = numbers(attempt: attempt)
    let number = (numbers.last ?? 0) + 1
    var content = bytes
    content.reserveCapacity(bytes.count + CheckpointStore.trailerLength)
    content += CheckpointStore.mark
    withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { content.append(contentsOf: $0) }
    content += Array(run.utf8)
    content += Array(SHA256Digest.hex(of: content).utf8)
    try Files.writeAtomically(content, to: path(attempt: attempt, number: number))
    for old in numbers where old <= number - CheckpointStore.generations {
      unlink(path(attempt: attempt, number: old))
    }
  }

  /// A checkpoint that verifies, and where it was found.
  public struct Found: Sendable {
    public let bytes: [UInt8]
    public let attempt: Int
    public let number: Int
    /// Sentences about newer ones that did not verify or cannot be used.
    public let skipped: [String]
  }

  /// The newest checkpoint of any attempt that verifies and can be used; nil to start anew.
  ///
  /// - Parameter check: throws an `InputError` about a checkpoint that cannot be used.
  public func newest(
    passing check: ([UInt8]) throws -> Void = { _ in }
  ) throws -> (found: Found?, skipped: [String]) {
    var skipped: [String] = []
    for attempt in try ledger.attempts(run).reversed() {
      for number in numbers(attempt: attempt).reversed() {
        let path = path(attempt: attempt, number: number)
        do {
          let bytes = try read(path)
          try check(bytes)
          return (
            Found(bytes: bytes, attempt: attempt, number: number, skipped: skipped), skipped
          )
        } catch let error as InputError {
          skipped.append(error.inFile(path).description)
        }
      }
    }
    return (nil, skipped)
  }

  private func read(_ path: String) throws -> [UInt8] {
    var bytes = try Files.read(path)
    func damaged(_ what: String) -> InputError {
      InputError(
        "checkpoint is damaged: \(what)", file: path, advice: "The one before it is used instead")
    }
    let length = bytes.count - CheckpointStore.trailerLength
    guard length >= 0 else { throw damaged("it is too short") }
    let trailer = Array(bytes[length...])
    guard trailer[..<8].elementsEqual(CheckpointStore.mark) else {
      throw damaged("its end is missing")
    }
    let recorded = trailer.withUnsafeBytes {
      UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }
    guard recorded == UInt64(length) else { throw damaged("its length is wrong") }
    guard trailer[16..<80].elementsEqual(run.utf8) else { throw damaged("it is of another run") }
    let digest = Array(trailer[80...])
    bytes.removeLast(64)
    guard digest.elementsEqual(SHA256Digest.hex(of: bytes).utf8) else {
      throw damaged("its digest does not match")
    }
    bytes.removeLast(CheckpointStore.trailerLength - 64)
    return bytes
  }

  /// Renames the checkpoints of every attempt, so that the next attempt starts anew.
  ///
  /// - Returns: whether it succeeded for all of them.
  package func putAside() -> Bool {
    ((try? ledger.attempts(run)) ?? []).allSatisfy { attempt in
      numbers(attempt: attempt).allSatisfy { number in
        let path = path(attempt: attempt, number: number)
        return rename(path, "\(Files.folder(of: path))/unusable-checkpoint-\(number)") == 0
      }
    }
  }

  /// Removes what a published run needs no more: checkpoints, whole or torn, and files of unfinished attempts.
  package func removeAll() {
    for attempt in (try? ledger.attempts(run)) ?? [] {
      let folder = ledger.attemptFolder(run, attempt)
      for name in (try? Files.list(folder)) ?? []
      where name.hasPrefix("checkpoint-") || name.hasPrefix("unusable-") || name == "result"
        || name.hasPrefix("agent-checkpoint")
      {
        try? Files.remove(folder + "/" + name)
      }
    }
  }
}
