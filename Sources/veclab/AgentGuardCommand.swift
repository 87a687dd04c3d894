import ArgumentParser
import ExternalAgents

/// `veclab agent-guard`: stands between a worker and an external agent; started by workers alone.
struct AgentGuardCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: AgentGuard.command,
    abstract: "Run an external agent that ends with the process given (started by workers).",
    shouldDisplay: false)

  @Argument(help: "Process that must live.")
  var parent: Int32

  @Argument(parsing: .postTerminator, help: "Program and arguments.")
  var command: [String] = []

  func validate() throws {
    if command.isEmpty { throw ValidationError("Give the command after '--'.") }
  }

  func run() { AgentGuard.run(parent: parent, command: command) }
}
