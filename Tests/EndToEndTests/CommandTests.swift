import Foundation
import Testing

@Suite struct CommandTests {
  /// The built program stands beside the test bundle.
  static let program = Bundle.allBundles.compactMap { $0.executableURL }.map {
    $0.deletingLastPathComponent().appending(path: "veclab")
  }.first { FileManager.default.isExecutableFile(atPath: $0.path) }

  @Test func programIsBuilt() throws {
    #expect(CommandTests.program != nil)
  }
}
