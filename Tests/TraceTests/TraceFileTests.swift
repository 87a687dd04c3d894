import Glibc
import Support
import Testing
import Trace

@Suite struct TraceFileTests {
  /// A write without a flush: the damage test makes thousands of files.
  private func writePlainly(_ bytes: [UInt8], to path: String) throws {
    let file = try #require(fopen(path, "wb"))
    defer { fclose(file) }
    #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
  }

  private func read(_ trace: TraceFile) -> TraceExample {
    var example = TraceExample()
    trace.forEachStep { time, rows in
      example.steps.append(
        (
          time,
          rows.indices.map {
            TraceExample.Sample(
              name: trace.vehicleName(rows[$0].vehicle), x: rows[$0].x, y: rows[$0].y,
              speed: rows[$0].speed, position: rows[$0].position)
          }
        ))
    }
    return example
  }

  @Test(arguments: UInt64(0)..<10)
  func everythingReadsBack(seed: UInt64) throws {
    let example = TraceExample.random(seed: seed)
    let trace = try example.opened()
    #expect(read(trace) == example, "seed \(seed)")
    #expect(trace.times == example.steps.map(\.time))
    #expect(trace.header.steps == example.steps.count)
    #expect(trace.header.rows == example.steps.reduce(0) { $0 + $1.rows.count })
    #expect(trace.header.firstTime == example.steps.first?.time)
    #expect(trace.header.lastTime == example.steps.last?.time)
    #expect((0..<trace.header.vehicles).map { trace.vehicleName($0) } == example.names)
  }

  @Test func manyBlocksReadBack() throws {
    // 50 steps of 2000 rows of 40 bytes: four blocks.
    var example = TraceExample()
    for step in 0..<50 {
      example.steps.append(
        (
          Double(step),
          (0..<2000).map {
            TraceExample.Sample(name: "\($0 + step)", x: Double($0), y: Double(step))
          }
        ))
    }
    let trace = try example.opened()
    #expect(trace.header.vehicles == 2049)
    #expect(read(trace) == example)
    var seen: [Double] = []
    trace.forEachStep(from: 12.5, to: 15) { time, rows in
      seen.append(time)
      #expect(rows.count == 2000)
    }
    #expect(seen == [13, 14, 15])
  }

  @Test func missingSpeedEmptyStepAndProjectionReadBack() throws {
    try withFolder { folder in
      let writer = try TraceWriter(path: folder + "/t")
      writer.projection = .localPlane(longitude: -74, latitude: 40.7)
      try writer.beginStep(time: -0.5)
      try writer.beginStep(time: 0)
      writer.add(TraceRow(vehicle: writer.names.index(of: "ü &"), x: 1, y: 2))
      let digest = try writer.finish()
      let trace = try TraceFile(path: folder + "/t")
      #expect(trace.digest == digest)
      #expect(trace.header.projection == .localPlane(longitude: -74, latitude: 40.7))
      #expect(trace.vehicleName(0) == "ü &")
      var counts: [Int] = []
      trace.forEachStep { _, rows in
        counts.append(rows.count)
        for i in rows.indices {
          #expect(rows[i].speed.isNaN && rows[i].position.isNaN && rows[i].x == 1)
        }
      }
      #expect(counts == [0, 1])
    }
  }

  @Test func digestIsOfTheContentAlone() throws {
    let example = TraceExample.random(seed: 3)
    let digest = try example.opened().digest
    #expect(try example.opened().digest == digest)
    var other = example
    other.steps[10].time += 0.01
    #expect(try other.opened().digest != digest)
    other = example
    let step = try #require(other.steps.firstIndex { !$0.rows.isEmpty })
    other.steps[step].rows[0].position = 1
    #expect(try other.opened().digest != digest)
    other = example
    for i in other.steps.indices {
      for j in other.steps[i].rows.indices where other.steps[i].rows[j].name == "v1" {
        other.steps[i].rows[j].name = "w1"
      }
    }
    #expect(try other.opened().digest != digest)
  }

  @Test func everyFlippedByteAndEveryLengthIsAnError() throws {
    try withFolder { folder in
      let path = folder + "/t"
      try TraceExample.random(seed: 1, steps: 6, vehicles: 3).write(
        to: path, notes: ["a note", "another"])
      let sound = try Files.read(path)
      _ = try TraceFile(path: path)
      for i in sound.indices {
        var bytes = sound
        bytes[i] ^= UInt8(1 << (i % 8))
        try writePlainly(bytes, to: path)
        #expect(throws: InputError.self, "byte \(i)") { try TraceFile(path: path) }
      }
      for count in stride(from: 0, to: sound.count, by: 7) {
        try writePlainly(Array(sound[0..<count]), to: path)
        #expect(throws: InputError.self, "length \(count)") { try TraceFile(path: path) }
      }
      try writePlainly(sound + [0], to: path)
      #expect(throws: InputError.self) { try TraceFile(path: path) }
    }
  }

  @Test func notesAreKeptAndNoPartOfTheContent() throws {
    try withFolder { folder in
      let example = TraceExample.random(seed: 3, steps: 4, vehicles: 2)
      try example.write(to: folder + "/plain")
      try example.write(to: folder + "/noted", notes: ["two\nlines", "ü"])
      let plain = try TraceFile(path: folder + "/plain")
      let noted = try TraceFile(path: folder + "/noted", name: "mine.fcd.xml")
      #expect(plain.notes == [] && noted.notes == ["two lines", "ü"])
      #expect(plain.digest == noted.digest && read(plain) == read(noted))
      #expect(noted.path == "mine.fcd.xml")
    }
  }

