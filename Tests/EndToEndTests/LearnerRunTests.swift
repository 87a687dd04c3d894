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

    @Test func aCalibrationCountsTheEpisodesThatTrain() async throws {
      let sweep = try await TestSweep(
        seeds: 1, episodes: 1000, algorithms: ["rtd"], rates: "0.05")
      // The first fifty or so of 102 training episodes only gather experience.
      let text = try Files.readText(sweep.file)
        .replacingOccurrences(of: "warmupTasks: 4", with: "warmupTasks: 2200")
        .replacingOccurrences(of: "vehicles: 4", with: "vehicles: 15")
        .replacingOccurrences(of: "slots: 100", with: "slots: 600")
        .replacingOccurrences(of: "batchSize: 16", with: "batchSize: 64")
        .replacingOccurrences(of: "hidden: [16, 16]", with: "hidden: [64, 64]")
        .replacingOccurrences(of: "evaluationEpisodes: 1000", with: "evaluationEpisodes: 20")
      try Files.writeAtomically(text, to: sweep.file)
      let plan = try await Program.run([
        "plan", sweep.file, "--results", sweep.results, "--calibrate", "--json",
      ])
      #expect(plan.code == 0, "\(plan.errors)")
      let estimate = try JSONValue(parsing: Array(plan.output.utf8))["estimate"]?["cpuSeconds"]?
        .numberValue
      #expect(try await sweep.run().code == 0)
      let seconds = try provenance(sweep)["cpuSeconds"]?.numberValue
      let ratio = try #require(estimate) / #require(seconds)
      #expect(ratio > 0.4 && ratio < 2.5, "\(ratio)")
    }
  }
}
