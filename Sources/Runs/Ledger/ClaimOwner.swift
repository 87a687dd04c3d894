internal import Glibc
internal import Support

/// The process that holds a claim: enough to prove its death from another process of the same machine.
public struct ClaimOwner: Sendable, Equatable, Codable {
  public let host: String
  /// Identity of this start of the machine's kernel.
  let boot: String
  /// Process numbers mean the same only within one namespace (containers have their own).
  let processNamespace: String
  public let process: Int
  /// Start of the process in clock ticks since boot: process numbers are used again.
  let startTicks: Int
  /// Out-of-memory kills that the kernel had counted when the claim was made.
  private(set) var outOfMemoryKills: Int

  /// This process.
  public static let current = ClaimOwner()

  private init() {
    var name = [CChar](repeating: 0, count: 256)
    host =
      gethostname(&name, name.count - 1) == 0
      ? String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      : "unknown"
    boot = ClaimOwner.currentBoot
    processNamespace = ClaimOwner.currentNamespace
    process = Int(getpid())
    startTicks = ClaimOwner.status(of: process)?.startTicks ?? 0
    outOfMemoryKills = ClaimOwner.countOutOfMemoryKills()
  }

  /// This process as a claim names it now: the kills are counted anew for every claim.
  static var claiming: ClaimOwner {
    var owner = current
    owner.outOfMemoryKills = countOutOfMemoryKills()
    return owner
  }

  /// Whether the owner's process numbers can be looked up from here.
  var isOnThisMachine: Bool {
    !boot.isEmpty && boot == ClaimOwner.currentBoot
      && processNamespace == ClaimOwner.currentNamespace
  }

  /// Whether the process has certainly ended; false when that cannot be known from here.
  public var isProvablyDead: Bool {
    guard isOnThisMachine, startTicks > 0 else { return false }
    guard let found = ClaimOwner.status(of: process) else {
      return !Files.exists("/proc/\(process)")
    }
    return found.startTicks != startTicks || found.hasEnded
  }

  /// Whether the kernel has killed for want of memory on this machine since the claim was made.
  var memoryRanOutSince: Bool {
    isOnThisMachine && ClaimOwner.countOutOfMemoryKills() > outOfMemoryKills
  }

  private static let currentBoot = firstLine("/proc/sys/kernel/random/boot_id")

  private static let currentNamespace: String = {
    var target = [CChar](repeating: 0, count: 64)
    let count = readlink("/proc/self/ns/pid", &target, target.count)
    guard count > 0 else { return "" }
    return String(decoding: target.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }()

  private static func firstLine(_ path: String) -> String {
    guard let bytes = try? Files.read(path) else { return "" }
    return String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)
  }

  /// Start and end of a process from `/proc/N/stat`, whose second field may hold spaces and brackets.
  private static func status(of process: Int) -> (startTicks: Int, hasEnded: Bool)? {
    guard let bytes = try? Files.read("/proc/\(process)/stat"),
      let bracket = bytes.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    let fields = String(decoding: bytes[(bracket + 1)...], as: UTF8.self).split(separator: " ")
    guard fields.count > 19, let startTicks = Int(fields[19]) else { return nil }
    return (startTicks, fields[0] == "Z" || fields[0] == "X")
  }

  private static func countOutOfMemoryKills() -> Int {
    guard let bytes = try? Files.read("/proc/vmstat") else { return 0 }
    for line in bytes.split(separator: 10) where line.starts(with: "oom_kill ".utf8) {
      return Int(String(decoding: line.dropFirst(9), as: UTF8.self)) ?? 0
    }
    return 0
  }
}
