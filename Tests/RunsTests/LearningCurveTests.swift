import Simulation
import Support
import Testing

@testable import Runs
@testable import TestSupport

struct LearningCurveTests {
  private func episodes(_ range: ClosedRange<Int>, in table: CSVWriter) -> CSVWriter {
    var table = table
    for episode in range {
      table.append([
        .integer(episode), .text(episode == 3 ? "eval" : "train"), .number(0),
        .number(Double(-episode)), .number(Double(10 * episode)), .missing, .number(0.5),
      ])
    }
    return table
  }

  @Test("The curve has the header once, training rows only, and those of a checkpoint first")
  func lines() {
    let empty = RunRecord(of: ToyEnvironment.self).episodes
    #expect(
      empty.columns == [
        "episode", "phase", "window_start_s", "return", "mean_delay_s", "epsilon", "loss",
      ])
    var curve = LearningCurve(of: ToyEnvironment.Metrics.self, episodes: empty)
    #expect(curve.lines(from: empty) == nil)
    let restored = episodes(1...4, in: empty)
    let text = curve.lines(from: restored).map { String(decoding: $0, as: UTF8.self) }
    #expect(text == "episode,return,mean_delay_s,loss\n1,-1,10,0.5\n2,-2,20,0.5\n4,-4,40,0.5\n")
    // Right after it is too early for more.
    #expect(curve.lines(from: episodes(5...5, in: restored)) == nil)
  }
}
