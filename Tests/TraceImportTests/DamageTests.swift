import Foundation
import Support
import Testing
import Trace
import TraceImport

@Suite struct DamageTests {
  /// Either the same counts and content as the sound input, or an `InputError` that leaves nothing.
  private func check(_ bytes: [UInt8], _ sound: ImportSummary, _ what: String) -> Bool {
    do {
      let summary = try importBytes(bytes).summary
      #expect(summary.digest == sound.digest, "\(what): a damaged input was imported")
      #expect(summary.vehicles == sound.vehicles && summary.sumX == sound.sumX, "\(what)")
      return true
    } catch let error as InputError {
      #expect(error.file?.hasSuffix("/input") == true, "\(what): \(error)")
      return false
    } catch {
      Issue.record("\(what): \(error)")
      return false
    }
  }

  @Test func everyTruncationOfXMLIsAnError() throws {
    let bytes = Array(GeneratedInput(seed: 6, steps: 4).text.utf8)
    let sound = try importBytes(bytes).summary
    var passed: [Int] = []
    for count in 0..<bytes.count where check(Array(bytes[0..<count]), sound, "\(count) bytes") {
      passed.append(count)
    }
    // Without its last line feed the document is still whole.
    #expect(passed == [bytes.count - 1])
  }

  @Test func everyTruncationOfGzipIsAnError() throws {
    let packed = gzip(Array(GeneratedInput(seed: 6, steps: 4).text.utf8), members: 3, seed: 2)
    let sound = try importBytes(packed).summary
    for count in 0..<packed.count {
      #expect(!check(Array(packed[0..<count]), sound, "\(count) bytes"))
    }
  }

  @Test func everyFlippedBitOfGzipIsAnErrorOrHarmless() throws {
    let packed = gzip(Array(GeneratedInput(seed: 7, steps: 3).text.utf8), members: 2, seed: 3)
    let sound = try importBytes(packed).summary
    var harmless = 0
    for i in packed.indices {
      var bytes = packed
      bytes[i] ^= UInt8(1 << (i % 8))
      if check(bytes, sound, "byte \(i)") { harmless += 1 }
    }
    // Only time, flags and system in the headers do not matter.
    #expect(harmless <= 14)
  }

  @Test func whatFollowsTheLastMemberIsAnError() throws {
    let packed = gzipMember(Array(GeneratedInput(seed: 8).text.utf8))
    let sound = try importBytes(packed).summary
    let zeros = [UInt8](repeating: 0, count: 512)
    for tail in [
      [0x1F], [0x1F, 0x8B], Array("garbage".utf8), zeros + [1], [0] + gzipMember([]),
    ] {
      let isImported = check(packed + tail, sound, "\(tail.count) bytes more")
      #expect(!isImported, "\(tail)")
    }
    // Padding to whole blocks, as tar and tapes leave it, is no damage.
    for tail in [[0], zeros] { #expect(check(packed + tail, sound, "zeros")) }
    #expect(check(packed + gzipMember([]), sound, "an empty member more"))
  }

  @Test func errorsSayWhereAndWhatIsIntact() throws {
    let text = GeneratedInput(seed: 10).text
    let packed = gzipMember(Array(text.utf8))
    let error = #expect(throws: InputError.self) {
      try importBytes(Array(packed.dropLast(300)))
    }
    let description = error?.description ?? ""
    #expect(description.contains("truncated"))
    #expect(description.contains("at byte \(packed.count - 300)"))
    #expect(description.contains("the last complete timestep is at"))
    #expect(description.contains("--end"))

    let cut = text.split(separator: "\n", omittingEmptySubsequences: false).prefix(20)
      .joined(separator: "\n")
    let plain = #expect(throws: InputError.self) { try importText(cut) }
    #expect(plain?.line == 20, "\(String(describing: plain))")
    #expect(plain?.description.contains("byte \(cut.utf8.count)") == true)
  }

