internal import Glibc
internal import Support

/// Processes below one process, as `/proc` shows them.
struct ProcessTree {
  struct Member {
    let process: Int32
    let parent: Int32
    /// Processor seconds, those of its ended children included.
    let processorSeconds: Double
    /// Resident memory in MiB.
    let memory: Double
  }

  private(set) var members: [Member] = []

  /// All descendants of a process, and that process itself.
  init(root: Int32) {
    var children: [Int32: [Member]] = [:]
    for name in (try? Files.list("/proc")) ?? [] {
      guard let process = Int32(name), let member = ProcessTree.member(process) else { continue }
      children[member.parent, default: []].append(member)
      if process == root { members.append(member) }
    }
    var open = [root]
    while let process = open.popLast() {
      for child in children.removeValue(forKey: process) ?? [] {
        members.append(child)
        open.append(child.process)
      }
    }
  }

  private static let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
  private static let page = Double(sysconf(Int32(_SC_PAGESIZE)))

  /// From `/proc/N/stat`, whose second field may hold spaces and brackets; nil when there is no such process.
  private static func member(_ process: Int32) -> Member? {
    guard let bytes = try? Files.read("/proc/\(process)/stat"),
      let bracket = bytes.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    let fields = bytes[(bracket + 1)...].split(separator: UInt8(ascii: " "))
      .map { String(decoding: $0, as: UTF8.self) }
    guard fields.count > 21, fields[0] != "Z", let parent = Int32(fields[1]) else { return nil }
    let time = fields[11...14].reduce(0) { $0 + (Double($1) ?? 0) }
    return Member(
      process: process, parent: parent, processorSeconds: time / ticks,
      memory: (Double(fields[21]) ?? 0) * page / 1_048_576)
  }

  /// Kills every descendant of a process, but not the process, until a look finds none.
  static func killDescendants(of root: Int32) {
    // Processes that fork meanwhile are found by the next look; one that forks for ever runs out of luck.
    for _ in 0..<200 {
      let members = ProcessTree(root: root).members.filter { $0.process != root }
      if members.isEmpty { return }
      for member in members { kill(member.process, SIGKILL) }
      usleep(2000)
    }
  }
}
