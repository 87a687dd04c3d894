import Foundation
import Support
import Synchronization

@testable import Plan
@testable import Runs
@testable import Sweep

/// A folder that is removed with the object. Nothing lies beside it: results of other tests would be taken over.
final class ScratchFolder {
  private let parent: String
  let path: String

  init() throws {
    parent = NSTemporaryDirectory() + "/veclab-\(UUID().uuidString)"
    path = parent + "/ledger"
    try Files.makeFolder(path)
  }

  deinit { try? Files.remove(parent) }
}

/// Runs that add numbers: slow enough to be disturbed, simple enough to be known beforehand.
enum Toy {
  /// A run that adds up to `number + 1` times its episodes' numbers, `sums` of them.
  static func run(_ parameters: [String: Int], algorithm: String = "adder") -> RunSpecification {
    RunSpecification(
      model: "toy", modelVersion: 1, algorithm: algorithm, algorithmVersion: 1,
      parameters: parameters.mapValues { .integer($0) }, trace: "")
  }

  static func runs(_ count: Int, episodes: Int = 5) -> [RunSpecification] {
    (0..<count).map {
      run(["number": $0, "sums": episodes])
    }
  }

  /// The text that a run must end with, whatever happens on the way.
  static func expected(_ specification: RunSpecification) -> String {
    let number = specification.integer("number") ?? 0
    let episodes = specification.integer("sums") ?? 0
    var sum = 0
    var text = "episode,sum\n"
    for episode in 1...episodes {
      sum += episode * (number + 1)
      text += "\(episode),\(sum)\n"
    }
    return text
  }

  /// Executes a run, with a checkpoint after every episode; `disturb` is called before each.
  static func execute(
    _ specification: RunSpecification, _ context: any RunContext,
    disturb: (Int) throws -> Void = { _ in }
  ) throws -> RunEnd {
    let number = specification.integer("number") ?? 0
    let episodes = specification.integer("sums") ?? 0
    var sum = 0
    var text = "episode,sum\n"
    var first = 1
    if let bytes = try context.latestCheckpoint(passing: { _ in }) {
      var reader = StateReader(bytes)
      first = try reader.readInteger() + 1
      sum = try reader.readInteger()
      text = try reader.readText()
    }
    for episode in first..<(episodes + 1) {
      try disturb(episode)
      sum += episode * (number + 1)
      text += "\(episode),\(sum)\n"
      var writer = StateWriter()
      writer.write(episode)
      writer.write(sum)
      writer.write(text)
      try context.report(
        RunProgress(episode: episode, episodes: episodes, stage: "adding"))
      try context.saveCheckpoint(writer.bytes)
      if context.shouldStop && episode < episodes { return .stopped }
    }
    try Files.writeSynchronised(Array(text.utf8), to: context.folder + "/sums.csv")
    return .finished
  }

  static func result(_ ledger: RunLedger, _ specification: RunSpecification) throws -> String {
    try Files.readText(ledger.resultFolder(specification.id) + "/sums.csv")
  }

  /// A claim by a process that cannot be looked up from here: only its heartbeat tells.
  static func claimFromElsewhere(_ ledger: RunLedger, _ run: String, attempt: Int) throws {
    let folder = ledger.attemptFolder(run, attempt)
    try Files.makeFolder(folder)
    try Files.writeAtomically(
      """
      {"host": "far", "boot": "another", "processNamespace": "x", "process": 1, "startTicks": 7,
       "outOfMemoryKills": 0}
      """, to: folder + "/claim")
  }

  /// A claim by a process of this machine that has ended.
  static func claimFromDeadProcess(_ ledger: RunLedger, _ run: String, attempt: Int) throws {
    guard case .object(var members) = try JSONValue(encoding: ClaimOwner.current) else { return }
    members["startTicks"] = .integer(1)
    let folder = ledger.attemptFolder(run, attempt)
    try Files.makeFolder(folder)
    try Files.writeAtomically(JSONValue.object(members).readable, to: folder + "/claim")
  }

  static func loop(
    _ ledger: RunLedger, _ runs: [RunSpecification], lease: Double = 60, waits: Bool = false,
    maximumRuns: Int? = nil, shouldStop: @escaping @Sendable () -> Bool = { false },
    execute: @escaping WorkerLoop.Execute
  ) -> WorkerLoop {
    var options = WorkerLoop.Options()
    options.lease = lease
    options.waits = waits
    options.maximumRuns = maximumRuns
    return WorkerLoop(
      ledger: ledger, runs: runs, options: options, shouldStop: shouldStop, execute: execute)
  }

  static func loop(
    _ ledger: RunLedger, _ runs: [RunSpecification], lease: Double = 60
  ) -> WorkerLoop {
    loop(ledger, runs, lease: lease) { try Toy.execute($0, $1) }
  }
}
