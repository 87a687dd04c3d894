import Foundation
import Support
import Synchronization
import Testing

/// Sweeps whose processes are killed, stopped and doubled must end with the bytes of an undisturbed one.
extension FaultInjection {
  @Suite(.serialized, .enabled(if: Program.canRun, "the program or the shipped trace is missing"))
  struct KillTests {
    @Test func killedWorkersAndCoordinatorsChangeNothing() async throws {
      let (seeds, episodes) = Program.isLong ? (8, 400) : (3, 150)
      let (workerKills, coordinatorKills) = Program.isLong ? (100, 20) : (12, 3)
      let expected = try await TestSweep.reference(seeds: seeds, episodes: episodes)
      let sweep = try await TestSweep(seeds: seeds, episodes: episodes)
      var random = RandomStream(seed: 1, .test)
      var killedWorkers = 0
      var killedCoordinators = 0
      var coordinator = try await Program.start(sweep.arguments())
      while killedWorkers < workerKills || killedCoordinators < coordinatorKills {
        try await Task.sleep(for: .milliseconds(100 + random.index(below: 400)))
        let isCoordinatorDue =
          killedCoordinators * workerKills < killedWorkers * coordinatorKills
          || killedWorkers >= workerKills
        if isCoordinatorDue && killedCoordinators < coordinatorKills {
          coordinator.send(SIGKILL)
          let outcome = try await coordinator.outcome()
          if outcome.code == 0 { break }
          #expect(outcome.code == -SIGKILL, "\(outcome.errors)")
          killedCoordinators += 1
          let isAlone = try await eventually(within: 5) {
            Program.workers(of: sweep.results).isEmpty
          }
          #expect(isAlone, "workers outlive their coordinator")
          coordinator = try await Program.start(sweep.arguments())
        } else {
          let workers = Program.workers(of: sweep.results)
          guard !workers.isEmpty else { continue }
          kill(workers[random.index(below: workers.count)], SIGKILL)
          killedWorkers += 1
        }
      }
      let outcome = try await coordinator.outcome()
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(killedWorkers > 2 && killedCoordinators > 0)
      #expect(Program.processes(with: sweep.results).isEmpty)
      let ends = try sweep.ends()
      // An attempt that was killed between its publication and the note about it counts as unfinished.
      #expect(ends["finished", default: 0] <= expected.keys.count { $0.hasSuffix("run.json") })
      #expect(ends["superseded", default: 0] == 0, "a run was done twice: \(ends)")
      #expect(try await sweep.content() == expected)
    }

    @Test func requestsToStopLeaveCheckpointsThatGoOn() async throws {
      let expected = try await TestSweep.reference(seeds: 1, episodes: 300)
      for signal in [SIGTERM, SIGINT] {
        let sweep = try await TestSweep(seeds: 1, episodes: 300)
        let coordinator = try await Program.start(sweep.arguments())
        let isWorking = try await eventually(within: 20) {
          try sweep.runs().contains {
            Files.exists("\(sweep.runsFolder)/\($0)/attempts/1/checkpoint-1")
          }
        }
        #expect(isWorking)
        coordinator.send(signal)
        let outcome = try await coordinator.outcome()
        #expect(outcome.code == 75, "\(outcome.errors)")
        #expect(Program.processes(with: sweep.results).isEmpty)
        #expect(try sweep.ends()["stopped", default: 0] > 0)
        #expect(try await sweep.run().code == 0)
        #expect(try await sweep.content() == expected)
      }
    }

    @Test func twoRequestsStopAtOnce() async throws {
      let sweep = try await TestSweep(seeds: 1, episodes: 100_000, checkpointEvery: 100_000)
      let coordinator = try await Program.start(sweep.arguments())
      let hasWorkers = try await eventually(within: 20) { try sweep.runs().count >= 2 }
      #expect(hasWorkers)
      for worker in Program.workers(of: sweep.results) { kill(worker, SIGSTOP) }
      coordinator.send(SIGINT)
      try await Task.sleep(for: .milliseconds(300))
      coordinator.send(SIGINT)
      let outcome = try await coordinator.outcome()
      #expect(outcome.code == 75, "\(outcome.errors)")
      let isAlone = try await eventually(within: 5) {
        Program.processes(with: sweep.results).isEmpty
      }
      #expect(isAlone)
    }

