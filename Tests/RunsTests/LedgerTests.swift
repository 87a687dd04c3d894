import Foundation
import Support
import Synchronization
import Testing

@testable import Plan
@testable import Runs
@testable import Sweep
@testable import TestSupport

@Suite struct LedgerTests {
  @Test func aSweepEndsWithEveryResultVerified() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let runs = Toy.runs(7)
    var loop = Toy.loop(ledger, runs)
    #expect(try loop.run() == .done)
    for run in runs {
      #expect(try ledger.state(of: run.id) == .complete)
      let manifest = try ledger.verifiedManifest(run.id)
      #expect(manifest.files.map(\.name) == ["provenance.json", "sums.csv"])
      #expect(manifest.files[1].rows == 5)
      #expect(try Toy.result(ledger, run) == Toy.expected(run))
      #expect(CheckpointStore(ledger: ledger, run: run.id).numbers(attempt: 1) == [])
      #expect(ledger.end(of: run.id, attempt: 1)?.kind == .finished)
    }
  }

  @Test func manyWorkersAtOnceDoEveryRunOnce() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let runs = Toy.runs(40, episodes: 2)
    let count = Mutex<[String: Int]>([:])
    let failures = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: 8) { worker in
      var loop = Toy.loop(ledger, runs, waits: true) { run, context in
        count.withLock { $0[run.id, default: 0] += 1 }
        return try Toy.execute(run, context)
      }
      do { _ = try loop.run() } catch { failures.withLock { $0.append("\(error)") } }
    }
    #expect(failures.withLock { $0 } == [])
    #expect(count.withLock { $0.values.allSatisfy { $0 == 1 } && $0.count == 40 })
    for run in runs { #expect(try Toy.result(ledger, run) == Toy.expected(run)) }
  }

  @Test func oneOfManyGetsAClaim() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    #expect(try ledger.claim("a", attempt: 1))
    #expect(try !ledger.claim("a", attempt: 1))
    #expect(try Files.list(ledger.attemptFolder("a", 1)) == ["claim"])
  }

  @Test func aRunOfADeadProcessIsTakenOverAtOnceFromItsCheckpoint() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let run = Toy.runs(1)[0]
    try stopAfter(3, run, ledger)
    try Files.remove(ledger.attemptFolder(run.id, 1) + "/cause.json")
    try Files.remove(ledger.attemptFolder(run.id, 1) + "/claim")
    try Toy.claimFromDeadProcess(ledger, run.id, attempt: 1)
    let episodes = Mutex<[Int]>([])
    var loop = Toy.loop(ledger, [run]) { run, context in
      try Toy.execute(run, context) { episode in episodes.withLock { $0.append(episode) } }
    }
    #expect(try loop.run() == .done)
    #expect(episodes.withLock { $0 } == [4, 5])
    #expect(try Toy.result(ledger, run) == Toy.expected(run))
    #expect(ledger.end(of: run.id, attempt: 1)?.kind == .lost)
    let provenance = try JSONValue(path: ledger.resultFolder(run.id) + "/provenance.json")
    #expect(provenance["resumedFrom"]?.textValue == "checkpoint 3 of attempt 1")
    #expect(provenance["earlierAttempts"]?.listValue?.count == 1)
  }

  /// Executes a run until its checkpoint of an episode.
  private func stopAfter(_ episode: Int, _ run: RunSpecification, _ ledger: RunLedger) throws {
    let isStopped = Mutex(false)
    var loop = Toy.loop(
      ledger, [run], shouldStop: { isStopped.withLock { $0 } },
      execute: { run, context in
        try Toy.execute(run, context) { next in
          if next == episode { isStopped.withLock { $0 = true } }
        }
      })
    #expect(try loop.run() == .stopped)
    #expect(ledger.end(of: run.id, attempt: 1)?.kind == .stopped)
  }

  @Test func aRunFarAwayIsTakenOverOnlyWhenItsHeartStopsForALease() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let run = Toy.runs(1)[0]
    try Toy.claimFromElsewhere(ledger, run.id, attempt: 1)
    let heartbeat = ledger.attemptFolder(run.id, 1) + "/heartbeat"
    let isBeating = Mutex(true)
    let beats = Mutex(Heartbeat())
    let hasStopped = DispatchSemaphore(value: 0)
    let thread = Thread {
      defer { hasStopped.signal() }
      while isBeating.withLock({ $0 }) {
        let record = beats.withLock { beat in
          beat.beat += 1
          return beat.record
        }
        try? Files.writeSynchronised(record, to: heartbeat)
        usleep(50_000)
      }
    }
    thread.start()
    // A worker that does not wait leaves a run that is seen alive to its owner. It sees a beat as soon as there is
    // one; the lease is long, so that a busy machine cannot make it run out.
    var leaving = Toy.loop(ledger, [run], lease: 600)
    #expect(try leaving.run() == .done)
    #expect(!ledger.isComplete(run.id))
    isBeating.withLock { $0 = false }
    hasStopped.wait()
    var taking = Toy.loop(ledger, [run], lease: 0.5)
    #expect(try taking.run() == .done)
    #expect(try Toy.result(ledger, run) == Toy.expected(run))
    #expect(ledger.end(of: run.id, attempt: 1)?.kind == .lost)
  }

  @Test func timesOfFilesMeanNothing() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let run = Toy.runs(1)[0]
    try Toy.claimFromElsewhere(ledger, run.id, attempt: 1)
    let heartbeat = ledger.attemptFolder(run.id, 1) + "/heartbeat"
    try Files.writeSynchronised(Heartbeat().record, to: heartbeat)
    var observer = HeartbeatObserver(lease: 10)
    for (now, day) in [(0.0, -86_400.0), (5.0, 86_400.0), (9.9, 0)] {
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: day)], ofItemAtPath: heartbeat)
      #expect(observer.look("a", try Files.read(heartbeat), now: now) == .unknown)
    }
    #expect(observer.look("a", try Files.read(heartbeat), now: 10) == .stale)
    var beat = Heartbeat()
    beat.beat = 1
    #expect(observer.look("a", beat.record, now: 11) == .alive)
  }

  @Test func anOwnerThatWasAsleepGivesUpWithoutHarm() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let run = Toy.runs(1)[0]
    var sleeper = Toy.loop(ledger, [run]) { run, context in
      try Toy.execute(run, context) { episode in
        guard episode == 3 else { return }
        // Meanwhile another process takes the run over and finishes it.
        try Toy.claimFromDeadProcess(ledger, run.id, attempt: 2)
        var other = Toy.loop(ledger, [run])
        #expect(try other.run() == .done)
      }
    }
    #expect(try sleeper.run() == .done)
    #expect(ledger.end(of: run.id, attempt: 1)?.kind == .superseded)
    #expect(ledger.end(of: run.id, attempt: 3)?.kind == .finished)
    #expect(try Toy.result(ledger, run) == Toy.expected(run))
    try ledger.verify(run.id)
  }

  @Test func aSecondPublisherIsRefused() throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let run = Toy.runs(1)[0]
    let publication = Publication(ledger: ledger, specification: run)
    var outcomes: [Publication.Outcome] = []
    for attempt in 1...2 {
      let folder = ledger.attemptFolder(run.id, attempt) + "/result"
      try Files.makeFolder(folder)
      try Files.writeSynchronised(Array("\(attempt)".utf8), to: folder + "/file")
      outcomes.append(try publication.publish(folder))
      #expect(!Files.exists(folder))
    }
    #expect(outcomes == [.published, .alreadyPublished])
    #expect(try Files.readText(ledger.resultFolder(run.id) + "/file") == "1")
  }

  @Test func ofTwoConcurrentPublishersOneWins() throws {
    for trial in 0..<20 {
      let scratch = try ScratchFolder()
      let ledger = RunLedger(folder: scratch.path)
      let run = Toy.runs(1)[0]
      let outcomes = Mutex<[Publication.Outcome]>([])
      for attempt in 1...4 {
        let folder = ledger.attemptFolder(run.id, attempt) + "/result"
        try Files.makeFolder(folder)
        try Files.writeSynchronised(Array("\(attempt)".utf8), to: folder + "/file")
      }
      DispatchQueue.concurrentPerform(iterations: 4) { index in
        let folder = ledger.attemptFolder(run.id, index + 1) + "/result"
        guard let outcome = try? Publication(ledger: ledger, specification: run).publish(folder)
        else { return }
        outcomes.withLock { $0.append(outcome) }
      }
      let found = outcomes.withLock { $0 }
      #expect(found.count == 4, "trial \(trial)")
      #expect(found.count { $0 == .published } == 1, "trial \(trial)")
      try ledger.verify(run.id)
    }
  }

  @Test(arguments: ["edit", "delete", "manifest", "forge", "move"])
  func aDamagedResultIsSetAsideAndDoneAgain(_ damage: String) throws {
    let scratch = try ScratchFolder()
    let ledger = RunLedger(folder: scratch.path)
    let runs = Toy.runs(2)
    var loop = Toy.loop(ledger, runs)
    _ = try loop.run()
    let folder = ledger.resultFolder(runs[0].id)
    switch damage {
    case "edit":
      let text = try Files.readText(folder + "/sums.csv").replacingOccurrences(of: "3", with: "4")
      try Files.writeAtomically(text, to: folder + "/sums.csv")
    case "delete": try Files.remove(folder + "/sums.csv")
    case "manifest": try Files.writeAtomically("{\"run\":", to: folder + "/manifest.json")
    case "forge":
      let text = try Files.readText(folder + "/manifest.json")
        .replacingOccurrences(of: "\"rows\": 5", with: "\"rows\": 6")
      try Files.writeAtomically(text, to: folder + "/manifest.json")
    default:
      try Files.remove(folder)
      try FileManager.default.copyItem(atPath: ledger.resultFolder(runs[1].id), toPath: folder)
    }
    #expect(throws: InputError.self) { try ledger.verify(runs[0].id) }
    let sentences = try ledger.setAsideDamaged(runs.map(\.id))
    #expect(sentences.count == 1)
    #expect(sentences.first?.contains("damaged-1") == true)
    #expect(Files.exists(ledger.runFolder(runs[0].id) + "/damaged-1"))
    var again = Toy.loop(ledger, runs)
    #expect(try again.run() == .done)
    #expect(try ledger.setAsideDamaged(runs.map(\.id)) == [])
    #expect(try Toy.result(ledger, runs[0]) == Toy.expected(runs[0]))
  }
}
