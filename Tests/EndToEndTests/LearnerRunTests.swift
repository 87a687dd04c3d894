import Foundation
import Support
import Testing

/// Learners: the instruction set that they keep, and what they are expected to cost.
extension FaultInjection {
  @Suite(.serialized, .enabled(if: Program.canRun, "the program or the shipped trace is missing"))
  struct LearnerRunTests {
    /// Starts the sweep's coordinator with a preference for an instruction set.
    private func start(_ sweep: TestSweep, instructionSet: String) async throws -> Program.Running {
      // `env` starts the program.
      try await Program.start(
        [Program.path] + sweep.arguments(workers: 1), executable: "VECLAB_ISA=\(instructionSet)")
    }

    private func sweep() async throws -> TestSweep {
      try await TestSweep(seeds: 1, episodes: 400, algorithms: ["disdqn"], rates: "0.1")
    }

    private func provenance(_ sweep: TestSweep) throws -> JSONValue {
      let run = try #require(try sweep.runs().first)
      return try JSONValue(path: "\(sweep.runsFolder)/\(run)/result/provenance.json")
    }

    @Test func aResumedRunKeepsItsInstructionSet() async throws {
      // The empty word stands for the best set.
      var whole: [String: [String: String]] = [:]
      var names: [String: String] = [:]
      for set in ["", "base"] {
        let sweep = try await sweep()
        let outcome = try await start(sweep, instructionSet: set).outcome()
        #expect(outcome.code == 0, "\(outcome.errors)")
        whole[set] = try sweep.resultContent()
        names[set] = try provenance(sweep)["instructionSet"]?.textValue
      }
      #expect(names["base"] == "base")
      // A processor may have no other.
      if names[""] == "base" { return }
      #expect(whole[""] != whole["base"])

      for (first, second) in [("", "base"), ("base", "")] {
        let sweep = try await sweep()
        let killed = try await start(sweep, instructionSet: first)
        let isWorking = try await eventually(within: 20) {
          try sweep.runs().contains {
            Files.exists("\(sweep.runsFolder)/\($0)/attempts/1/checkpoint-1")
          }
        }
        #expect(isWorking)
        killed.send(SIGKILL)
        #expect(try await killed.outcome().code == -SIGKILL)
        let outcome = try await start(sweep, instructionSet: second).outcome()
        #expect(outcome.code == 0, "\(outcome.errors)")
        let provenance = try provenance(sweep)
        #expect(provenance["resumedFrom"] != nil, "the kill came too late")
        #expect(provenance["instructionSet"]?.textValue == names[first])
        #expect(try sweep.resultContent() == whole[first])
        let run = try #require(try sweep.runs().first)
        let log = try Files.readText("\(sweep.runsFolder)/\(run)/attempts/2/log")
        let set = names[first] ?? ""
        #expect(
          log.contains("trains with instruction set \(set): the run was begun with it"), "\(log)")
      }
    }
  }
}
