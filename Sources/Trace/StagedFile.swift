import Glibc
import Support

/// A file that gets its name only when it is whole.
///
/// Where the file system can (`O_TMPFILE`), it has no name at all until then, so that not even `kill -9`
/// leaves anything behind. Elsewhere it has a temporary name, which is removed on an error.
public final class StagedFile {
  /// As the caller gave it.
  let path: String
  /// The same with symbolic links followed.
  private let target: String
  private let temporary: String
  private var descriptor: Int32
  private var isNamed = false

  public init(path: String) throws {
    self.path = path
    target = try Files.destination(of: path)
    // Process numbers are not unique among machines that share a file system.
    temporary = "\(target).\(getpid())-\(UInt32.random(in: 0...UInt32.max)).tmp"
    descriptor = StagedFile.openUnnamed(in: Files.folder(of: target), mode: 0o666)
    if descriptor >= 0, access("/proc/self/fd/\(descriptor)", F_OK) != 0 {
      close(descriptor)
      descriptor = -1
    }
    if descriptor < 0 {
      // Never through a link that somebody put there.
      descriptor = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else { throw Files.failure("create", path) }
      isNamed = true
    }
  }

  /// A file that never gets a name, in the folder for temporary files.
  static func unnamed() throws -> StagedFile {
    let folder = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    let file = try StagedFile(unnamedIn: folder ?? "/tmp")
    return file
  }

  private init(unnamedIn folder: String) throws {
    path = "\(folder)/<temporary file>"
    target = path
    temporary = "\(folder)/veclab-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).tmp"
    descriptor = StagedFile.openUnnamed(in: folder, mode: 0o600)
    if descriptor < 0 {
      descriptor = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      if descriptor >= 0 { unlink(temporary) }
    }
    guard descriptor >= 0 else {
      var error = Files.failure("create a temporary file", folder)
      if error.advice == nil || errno == ENOENT {
        error.advice = "Set TMPDIR to a folder that can be written"
      }
      throw error
    }
  }

  private static func openUnnamed(in folder: String, mode: mode_t) -> Int32 {
    // __O_TMPFILE of Linux, which is a macro that Swift does not import.
    open(folder, 0o20_000_000 | O_DIRECTORY | O_RDWR | O_CLOEXEC, mode)
  }

  /// Gives the descriptor away; the file is no longer this object's.
  func release() -> Int32 {
    defer { descriptor = -1 }
    return descriptor
  }

  deinit { discard() }

  public func append(_ bytes: UnsafeRawBufferPointer) throws {
    try Files.writeAll(bytes, to: descriptor, path: path)
  }

  /// Writes over bytes of the file; what is appended next still comes at its end.
  func overwrite(at offset: Int, _ bytes: [UInt8]) throws {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress! + done, $0.count - done, off_t(offset + done))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw Files.failure("write", path) }
      done += count
    }
  }

  /// Reads some bytes of the file, as many as it has at most.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    while true {
      let count = pread(descriptor, buffer.baseAddress!, buffer.count, off_t(offset))
      if count >= 0 { return count }
      if errno != EINTR { throw Files.failure("read", path) }
    }
  }

  /// Flushes the file and gives it its name, replacing the file that had it before.
  public func publish() throws {
    guard fsync(descriptor) == 0 else { throw Files.failure("flush", path) }
    if !isNamed {
      unlink(temporary)
      let source = "/proc/self/fd/\(descriptor)"
      guard linkat(AT_FDCWD, source, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW) == 0 else {
        throw Files.failure("name", path)
      }
      isNamed = true
    }
    guard rename(temporary, target) == 0 else { throw Files.failure("rename to", path) }
    isNamed = false
    discard()
    try Files.synchroniseFolder(Files.folder(of: target))
  }

  /// Closes the file and leaves nothing behind; harmless after `publish`.
  public func discard() {
    if isNamed {
      unlink(temporary)
      isNamed = false
    }
    if descriptor >= 0 {
      close(descriptor)
      descriptor = -1
    }
  }
}
