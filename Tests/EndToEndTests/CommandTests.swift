import Support
import Testing

@Suite struct CommandTests {
  @Test func programIsBuilt() {
    #expect(Files.exists(Program.path))
  }
}
