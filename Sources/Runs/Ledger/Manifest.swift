internal import Glibc
public import Plan
public import Support

/// What a published result consists of: `manifest.json` in the result folder.
public struct Manifest: Sendable, Equatable {
  public struct File: Sendable, Equatable {
    public let name: String
    public let bytes: Int
    /// Rows below the header of a CSV file; nil for others.
    public let rows: Int?
    public let sha256: String
  }

  public static let fileName = "manifest.json"

  public let run: String
  /// The run's specification, whose digest is the run's identity.
  public let specification: JSONValue
  /// In byte order of their names.
  public let files: [File]

  /// Describes the files of a folder as they are now.
  init(specification: JSONValue, folder: String) throws {
    run = SHA256Digest.hex(of: specification.canonical)
    self.specification = specification
    files = try Manifest.names(in: folder).filter { $0 != Manifest.fileName }
      .map { try Manifest.describe($0, in: folder) }
  }

  /// Paths of the files in a folder and the folders in it, in byte order.
  static func names(in folder: String, below prefix: String = "") throws -> [String] {
    try Files.list(folder).flatMap { name in
      Files.isFolder(folder + "/" + name)
        ? try names(in: folder + "/" + name, below: prefix + name + "/") : [prefix + name]
    }
  }

  /// Reads a file piece by piece; rows are counted for CSV files, line feeds inside quotation marks aside.
  private static func describe(_ name: String, in folder: String) throws -> File {
    let path = folder + "/" + name
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Files.failure("open", path) }
    defer { close(descriptor) }
    var digest = SHA256Digest()
    var length = 0
    var lines = 0
    var isQuoted = false
    let isTable = name.hasSuffix(".csv")
    var chunk = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let count = read(descriptor, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw Files.failure("read", path) }
      if count == 0 { break }
      chunk.withUnsafeBytes { digest.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      length += count
      guard isTable else { continue }
      for byte in chunk[..<count] {
        if byte == 34 { isQuoted.toggle() }
        if byte == 10 && !isQuoted { lines += 1 }
      }
    }
    return File(
      name: name, bytes: length, rows: isTable ? max(lines - 1, 0) : nil,
      sha256: digest.finish())
  }

  /// What the file holds.
  private struct Document: Codable {
    struct Content: Codable {
      let bytes: Int
      let rows: Int?
      let sha256: String
    }
    static let format = 1
    var format = Document.format
    let run: String
    let specification: JSONValue
    /// By name.
    let files: [String: Content]
    /// Of the same document without it.
    var digest: String?
  }

  private func document() throws -> Document {
    var document = Document(
      run: run, specification: specification,
      files: Dictionary(
        files.map { ($0.name, Document.Content(bytes: $0.bytes, rows: $0.rows, sha256: $0.sha256)) }
      ) { first, _ in first })
    document.digest = try SHA256Digest.hex(of: JSONValue(encoding: document).canonical)
    return document
  }

  /// The manifest's text, closed by a digest of its own content.
  func text() throws -> String { try JSONValue(encoding: document()).readable }

  /// Reads a manifest and checks it against itself: its digest, and the run's identity.
  public init(folder: String, run: String) throws {
    let path = folder + "/" + Manifest.fileName
    let found = try Manifest.parsed(path)
    self.run = found.run
    specification = found.specification
    files = found.files.sorted { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }
      .map { File(name: $0, bytes: $1.bytes, rows: $1.rows, sha256: $1.sha256) }
    guard found.format == Document.format, try document().digest == found.digest else {
      throw InputError("has been changed: its digest does not match", file: path)
    }
    guard found.run == run, SHA256Digest.hex(of: specification.canonical) == run else {
      throw InputError(
        "belongs to another run", file: path, key: "run", value: found.run,
        advice: "The folder's name must be the digest of the specification in it")
    }
  }

  private static func parsed(_ path: String) throws -> Document {
    do {
      return try JSONValue(path: path).decoded()
    } catch let error as DecodingError {
      let keys: [any CodingKey] =
        switch error {
        case .typeMismatch(_, let context), .valueNotFound(_, let context),
          .keyNotFound(_, let context), .dataCorrupted(let context):
          context.codingPath
        @unknown default: []
        }
      guard keys.first?.stringValue == "files", keys.count > 1 else {
        throw InputError("is not a manifest of a run", file: path)
      }
      throw InputError("describes a file badly", file: path, key: keys[1].stringValue)
    }
  }

  /// Checks length, rows and digest of every file, or of those named.
  public func verify(folder: String, only names: [String]? = nil) throws {
    for file in files where names?.contains(file.name) ?? true {
      let path = folder + "/" + file.name
      let found = try Manifest.describe(file.name, in: folder)
      guard found.bytes == file.bytes else {
        throw InputError(
          "has \(found.bytes) bytes where its manifest says \(file.bytes)", file: path)
      }
      guard found == file else {
        throw InputError("has been changed since it was published", file: path)
      }
    }
  }
}

extension RunLedger {
  /// Reads a published result's manifest and checks every file against it.
  ///
  /// - Throws: `InputError` that names the file that is missing or changed.
  public func verifiedManifest(_ run: String) throws -> Manifest {
    let manifest = try Manifest(folder: resultFolder(run), run: run)
    try manifest.verify(folder: resultFolder(run))
    return manifest
  }
}

extension RunLedger: RunStore {
  public func verify(_ run: String) throws { _ = try verifiedManifest(run) }
}
