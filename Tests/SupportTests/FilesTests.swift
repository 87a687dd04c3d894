import Glibc
import Support
import Testing

@Suite struct FilesTests {
  /// A folder of its own for a test, removed at the end.
  func withFolder(_ body: (String) throws -> Void) throws {
    let folder = "/tmp/veclab-files-\(UInt64.random(in: 0 ... .max))"
    try Files.makeFolder(folder + "/a/b")
    defer { try? Files.remove(folder) }
    try body(folder)
  }

  @Test func atomicWriteReplacesAndLeavesNothingElse() throws {
    try withFolder { (folder: String) throws in
      try Files.writeAtomically("one", to: folder + "/x")
      try Files.writeAtomically("two", to: folder + "/x")
      #expect(try Files.readText(folder + "/x") == "two")
      #expect(try Files.list(folder) == ["a", "x"])
    }
  }

  @Test func failedWriteNamesThePathAndLeavesNothing() throws {
    try withFolder { (folder: String) throws in
      let error = #expect(throws: InputError.self) {
        try Files.writeAtomically("x", to: folder + "/missing/x")
      }
      #expect(error?.file == folder + "/missing/x")
      #expect(throws: InputError.self) { try Files.writeAtomically("x", to: folder + "/a") }
      #expect(try Files.list(folder) == ["a"])
    }
  }

  @Test func linksStayAndTheirTargetsAreReplaced() throws {
    try withFolder { (folder: String) throws in
      try Files.writeAtomically("one", to: folder + "/a/x")
      try #require(symlink("a/x", folder + "/relative") == 0)
      try #require(symlink(folder + "/relative", folder + "/absolute") == 0)
      try #require(symlink("a/new", folder + "/dangling") == 0)
      try Files.writeAtomically("two", to: folder + "/absolute")
      try Files.writeAtomically("three", to: folder + "/dangling")
      #expect(try Files.readText(folder + "/a/x") == "two")
      #expect(try Files.readText(folder + "/a/new") == "three")
      #expect(try Files.destination(of: folder + "/absolute") == folder + "/a/x")
      #expect(try Files.list(folder) == ["a", "absolute", "dangling", "relative"])
      #expect(try Files.list(folder + "/a") == ["b", "new", "x"])
    }
  }

  @Test func onlyRegularFilesAreReplaced() throws {
    try withFolder { (folder: String) throws in
      try #require(mkfifo(folder + "/pipe", 0o600) == 0)
      try #require(symlink("pipe", folder + "/link") == 0)
      try #require(symlink("loop", folder + "/loop") == 0)
      for name in ["pipe", "link", "loop", "a"] {
        let path = "\(folder)/\(name)"
        let error = #expect(throws: InputError.self) { try Files.writeAtomically("x", to: path) }
        #expect(error?.file == path)
      }
      var status = stat()
      #expect(lstat(folder + "/pipe", &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
      #expect(try Files.list(folder) == ["a", "link", "loop", "pipe"])
      #expect(throws: InputError.self) { try Files.refuseSpecialFile(folder + "/link") }
      try Files.refuseSpecialFile(folder + "/a")
    }
  }

  @Test func removeTakesFoldersAndMissingPaths() throws {
    try withFolder { (folder: String) throws in
      try Files.writeAtomically("x", to: folder + "/a/b/c")
      try Files.remove(folder + "/a")
      #expect(!Files.exists(folder + "/a"))
      try Files.remove(folder + "/a")
    }
  }

  @Test func pathsSplit() {
    #expect(Files.folder(of: "/a/b") == "/a")
    #expect(Files.folder(of: "b") == ".")
    #expect(Files.folder(of: "/b") == "/")
    #expect(Files.name(of: "/a/b") == "b")
    #expect(Files.path("x", relativeTo: "/a") == "/a/x")
    #expect(Files.path("/x", relativeTo: "/a") == "/x")
  }
}

@Suite struct StateBytesTests {
  @Test func stateReadsBack() throws {
    var writer = StateWriter()
    writer.section("test")
    writer.write(42)
    writer.write(-1.5)
    writer.write(true)
    writer.write("ü")
    writer.write(RandomStream(seed: 1, .test))
    writer.write(array: [1.5, -2] as [Float])
    var reader = StateReader(writer.bytes)
    try reader.section("test")
    #expect(try reader.readInteger() == 42)
    #expect(try reader.readNumber() == -1.5)
    #expect(try reader.readFlag())
    #expect(try reader.readText() == "ü")
    #expect(try reader.readStream() == RandomStream(seed: 1, .test))
    #expect(try reader.readArray(of: Float.self, count: 2) == [1.5, -2])
    #expect(reader.isAtEnd)
  }

  @Test func everyTruncationIsAnError() {
    var writer = StateWriter()
    writer.section("test")
    writer.write(array: [1, 2, 3] as [Int32])
    for count in 0..<writer.bytes.count {
      #expect(throws: InputError.self) {
        var reader = StateReader(Array(writer.bytes.prefix(count)))
        try reader.section("test")
        _ = try reader.readArray(of: Int32.self)
      }
    }
  }
}