  @Test func chunkBordersDoNotMatter() throws {
    // Larger than the chunks of reading and parsing, with long ids and attributes across every border.
    var body = ""
    for step in 0..<60 {
      body += "<timestep time=\"\(step)\">\n"
      for v in 0..<100 {
        body +=
          "<vehicle id=\"\(String(repeating: "långt ", count: v % 7))\(v)\" x=\"\(v).25\" y=\"\(200 + step)\" speed=\"1.5\" lane=\"\(String(repeating: "x", count: v))\"/>\n"
      }
      body += "</timestep>\n"
    }
    let bytes = Array(export(body).utf8)
    #expect(bytes.count > 600_000)
    let plain = try importBytes(bytes).summary
    #expect(plain.vehicles == 6000 && plain.ids == 100 && plain.sumSpeed == 9000)
    for seed in UInt64(0)..<5 {
      let packed = try importBytes(gzip(bytes, members: 20, seed: seed)).summary
      #expect(packed == plain, "seed \(seed)")
    }
  }

  @Test func anExistingTraceSurvivesAFailedImport() throws {
    try withFolder { folder in
      try Files.writeAtomically(GeneratedInput(seed: 1).text, to: folder + "/good")
      try Files.writeAtomically("<fcd-export><timestep", to: folder + "/bad")
      let summary = try TraceImporter.importTrace(from: folder + "/good", to: folder + "/t")
      #expect(throws: InputError.self) {
        try TraceImporter.importTrace(from: folder + "/bad", to: folder + "/t")
      }
      #expect(try TraceFile(path: folder + "/t").digest == summary.digest)
      #expect(try Files.list(folder) == ["bad", "good", "t"])
    }
  }
}

@Suite struct RealTraceTests {
  private static let path =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path + "/../shared/traces/nyc_west_street_sb.fcd.xml.gz"

  private struct Recount: Equatable {
    var timesteps = 0
    var vehicles = 0
    var ids = 0
    var sumX = 0.0
    var sumY = 0.0
    var sumSpeed = 0.0
  }

  /// Counts a file written by SUMO, an element a line, by its text alone.
  private func recount(_ xml: String) -> Recount {
    func value(_ line: Substring, _ attribute: String) -> Substring? {
      guard let start = line.range(of: " \(attribute)=\"")?.upperBound else { return nil }
      return line[start...].prefix { $0 != "\"" }
    }
    var result = Recount()
    var ids: Set<Substring> = []
    for line in xml.split(separator: "\n") {
      let text = line.drop { $0 == " " }
      if text.hasPrefix("<timestep ") { result.timesteps += 1 }
      guard text.hasPrefix("<vehicle ") else { continue }
      result.vehicles += 1
      result.sumX += value(text, "x").flatMap { Double($0) } ?? .nan
      result.sumY += value(text, "y").flatMap { Double($0) } ?? .nan
      result.sumSpeed += value(text, "speed").flatMap { Double($0) } ?? .nan
      if let id = value(text, "id") { ids.insert(id) }
    }
    result.ids = ids.count
    return result
  }

  @Test(.enabled(if: Files.exists(RealTraceTests.path), "the shared New York trace is not here"))
  func newYorkTraceHasTheCountsOfARecount() throws {
    try withFolder { folder in
      let unpacked = folder + "/nyc.xml"
      let gunzip = Process()
      gunzip.executableURL = URL(fileURLWithPath: "/bin/sh")
      gunzip.arguments = ["-c", "gzip -dc \"$0\" > \"$1\"", RealTraceTests.path, unpacked]
      try gunzip.run()
      gunzip.waitUntilExit()
      let output = folder + "/nyc.trace"
      let summary = try TraceImporter.importTrace(from: RealTraceTests.path, to: output)
      let expected = recount(try Files.readText(unpacked))
      #expect(expected.vehicles > 10_000)
      #expect(
        Recount(
          timesteps: summary.timesteps, vehicles: summary.vehicles, ids: summary.ids,
          sumX: summary.sumX, sumY: summary.sumY, sumSpeed: summary.sumSpeed) == expected)
      #expect(!summary.isGeographic)

      let trace = try TraceFile(path: output)
      let windows = try QualifyingWindows(
        trace: trace, rsuX: 94, rsuY: 881.3, coverage: 500, slots: 30, slotLength: 1)
      #expect(windows.candidates.count { $0.vehicles >= 12 } > 100)
      let axis = try RoadAxis(trace: trace, nearX: 94, nearY: 881.3, radius: 500)
      // Southbound.
      #expect(axis.directionY < -0.9)
    }
  }
}
