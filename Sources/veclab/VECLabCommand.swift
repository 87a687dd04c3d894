import ArgumentParser
@preconcurrency import Glibc
import Runs
import Support
import Sweep

/// The `veclab` program: one subcommand per file of this folder.
@main
struct VECLabCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "veclab",
    abstract: "Trace-driven batch experiments for vehicular edge computing.",
    version: Provenance.programText,
    subcommands: [
      Import.self,
      Inspect.self,
      Export.self,
      DNN.self,
      PlanCommand.self,
      Run.self,
      Status.self,
      Worker.self,
      Submit.self,
      FiguresCommand.self,
      Evaluate.self,
      AlgorithmsCommand.self,
      Bench.self,
      EnvironmentCommand.self,
      AgentGuardCommand.self,
      Calibrate.self,
    ])

  static func main() async {
    requireDescriptors()
    // Runs however the program ends, after help too.
    atexit { VECLabCommand.checkOutput() }
    refuseTextThatIsNoUTF8()
    do {
      var command = try await asyncParseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let error as InputError where error.key?.hasPrefix("--") == true {
      // A wrong value of an option is a wrong command line, wherever it is found.
      complain("Error: \(error)")
      Glibc.exit(EX_USAGE)
    } catch let error as InputError
      where error.systemCode == EPIPE && error.file == Files.standardOutput
    {
      // A reader that has gone has read enough.
      Glibc.exit(0)
    } catch let error as InputError where error.isFailureToWrite {
      complain("Error: \(error)")
      Glibc.exit(EX_IOERR)
    } catch {
      exit(withError: error)
    }
  }

  /// Ends the program when an argument is not UTF-8: it would be repaired, and then name another file.
  private static func refuseTextThatIsNoUTF8() {
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[index],
        String(validatingCString: argument) == nil
      else { continue }
      complain(
        "Error: argument \(index) is not UTF-8 (got '\(String(cString: argument))'). Rename the file, or give it "
          + "through a link or standard input")
      Glibc.exit(EX_USAGE)
    }
  }

  /// Ends the program with an error when it may open no file: what Swift's run time opens for itself would trap.
  private static func requireDescriptors() {
    let descriptors = (0..<4).map { _ in open("/dev/null", O_RDONLY | O_CLOEXEC) }
    let code = errno
    for descriptor in descriptors where descriptor >= 0 { close(descriptor) }
    guard descriptors.contains(where: { $0 < 0 }) else { return }
    complain("Error: \(Files.failure("open", "/dev/null", code: code))")
    _exit(1)
  }

  /// Ends the program with an error when standard output could not be written; a reader that has gone is none.
  static func checkOutput() {
    errno = 0
    guard fflush(stdout) != 0 || ferror(stdout) != 0, !isReaderGone else { return }
    // Without a code an earlier write has failed.
    let code = errno == 0 ? EIO : errno
    complain("Error: \(Files.failure("write", Files.standardOutput, code: code))")
    _exit(WorkerExit.storage.rawValue)
  }

  private static var isReaderGone: Bool {
    if errno == EPIPE { return true }
    let code = errno
    defer { errno = code }
    var request = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
    return poll(&request, 1, 0) == 1 && request.revents & Int16(POLLERR) != 0
  }
}

/// Refuses empty paths: joined with a name, one would mean the root of the file system.
///
/// - Throws: `ValidationError` that names the option or argument.
func refuseEmpty(_ paths: KeyValuePairs<String, String?>) throws {
  for (name, path) in paths where path?.isEmpty == true {
    throw ValidationError("\(name) must not be empty.")
  }
}