    @Test func twoCoordinatorsShareOneFolder() async throws {
      let expected = try await TestSweep.reference(seeds: 2, episodes: 60)
      let sweep = try await TestSweep(seeds: 2, episodes: 60)
      let first = try await Program.start(sweep.arguments())
      let second = try await Program.start(sweep.arguments())
      let outcomes = [try await first.outcome(), try await second.outcome()]
      for outcome in outcomes { #expect(outcome.code == 0, "\(outcome.errors)") }
      #expect(try await sweep.content() == expected)
      #expect(try sweep.ends() == ["finished": 12])
    }

    @Test func aWorkerThatSleepsPastItsLeaseGivesUp() async throws {
      let expected = try await TestSweep.reference(seeds: 1, episodes: 200)
      let sweep = try await TestSweep(seeds: 1, episodes: 200)
      let sleeper = try await Program.start(try await sweep.workerArguments())
      let hasBegun = try await eventually(within: 20) {
        try sweep.runs().contains {
          Files.exists("\(sweep.runsFolder)/\($0)/attempts/1/checkpoint-2")
        }
      }
      #expect(hasBegun)
      sleeper.send(SIGSTOP)
      let outcome = try await sweep.run()
      #expect(outcome.code == 0, "\(outcome.errors)")
      sleeper.send(SIGCONT)
      #expect(try await sleeper.outcome().code == 0)
      // Either it was asleep within a run and found it taken over, or between two runs.
      #expect(try sweep.ends()["finished"] == 6)
      #expect(try await sweep.content() == expected)
    }

    @Test func aCrashIsRecordedAndTriedAgain() async throws {
      let expected = try await TestSweep.reference(seeds: 1, episodes: 200)
      let sweep = try await TestSweep(seeds: 1, episodes: 200)
      let coordinator = try await Program.start(sweep.arguments(workers: 1))
      let isWorking = try await eventually(within: 20) {
        try sweep.runs().contains {
          Files.exists("\(sweep.runsFolder)/\($0)/attempts/1/checkpoint-1")
        }
      }
      #expect(isWorking)
      for worker in Program.workers(of: sweep.results) { kill(worker, SIGSEGV) }
      let outcome = try await coordinator.outcome()
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(try sweep.ends()["crashed"] == 1)
      #expect(try await sweep.content() == expected)
    }

    @Test func limitsOfTimeAndMemoryEndARunWithItsCause() async throws {
      let slow = try await TestSweep(
        seeds: 1, episodes: 1_000_000, checkpointEvery: 100_000, limits: "time: 1s",
        algorithms: ["leo"])
      let hung = try await slow.run()
      #expect(hung.code == 1)
      #expect(hung.errors.contains("limit of 1 s"), "\(hung.errors)")
      #expect(try slow.ends() == ["timeLimit": 2])

      let large = try await TestSweep(
        seeds: 1, episodes: 1_000_000, checkpointEvery: 100_000, limits: "memory: 5MiB",
        algorithms: ["leo"])
      let full = try await large.run()
      #expect(full.code == 1)
      #expect(full.errors.contains("its limit is 5 MiB"), "\(full.errors)")
      #expect(try large.ends() == ["outOfMemory": 6])
    }

    @Test func damagedResultsAreDoneAgainAndNothingIsDeleted() async throws {
      let sweep = try await TestSweep(seeds: 1)
      #expect(try await sweep.run().code == 0)
      let expected = try await sweep.content()
      let runs = try sweep.runs()
      try Files.writeAtomically(
        "episode\n", to: "\(sweep.runsFolder)/\(runs[0])/result/episodes.csv")
      try Files.remove("\(sweep.runsFolder)/\(runs[1])/result/episodes.csv")
      try Files.writeAtomically("{", to: "\(sweep.runsFolder)/\(runs[2])/result/manifest.json")
      let outcome = try await sweep.run()
      #expect(outcome.code == 0, "\(outcome.errors)")
      for run in runs[..<3] {
        #expect(outcome.errors.contains("\(run)/damaged-1"))
        #expect(Files.exists("\(sweep.runsFolder)/\(run)/damaged-1"))
      }
      #expect(try await sweep.content() == expected)
    }
  }
}

/// Faults of processes and of the file system, injected into the built program.
@Suite(.serialized) enum FaultInjection {}
