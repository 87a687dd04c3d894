import Support
import Testing

@testable import Sweep
@testable import TestSupport

struct LearningProgressTests {
  private func progress(_ text: String) throws -> LearningProgress? {
    let folder = try ScratchFolder()
    let path = folder.path + "/progress.csv"
    try Files.write(Array(text.utf8), to: path)
    return LearningProgress(path: path)
  }

  @Test("Means of the first and the latest episodes, without a half-written line")
  func means() throws {
    let rows = (1...40).map { "\($0),1,\($0),0.5\n" }.joined()
    let found = try #require(
      try progress("episode,return,mean_delay_s,loss\n" + rows + "41,1,99999"))
    #expect(found.measure == "mean_delay_s")
    #expect(found.episodes == 10)
    #expect(found.first == 5.5)
    #expect(found.last == 35.5)
    #expect(found.sentence == "mean_delay_s 5.5 at first, 35.5 now")
  }

  @Test("Short curves are halved; one episode says nothing")
  func short() throws {
    let head = "episode,return,mean_cost,loss\n"
    #expect(try progress(head + "1,0,4.0,\n2,0,3.0,\n3,0,2.0,\n")?.last == 2)
    #expect(try progress(head + "1,0,4.0,\n") == nil)
    #expect(try progress("") == nil)
  }
}
