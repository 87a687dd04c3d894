internal import BuildCommit
internal import Glibc
internal import Neural
public import Support

/// Where a result comes from: `provenance.json`, the one file besides `timing.csv` that two machines may write differently.
public enum Provenance {
  public static let fileName = "provenance.json"

  /// Facts that hold for the whole process; gathered once.
  public static let ofProcess: [String: JSONValue] = {
    var program: [String: JSONValue] = [
      "version": .text(programVersion),
      "swift": .text(swiftVersion),
      "sha256": (try? .text(SHA256Digest.hex(of: Files.read("/proc/self/exe")))) ?? .null,
    ]
    if let commit = SourceCommit.ofProgram.hash {
      program["commit"] = .text(commit)
      program["dirty"] = .flag(SourceCommit.ofProgram.hasChanges)
    }
    var facts: [String: JSONValue] = [
      "program": .object(program),
      "host": .text(ClaimOwner.current.host),
      "system": .text(systemName),
      "cpu": .text(processorName),
      "commandLine": .list(CommandLine.arguments.map { .text($0) }),
      "workingFolder": .object(
        repository(of: ".").merging(["path": .text(Files.workingFolder)]) { first, _ in first }),
    ]
    for key in ["SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT"]
    {
      if let value = getenv(key) {
        facts["slurm", default: .object([:])] = .object(
          (facts["slurm"]?.objectValue ?? [:]).merging([key: .text(String(cString: value))]) {
            $1
          })
      }
    }
    return facts
  }()

  /// Version of the program, without the commit.
  static let programVersion = "0.1.0"

  /// What `veclab --version` prints: `veclab 0.1.0, commit 0123456789ab+changes`.
  public static var programText: String {
    "veclab \(programVersion), commit \(SourceCommit.ofProgram.text)"
  }

  /// Path of the running program.
  public static var executablePath: String {
    var target = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &target, target.count)
    guard count > 0 else { return CommandLine.arguments.first ?? "" }
    return String(decoding: target.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static var swiftVersion: String {
    #if compiler(>=6.4)
      "6.4 or later"
    #else
      "6.3"
    #endif
  }

  /// The processor's name, as Linux gives it.
  public static let processorName: String = {
    let text = (try? Files.readText("/proc/cpuinfo")) ?? ""
    for line in text.split(separator: "\n") where line.hasPrefix("model name") {
      if let colon = line.firstIndex(of: ":") { return String(line[colon...].dropFirst(2)) }
    }
    var name = utsname()
    uname(&name)
    return machineText(&name.machine)
  }()

  private static var systemName: String {
    var name = utsname()
    uname(&name)
    return
      "\(machineText(&name.sysname)) \(machineText(&name.release)) \(machineText(&name.machine))"
  }

  private static func machineText<Tuple>(_ tuple: inout Tuple) -> String {
    withUnsafeBytes(of: &tuple) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// Commit and dirty flag of the repository around a folder; empty when there is none, or no git.
  private static func repository(of folder: String) -> [String: JSONValue] {
    let quoted =
      "'"
      + folder.split(separator: "'", omittingEmptySubsequences: false)
      .joined(separator: "'\\''") + "'"
    guard let commit = output("git -C \(quoted) rev-parse HEAD 2>/dev/null"), commit.count >= 40
    else { return [:] }
    let changes = output("git -C \(quoted) status --porcelain 2>/dev/null")
    return ["commit": .text(commit), "dirty": changes.map { .flag(!$0.isEmpty) } ?? .null]
  }

  /// What a shell command prints, without the final line feed; nil when it fails.
  private static func output(_ command: String) -> String? {
    guard let stream = popen(command, "r") else { return nil }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = fread(&chunk, 1, chunk.count, stream)
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    guard pclose(stream) == 0 else { return nil }
    if bytes.last == 10 { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Facts about a piece of work that ends now.
  ///
  /// - Parameters:
  ///   - start: time of day, from `timeOfDay`.
  ///   - seconds, cpuSeconds: what it took.
  static func facts(start: String, seconds: Double, cpuSeconds: Double) -> [String: JSONValue] {
    var facts = ofProcess
    facts["instructionSet"] = .text(instructionSet)
    facts["start"] = .text(start)
    facts["end"] = .text(timeOfDay())
    facts["seconds"] = .number(seconds)
    facts["cpuSeconds"] = .number(cpuSeconds)
    facts["memoryMiB"] = .number(residentMemory())
    return facts
  }

  /// Time of day in the form of RFC 3339, UTC.
  static func timeOfDay() -> String {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ value: Int32) -> String { (value < 10 ? "0" : "") + String(value) }
    return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
      + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
  }
}

extension Provenance {
  /// Instruction set that this process chooses for training: results are equal bit by bit only within one.
  public static let instructionSet = (try? Kernels.selected().name) ?? "unknown"
}
