import Foundation
import Support
import Testing

@testable import Plan
@testable import Runs
@testable import Sweep
@testable import TestSupport

@Suite struct SharedResultsTests {
  /// Two experiments of one folder of results, the first with all of `runs` done.
  private func experiments(_ runs: [RunSpecification]) throws -> (
    scratch: ScratchFolder, first: RunLedger, second: RunLedger
  ) {
    let scratch = try ScratchFolder()
    let first = RunLedger(folder: scratch.path + "/first")
    var loop = Toy.loop(first, runs)
    #expect(try loop.run() == .done)
    return (scratch, first, RunLedger(folder: scratch.path + "/second"))
  }

  private func work(_ ledger: RunLedger, _ runs: [RunSpecification]) throws -> Int {
    var executed = 0
    var loop = Toy.loop(ledger, runs) { specification, context in
      executed += 1
      return try Toy.execute(specification, context)
    }
    #expect(try loop.run() == .done)
    return executed
  }

  @Test func aRunThatAnotherExperimentHasIsLinkedNotRepeated() throws {
    let runs = Toy.runs(4)
    let (scratch, first, second) = try experiments(Array(runs[..<3]))
    defer { withExtendedLifetime(scratch) {} }
    #expect(try work(second, runs) == 1)
    for run in runs {
      try second.verify(run.id)
      #expect(try Toy.result(second, run) == Toy.expected(run))
    }
    #expect(
      try Files.list(second.runFolder(runs[0].id)) == ["result"], "nothing else is left behind")
    // The first experiment's folder may go.
    try Files.remove(first.folder)
    try second.verify(runs[0].id)
  }

  @Test func aDamagedResultElsewhereIsNotTakenOver() throws {
    let runs = Toy.runs(2)
    let (scratch, first, second) = try experiments(runs)
    defer { withExtendedLifetime(scratch) {} }
    try Files.write(Array("episode,sum\n".utf8), to: first.resultFolder(runs[0].id) + "/sums.csv")
    try Files.remove(first.resultFolder(runs[1].id) + "/sums.csv")
    #expect(try work(second, runs) == 2)
    for run in runs { #expect(try Toy.result(second, run) == Toy.expected(run)) }
  }

  @Test func whatIsThereAlreadyStays() throws {
    let runs = Toy.runs(1)
    let (scratch, _, second) = try experiments(runs)
    defer { withExtendedLifetime(scratch) {} }
    #expect(try second.adopt(runs[0]) != nil)
    #expect(try second.adopt(runs[0]) == nil)
    #expect(try second.adopt(Toy.runs(9)[8]) == nil)
  }
}