  /// Version 1 had no notes: its files are the same but for the number and the checksum of the header.
  @Test func tracesOfVersionOneAreRead() throws {
    try withFolder { folder in
      let path = folder + "/t"
      try TraceExample.random(seed: 3, steps: 4, vehicles: 2).write(to: path)
      let digest = try TraceFile(path: path).digest
      var bytes = try Files.read(path)
      for version in [1, 3] as [UInt8] {
        bytes[8] = version
        let checksum = SHA256Digest.hex(of: Array(bytes[..<192]))
        bytes.replaceSubrange(192..<256, with: Array(checksum.utf8))
        try writePlainly(bytes, to: path)
        if version == 1 {
          #expect(try TraceFile(path: path).digest == digest)
        } else {
          let error = #expect(throws: InputError.self) { try TraceFile(path: path) }
          #expect(error?.problem.contains("version 3") == true)
        }
      }
    }
  }

  @Test func anUnnamedTraceLeavesNothing() throws {
    let writer = try TraceWriter.unnamed()
    try writer.beginStep(time: 1)
    writer.add(TraceRow(vehicle: writer.names.index(of: "a"), x: 1, y: 2))
    let trace = try writer.finishUnnamed(as: "input")
    #expect(trace.path == "input" && trace.vehicleName(0) == "a")
    var steps = 0
    trace.forEachStep { _, rows in steps += rows.count }
    #expect(steps == 1)
  }

  /// A file that is cut off, or that other rows are written into, ends the process with an error, by no signal.
  @Test(arguments: [false, true])
  func changesWhileInUseEndWithAnError(isCut: Bool) async throws {
    let result = try await #require(
      processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
    ) { [isCut] in
      try withFolder { folder in
        let path = folder + "/t"
        try TraceExample.random(seed: 5, steps: 3000, vehicles: 20).write(to: path)
        let trace = try TraceFile(path: path)
        var steps = 0
        trace.forEachStep { _, _ in
          steps += 1
          guard steps == 10 else { return }
          if isCut {
            truncate(path, 100_000)
          } else if let file = fopen(path, "r+b") {
            fseek(file, 200_000, SEEK_SET)
            for _ in 0..<100_000 { fputc(0x7F, file) }
            fclose(file)
          }
        }
      }
    }
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    #expect(text.contains("/t: was changed or cut off while it was read"), "\(text)")
  }

  @Test func aNewTimeStampAloneIsNoChange() throws {
    try withFolder { folder in
      let path = folder + "/t"
      try TraceExample.random(seed: 5, steps: 3, vehicles: 2).write(to: path)
      let trace = try TraceFile(path: path)
      let times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
      #expect(utimensat(AT_FDCWD, path, times, 0) == 0)
      var steps = 0
      trace.forEachStep { _, _ in steps += 1 }
      #expect(steps == 3)
    }
  }

  @Test func errorsNameTheFileAndTheRemedy() throws {
    try withFolder { folder in
      let path = folder + "/t"
      try Files.writeAtomically("<fcd-export>", to: path)
      let error = #expect(throws: InputError.self) { try TraceFile(path: path) }
      #expect(error?.file == path)
      #expect(error?.description.contains("veclab import") == true)
      #expect(throws: InputError.self) { try TraceFile(path: folder) }
      #expect(throws: InputError.self) { try TraceFile(path: folder + "/missing") }
    }
  }

  @Test func onlyAFinishedTraceHasAName() throws {
    try withFolder { folder in
      let path = folder + "/t"
      func fill(_ writer: TraceWriter) throws {
        for step in 0..<3 {
          try writer.beginStep(time: Double(step))
          for v in 0..<20_000 {
            writer.add(TraceRow(vehicle: writer.names.index(of: "\(v)"), x: 0, y: 0))
          }
        }
      }
      let cancelled = try TraceWriter(path: path)
      try fill(cancelled)
      cancelled.cancel()
      #expect(try Files.list(folder) == [])
      do {
        let dropped = try TraceWriter(path: path)
        try fill(dropped)
      }
      #expect(try Files.list(folder) == [])
      let backward = try TraceWriter(path: path)
      try fill(backward)
      #expect(throws: InputError.self) { try backward.beginStep(time: 2) }
      backward.cancel()
      #expect(throws: InputError.self) { try TraceWriter(path: path).finish() }
      #expect(try Files.list(folder) == [])
      let finished = try TraceWriter(path: path)
      try fill(finished)
      try finished.finish()
      #expect(try Files.list(folder) == ["t"])
      #expect(throws: InputError.self) { try TraceWriter(path: folder) }
      #expect(throws: InputError.self) { try TraceWriter(path: folder + "/missing/t") }
    }
  }

  @Test func namesAreInternedInOrderOfAppearance() {
    var stream = RandomStream(seed: 5, .test)
    var names = VehicleNames()
    var expected: [String: Int] = [:]
    for _ in 0..<20_000 {
      let name =
        String(
          repeating: "vehicle-", count: stream.index(below: 3)) + "\(stream.index(below: 6000))"
      let index = names.index(of: name)
      #expect(index == expected[name, default: expected.count])
      expected[name] = index
      #expect(names.name(index) == name)
    }
    #expect(names.count == expected.count)
    #expect(names.index(of: "") == expected.count)
  }
}
