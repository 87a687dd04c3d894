import Foundation
import Support
import Synchronization
import Testing

@testable import Plan
@testable import Runs
@testable import Sweep
@testable import TestSupport

@Suite struct LedgerFaultTests {
  struct Strange: Error {}

  @Test func badInputIsNotTriedAgainAndOthersGoOn() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let runs = Toy.runs(3)
    var loop = Toy.loop(ledger, runs) { run, context in
      if run == runs[0] { throw InputError("no window qualifies", key: "clients", value: "9") }
      if run == runs[1] { throw Strange() }
      return try Toy.execute(run, context)
    }
    #expect(try loop.run() == .done)
    guard case .failed(let end) = try ledger.state(of: runs[0].id) else {
      Issue.record("the run has not failed")
      return
    }
    #expect(end.kind == .badInput)
    #expect(end.message == "clients: no window qualifies (got '9').")
    #expect(try ledger.attempts(runs[0].id) == [1])
    #expect(ledger.end(of: runs[1].id, attempt: 1)?.kind == .failed)
    #expect(try Toy.result(ledger, runs[2]) == Toy.expected(runs[2]))

    #expect(try ledger.forgiveFailures(runs.map(\.id)) == [runs[0].id, runs[1].id])
    var again = Toy.loop(ledger, runs)
    #expect(try again.run() == .done)
    #expect(try Toy.result(ledger, runs[0]) == Toy.expected(runs[0]))
    #expect(try ledger.attempts(runs[0].id) == [1, 2])
  }

  @Test func storageTroubleIsTriedThreeTimes() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let run = Toy.runs(1)[0]
    let tries = Mutex(0)
    for attempt in 1...AttemptEnd.maximumFaults {
      var loop = Toy.loop(ledger, [run], maximumRuns: 1) { run, context in
        tries.withLock { $0 += 1 }
        throw Files.failure("write", context.folder + "/sums.csv", code: 28)
      }
      #expect(try loop.run() == .done)
      #expect(ledger.end(of: run.id, attempt: attempt)?.kind == .storage)
    }
    guard case .failed(let end) = try ledger.state(of: run.id) else {
      Issue.record("the run has not failed")
      return
    }
    #expect(end.message.contains("No space left on device"))
    #expect(tries.withLock { $0 } == 3)
  }

  @Test func rulesForTryingAgain() {
    func ends(_ kinds: [AttemptEnd.Kind], advanced: Bool = false) -> [AttemptEnd] {
      kinds.map { AttemptEnd($0, "", hasAdvanced: advanced) }
    }
    #expect(AttemptEnd.verdict([]) == .again(after: 0))
    #expect(AttemptEnd.verdict(ends([.crashed])) == .again(after: 1))
    #expect(AttemptEnd.verdict(ends([.crashed, .lost, .outOfMemory])) == .again(after: 4))
    #expect(AttemptEnd.verdict(ends([.crashed, .lost, .outOfMemory, .crashed])) == .never)
    #expect(AttemptEnd.verdict(ends([.crashed, .crashed, .crashed, .stopped])) == .again(after: 0))
    #expect(AttemptEnd.verdict(ends([.timeLimit])) == .never)
    let many = Array(repeating: AttemptEnd.Kind.lost, count: AttemptEnd.maximumLosses)
    #expect(AttemptEnd.verdict(ends(Array(many.dropLast()))) == .again(after: 30))
    #expect(AttemptEnd.verdict(ends(many)) == .never)
    #expect(AttemptEnd.verdict(ends(many, advanced: true)) == .again(after: 0))
  }

  @Test func checkpointsFallBack() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let run = Toy.runs(1)[0].id
    let store = CheckpointStore(ledger: ledger, run: run)
    for attempt in 1...2 { try Files.makeFolder(ledger.attemptFolder(run, attempt)) }
    for number in 1...3 { try store.save([UInt8](repeating: 1, count: number), attempt: 1) }
    for number in 1...3 { try store.save([UInt8](repeating: 2, count: number), attempt: 2) }
    #expect(store.numbers(attempt: 1) == [2, 3])
    #expect(try store.newest().found?.bytes == [2, 2, 2])

    func path(_ attempt: Int, _ number: Int) -> String {
      ledger.attemptFolder(run, attempt) + "/checkpoint-\(number)"
    }
    // One flipped bit anywhere.
    var bytes = try Files.read(path(2, 3))
    for position in bytes.indices {
      bytes[position] ^= 4
      try Files.writeAtomically(bytes, to: path(2, 3))
      #expect(try store.newest().found?.bytes == [2, 2], "byte \(position)")
      bytes[position] ^= 4
    }
    // Any truncation.
    let whole = try Files.read(path(2, 2))
    for length in 0..<whole.count {
      try Files.writeAtomically(Array(whole[..<length]), to: path(2, 2))
      try Files.writeAtomically([], to: path(2, 3))
      let newest = try store.newest()
      #expect(newest.found?.bytes == [1, 1, 1], "length \(length)")
      #expect(newest.skipped.count == 2)
    }
    // A checkpoint of another run.
    let other = Toy.runs(2)[1].id
    try Files.makeFolder(ledger.attemptFolder(other, 1))
    try CheckpointStore(ledger: ledger, run: other).save([9], attempt: 1)
    try Files.writeAtomically(
      Files.read(ledger.attemptFolder(other, 1) + "/checkpoint-1"), to: path(1, 3))
    #expect(try store.newest().found?.bytes == [1, 1])
  }

  @Test func aCheckpointThatCannotBeWrittenDoesNotEndTheRun() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let run = Toy.runs(1)[0]
    let folder = ledger.attemptFolder(run.id, 1)
    // The attempt's folder is away while the third and fourth checkpoints are written.
    var loop = Toy.loop(ledger, [run]) { run, context in
      try Toy.execute(run, context) { episode in
        if episode == 3 { try FileManager.default.moveItem(atPath: folder, toPath: folder + "x") }
        if episode == 5 { try FileManager.default.moveItem(atPath: folder + "x", toPath: folder) }
      }
    }
    #expect(try loop.run() == .done)
    #expect(try Toy.result(ledger, run) == Toy.expected(run))
    let provenance = try JSONValue(path: ledger.resultFolder(run.id) + "/provenance.json")
    #expect(provenance["checkpointsNotSaved"] == .integer(2))
    #expect(try Files.readText(folder + "/log").contains("No such file or directory"))
  }

  @Test func aCheckpointThatTheRunRefusesIsPutAside() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let run = Toy.runs(1)[0]
    try Files.makeFolder(ledger.attemptFolder(run.id, 1))
    // Whole, but of another version of the program.
    try CheckpointStore(ledger: ledger, run: run.id).save([1, 2, 3], attempt: 1)
    try Toy.claimFromDeadProcess(ledger, run.id, attempt: 1)
    var loop = Toy.loop(ledger, [run])
    #expect(try loop.run() == .done)
    #expect(ledger.end(of: run.id, attempt: 2)?.kind == .restarted)
    #expect(ledger.end(of: run.id, attempt: 3)?.kind == .finished)
    #expect(try Toy.result(ledger, run) == Toy.expected(run))
  }

  @Test func heartbeatRecordsAreWholeOrRefused() throws {
    var heartbeat = Heartbeat()
    heartbeat.beat = 12
    heartbeat.elapsed = 100
    heartbeat.quiet = 4
    heartbeat.firstEpisode = 10
    heartbeat.firstElapsed = 16
    heartbeat.progress = RunProgress(episode: 50, episodes: 130, stage: "training")
    let record = heartbeat.record
    #expect(record.count == Heartbeat.length)
    #expect(Heartbeat(record: record) == heartbeat)
    #expect(heartbeat.speed == 0.5)
    #expect(heartbeat.secondsLeft == 156)
    for position in record.indices.dropLast() {
      var torn = record
      torn[position] ^= 1
      #expect(Heartbeat(record: torn) == nil, "byte \(position)")
    }
    #expect(Heartbeat(record: []) == nil)
  }

  @Test func limitsEndAnAttemptWithItsCause() throws {
    for limits in [RunLimits(time: 0.2), RunLimits(memory: 1)] {
      let scratch = try ScratchFolder()
      let ledger = RunLedger(folder: scratch.path)
      let run = Toy.runs(1)[0]
      #expect(try ledger.claim(run.id, attempt: 1))
      let attempt = try RunAttempt(
        ledger: ledger, specification: run, number: 1, isStopRequested: { false })
      let ended = Mutex<[WorkerExit]>([])
      let watch = AttemptWatch(limits: limits) { exit in ended.withLock { $0.append(exit) } }
      watch.begin(attempt)
      for _ in 0..<50 where ended.withLock({ $0.isEmpty }) { usleep(100_000) }
      watch.end()
      #expect(ended.withLock { $0.first } == .limit)
      let end = try #require(ledger.end(of: run.id, attempt: 1))
      #expect(end.kind == (limits.time != nil ? .timeLimit : .outOfMemory))
      #expect(end.message.contains("limit"))
    }
  }

  @Test func aLedgerThatCannotBeWrittenSaysSo() throws {
    let scratch = try ScratchFolder()
    // A file stands where the folder must be: refused for root too.
    try Files.writeAtomically("", to: scratch.path + "/runs")
    var loop = Toy.loop(RunLedger(folder: scratch.path), Toy.runs(1))
    let error = #expect(throws: InputError.self) { try loop.run() }
    #expect(error?.description.contains("/runs") == true)
  }

  @Test func crashesAreToldFromLosses() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let run = Toy.runs(1)[0].id
    try Toy.claimFromDeadProcess(ledger, run, attempt: 1)
    #expect(ledger.endOfDead(run, attempt: 1).kind == .lost)
    let folder = ledger.attemptFolder(run, 1)
    try Files.writeAtomically("SIGTRAP ", to: folder + "/crash")
    try Files.writeAtomically("a\nFatal error: Index out of range\nb\n", to: folder + "/log")
    let end = ledger.endOfDead(run, attempt: 1)
    #expect(end.kind == .crashed)
    #expect(
      end.message == "the process crashed with SIGTRAP: Fatal error: Index out of range")
    #expect(try ledger.state(of: run) == .open(attempt: 2, after: 1))
  }

  @Test func theCauseOfACrashIsNotSoughtInItsBacktrace() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let run = Toy.runs(1)[0].id
    try Toy.claimFromDeadProcess(ledger, run, attempt: 1)
    let folder = ledger.attemptFolder(run, 1)
    try Files.writeAtomically("SIGABRT ", to: folder + "/crash")
    func backtrace(_ message: String) -> String {
      """
      2026-01-01T00:00:00Z info starts anew: there is no checkpoint
      \(message)

      *** Signal 6: Backtracing from 0x7f1409d23eec... done ***

      Thread 0 crashed:

        0      0x00007f1409d23eec __pthread_kill_implementation + 268 in libc.so.6
        1 [ra] 0x00007f1409cd4fb2 Fatal error: trap + 18 in libc.so.6
      \(String(repeating: "   12 │   use(buffer) // rror:\n", count: 2000))
      r13 0x00007f13f0055f90  46 61 74 61 6c 20 65 72 72 6f 72 3a 20 66 61 69  Fatal error: fai
      r14 0x0000000000000003  3

      """
    }
    try Files.writeAtomically(
      backtrace("Fatal error: failed to allocate 7092998080 bytes of memory with alignment 64"),
      to: folder + "/log")
    let end = ledger.endOfDead(run, attempt: 1)
    #expect(end.kind == .outOfMemory)
    #expect(
      end.message
        == "the process crashed with SIGABRT: Fatal error: failed to allocate 7092998080 bytes of "
        + "memory with alignment 64; make the run smaller, start fewer workers or give them more memory"
    )
    try Files.writeAtomically(
      backtrace("Tool/File.swift:12: Fatal error: Index out of range"), to: folder + "/log")
    #expect(
      ledger.endOfDead(run, attempt: 1)
        == AttemptEnd(
          .crashed,
          "the process crashed with SIGABRT: Tool/File.swift:12: Fatal error: Index out of range"))
  }
}
