import Glibc

/// Small, explicit file operations with errors that name the path and the system's reason.
public enum Files {
  /// Error for a failed system call on a path.
  public static func failure(_ action: String, _ path: String, code: Int32? = nil) -> InputError {
    let code = code ?? errno
    var error = InputError(
      "cannot \(action): \(String(cString: strerror(code)))", file: path, advice: advice(for: code),
      systemCode: code)
    let readsOnly = ["open", "read", "list"].contains(action)
    error.isFailureToWrite =
      [ENOSPC, EDQUOT, EROFS, EFBIG].contains(code)
      || !readsOnly && [EACCES, EPERM, EIO, EBADF].contains(code)
    return error
  }

  private static func advice(for code: Int32) -> String? {
    switch code {
    case ENOSPC, EDQUOT: "Free some space on that file system and run the same command again"
    case EACCES, EPERM, EROFS: "Check the permissions, or choose another folder"
    case ENOENT: "Check the path"
    case EMFILE, ENFILE: "Raise the limit of open files (ulimit -n)"
    default: nil
    }
  }

  /// The whole content of a file.
  ///
  /// - Parameter limit: a file of more bytes is an error, found without reading it all.
  public static func read(_ path: String, limit: Int = .max) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("open", path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure("read", path) }
    if status.st_mode & S_IFMT == S_IFDIR { throw failure("read", path, code: EISDIR) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(min(Int(status.st_size), limit) + 1)
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count == 0 { return bytes }
      if count < 0 {
        if errno == EINTR { continue }
        throw failure("read", path)
      }
      bytes.append(contentsOf: chunk[0..<count])
      if bytes.count > limit { throw InputError("is larger than \(limit) bytes", file: path) }
    }
  }

  /// The whole content of a UTF-8 text file.
  public static func readText(_ path: String) throws -> String {
    let bytes = try read(path)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw InputError("is not UTF-8 text", file: path, advice: "Save it as UTF-8")
    }
    return text
  }

  /// Where file systems of the kernel's own are mounted: what looks like files there may never end.
  private static let kernelFolders = ["/proc", "/sys", "/sys/kernel/debug", "/sys/kernel/tracing"]

  /// Refuses what is neither a regular file nor a folder, and files of the kernel: a pipe without a writer would be
  /// waited for for ever.
  ///
  /// - Throws: `InputError` that names the path; one where nothing is passes, opening it says so.
  public static func refuseSpecialFile(_ path: String) throws {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    guard [S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) else {
      throw InputError("is not a regular file", file: path, advice: "Give the path of a file")
    }
    var root = stat()
    // Where nothing is mounted there, the folders are the root's.
    let isOfKernel =
      stat("/", &root) == 0 && status.st_dev != root.st_dev
      && kernelFolders.contains { folder in
        var other = stat()
        return stat(folder, &other) == 0 && other.st_dev == status.st_dev
      }
    if isOfKernel {
      throw InputError(
        "is no file on a disk but one of the kernel's", file: path,
        advice: "Give the path of a file, or a copy of it")
    }
  }

  /// Where a file that replaces `path` must be put: symbolic links are followed, so that they stay.
  ///
  /// - Throws: `InputError` when a folder, device, pipe or socket is there, or no folder to put the file in.
  public static func destination(of path: String) throws -> String {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      let isFolder = status.st_mode & S_IFMT == S_IFDIR
      throw InputError(
        isFolder ? "is a folder" : "is not a regular file, and would be replaced", file: path,
        advice: isFolder ? "Give the name of the file to write in it" : "Give the name of a file")
    }
    var target = path
    // As many links as the kernel follows.
    for _ in 0..<40 {
      guard let next = linkTarget(target) else {
        guard stat(folder(of: target), &status) == 0 else { throw failure("create", path) }
        return target
      }
      target = Files.path(next, relativeTo: folder(of: target))
    }
    throw failure("create", path, code: ELOOP)
  }

  /// What a symbolic link holds; nil for anything else.
  private static func linkTarget(_ path: String) -> String? {
    var text = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = text.withUnsafeMutableBytes {
      readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    return count < 0 ? nil : String(decoding: text[..<count], as: UTF8.self)
  }

  /// Whether something exists at a path.
  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// What messages call standard output.
  public static let standardOutput = "<standard output>"

  /// Folder for files that nobody keeps.
  public static var temporaryFolder: String {
    getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
  }

  /// The same path from the root of the file system.
  public static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : workingFolder + "/" + path
  }

  /// The path of what is there from the root, without links; nil when nothing is there.
  public static func resolved(_ path: String) -> String? {
    guard let pointer = realpath(path, nil) else { return nil }
    defer { free(pointer) }
    return String(cString: pointer)
  }

  /// Whether this process may run the file at a path.
  public static func isExecutable(_ path: String) -> Bool {
    access(path, X_OK) == 0 && !isFolder(path)
  }

  /// Whether a program of this name, without a slash, is in a folder of `PATH`.
  public static func isInSearchPath(_ name: String) -> Bool {
    let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    return folders.split(separator: ":").contains { isExecutable("\($0)/\(name)") }
  }

  /// Lets those run a file who may read it.
  public static func makeExecutable(_ path: String) throws {
    guard chmod(path, 0o755) == 0 else { throw failure("make executable", path) }
  }

  /// Whether a folder exists at a path.
  public static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Makes a folder and those above it; existing ones are left alone.
  public static func makeFolder(_ path: String) throws {
    if isFolder(path) || path.isEmpty { return }
    if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
      try makeFolder(String(path[..<slash]))
    }
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw failure("make the folder", path) }
  }

  /// Names in a folder in byte order, without `.` and `..`.
  public static func list(_ path: String) throws -> [String] {
    guard let folder = opendir(path) else { throw failure("list", path) }
    defer { closedir(folder) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(folder) else {
        if errno != 0 { throw failure("list", path) }
        break
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
  }

  /// Removes a file or a folder with everything in it; nothing there is no error.
  public static func remove(_ path: String) throws {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return }
      throw failure("remove", path)
    }
    if status.st_mode & S_IFMT == S_IFDIR {
      for name in try list(path) { try remove(path + "/" + name) }
      guard rmdir(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
    } else {
      guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
    }
  }

  /// Flushes a folder's entries to the disk.
  public static func synchroniseFolder(_ path: String) throws {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("open", path) }
    defer { close(descriptor) }
    // Some network file systems refuse fsync on folders; what they promise is not ours to better.
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw failure("flush", path) }
  }

  /// Writes a file without flushing it, for what is flushed as a whole later.
  public static func write(_ bytes: [UInt8], to path: String) throws {
    try write(bytes, to: path, isFlushed: false)
  }

  /// Writes a file and flushes it to the disk before returning.
  public static func writeSynchronised(_ bytes: [UInt8], to path: String) throws {
    try write(bytes, to: path, isFlushed: true)
  }

  private static func write(_ bytes: [UInt8], to path: String, isFlushed: Bool) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure("create", path) }
    var isOpen = true
    defer { if isOpen { close(descriptor) } }
    try bytes.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
    guard !isFlushed || fsync(descriptor) == 0 else { throw failure("flush", path) }
    isOpen = false
    guard close(descriptor) == 0 else { throw failure("close", path) }
  }

  /// Writes every byte to an open file, however many calls that takes.
  public static func writeAll(
    _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String
  ) throws {
    var offset = 0
    while offset < bytes.count {
      let count = Glibc.write(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
      if count < 0 {
        if errno == EINTR { continue }
        throw failure("write", path)
      }
      offset += count
    }
  }

  /// Replaces a file as a whole: temporary name, flush, rename, flush of the folder.
  ///
  /// A reader sees the old content or the new one, never a part. On an error the temporary file is removed.
  ///
  /// - Throws: `InputError` that names `path`, also when what is there is not a regular file.
  public static func writeAtomically(_ bytes: [UInt8], to path: String) throws {
    let target = try destination(of: path)
    // Process numbers are not unique among machines that share a file system.
    let temporary = "\(target).\(getpid())-\(UInt32.random(in: 0...UInt32.max)).tmp"
    do {
      try writeSynchronised(bytes, to: temporary)
      guard Glibc.rename(temporary, target) == 0 else { throw failure("rename to", path) }
    } catch {
      unlink(temporary)
      // The name that was asked for; nobody knows the temporary one.
      if var error = error as? InputError {
        error.file = path
        throw error
      }
      throw error
    }
    try synchroniseFolder(folder(of: target))
  }

  public static func writeAtomically(_ text: String, to path: String) throws {
    try writeAtomically(Array(text.utf8), to: path)
  }

  /// Gives a folder another name on the same file system; one with something in it is never replaced.
  public static func moveFolder(_ path: String, to target: String) throws {
    guard Glibc.rename(path, target) == 0 else { throw failure("rename \(path) to", target) }
    try synchroniseFolder(folder(of: target))
  }

  /// The folder part of a path; `.` when there is none.
  public static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The last part of a path.
  public static func name(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
  }

  /// A path against a folder: absolute ones stay as they are.
  public static func path(_ path: String, relativeTo folder: String) -> String {
    path.hasPrefix("/") || folder == "." ? path : folder + "/" + path
  }

  /// The current working folder.
  public static var workingFolder: String {
    guard let pointer = getcwd(nil, 0) else { return "." }
    defer { free(pointer) }
    return String(cString: pointer)
  }
}
