import Foundation
import Support
import Testing

/// Disks that fill up, fail and refuse: each ends in the right result or a clear error, and nothing is lost.
extension FaultInjection {
  @Suite(.serialized, .enabled(if: Program.canRun, "the program or the shipped trace is missing"))
  struct StorageFaultTests {
    static let strace = Program.find("strace")
    static let canMount = Program.isRoot && Program.find("mount") != nil

    private func traced(_ injections: [String], _ arguments: [String]) async throws
      -> Program.Outcome
    {
      try await Program.command(
        Self.strace ?? "strace",
        ["-f", "-qq", "-o", "/dev/null", "-e", "trace=write,pwrite64,fsync,rename,link,unlink"]
          + injections.flatMap { ["-e", "inject=" + $0] } + [Program.path] + arguments)
    }

    /// Kills a worker at the n-th call, for every n until it gets through, and lets the program mend it.
    @Test(
      .enabled(if: strace != nil, "strace is not installed"),
      arguments: ["fsync", "rename", "link", "write", "pwrite64"])
    func aKillAtEveryCallLeavesTheRightResult(_ call: String) async throws {
      // One run, with three checkpoints.
      func make() async throws -> TestSweep {
        try await TestSweep(seeds: 1, episodes: 16, algorithms: ["leo"], rates: "0.4")
      }
      let reference = try await make()
      #expect(try await reference.run().code == 0)
      let expected = try reference.resultContent()
      var number = 1
      while true {
        let sweep = try await make()
        let outcome = try await traced(
          ["\(call):signal=KILL:when=\(number)"], try await sweep.workerArguments())
        let mended = try await sweep.run()
        #expect(mended.code == 0, "\(call) \(number): \(mended.errors)")
        #expect(try sweep.resultContent() == expected, "\(call) \(number)")
        if outcome.code == 0 { break }
        #expect(outcome.code == -SIGKILL, "\(call) \(number): \(outcome.errors)")
        number += 1
        try #require(number < 2000)
      }
      #expect(number > 1, "no \(call) was found")
    }

    @Test(
      .enabled(if: strace != nil, "strace is not installed"),
      arguments: [
        ("fsync:error=EIO", "Input/output error"), ("rename:error=EIO", "Input/output error"),
        ("rename:error=ENOSPC", "No space left on device"),
        ("write:error=EDQUOT", "Disk quota exceeded"),
      ])
    func aDiskThatFailsEveryTimeEndsInAnError(_ injection: String, _ reason: String) async throws {
      let sweep = try await TestSweep(seeds: 1, episodes: 16, algorithms: ["leo"])
      let arguments = try await sweep.workerArguments(["--wait"])
      let outcome = try await traced([injection + ":when=1+"], arguments)
      #expect(outcome.code == 74, "\(outcome)")
      var said = outcome.errors
      for run in try sweep.runs() {
        let attempts = "\(sweep.runsFolder)/\(run)/attempts"
        for attempt in Files.exists(attempts) ? try Files.list(attempts) : [] {
          let cause = "\(attempts)/\(attempt)/cause.json"
          if Files.exists(cause) { said += try Files.readText(cause) }
        }
        #expect(!Files.exists("\(sweep.runsFolder)/\(run)/result"))
      }
      if !injection.hasPrefix("write") { #expect(said.contains(reason), "\(said)") }
      let mended = try await sweep.run(["--retry", "failed"])
      #expect(mended.code == 0, "\(mended.errors)")
    }

    @Test(
      .enabled(if: strace != nil, "strace is not installed"),
      arguments: ["fsync:error=EIO:when=2", "rename:error=EIO:when=1", "fsync:error=EIO:when=9"])
    func aDiskThatFailsOnceIsTriedAgain(_ injection: String) async throws {
      let sweep = try await TestSweep(seeds: 1, episodes: 16, algorithms: ["leo"])
      let outcome = try await traced([injection], try await sweep.workerArguments(["--wait"]))
      if outcome.code != 0 { #expect(outcome.errors.contains("Input/output error")) }
      let mended = try await sweep.run()
      #expect(mended.code == 0, "\(mended.errors)")
    }

    @Test(.enabled(if: canMount, "only root can mount a small file system"))
    func aFullDiskLosesNothing() async throws {
      let disk = try await TemporaryDisk(kilobytes: 200)
      defer { disk.unmount() }
      let sweep = try await TestSweep(seeds: 3, episodes: 60, results: disk.path)
      let outcome = try await sweep.run()
      #expect(outcome.code != 0)
      #expect(outcome.errors.contains("No space left on device"), "\(outcome.errors)")
      #expect(Program.processes(with: sweep.results).isEmpty)
      try await disk.remount("size=64m")
      let mended = try await sweep.run(["--retry", "failed"])
      #expect(mended.code == 0, "\(mended.errors)")
      let expected = try await TestSweep.reference(seeds: 3, episodes: 60)
      #expect(try await sweep.content() == expected)
    }

    @Test(.enabled(if: canMount, "only root can mount a file system read-only"))
    func aReadOnlyFolderIsRefusedWithItsName() async throws {
      let disk = try await TemporaryDisk(kilobytes: 4096)
      defer { disk.unmount() }
      let sweep = try await TestSweep(seeds: 1, results: disk.path)
      #expect(try await sweep.save().code == 0)
      try await disk.remount("ro")
      let outcome = try await sweep.run()
      #expect(outcome.code != 0)
      #expect(outcome.errors.contains("Read-only file system"), "\(outcome.errors)")
      #expect(outcome.errors.contains(disk.path))
      try await disk.remount("rw")
      #expect(try await sweep.run().code == 0)
    }
  }
}

/// A small file system in memory.
private struct TemporaryDisk {
  let path: String

  init(kilobytes: Int) async throws {
    path = NSTemporaryDirectory() + "veclab-disk-\(UUID().uuidString.prefix(8))"
    try Files.makeFolder(path)
    let outcome = try await Program.command(
      "mount", ["-t", "tmpfs", "-o", "size=\(kilobytes)k", "tmpfs", path])
    guard outcome.code == 0 else { throw InputError(outcome.errors, file: path) }
  }

  func remount(_ option: String) async throws {
    let outcome = try await Program.command("mount", ["-o", "remount,\(option)", path])
    guard outcome.code == 0 else { throw InputError(outcome.errors, file: path) }
  }

  func unmount() {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }
}
