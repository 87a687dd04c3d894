internal import Glibc
public import Support

/// What each cut of a DNN costs: index x = 0...L is the number of layers that run locally (x = phi - 1).
public struct DNNCuts: Sendable, Equatable {
  /// Work of the x local layers, in FLOP; `localFLOP[0]` is 0.
  public let localFLOP: [Double]
  /// Work of the layers from x on, in FLOP; `remoteFLOP[L]` is 0.
  public let remoteFLOP: [Double]
  /// Data that must be sent, in bits: the input of the first remote layer; 0 for x = L.
  public let bits: [Double]
}

/// A DNN as a chain of layers with the work of each and the data at each cut.
public struct DNNProfile: Sendable {
  /// Name in files and logs, e.g. `vgg16`.
  public let name: String
  /// The chain, layers 1...L in order.
  public let layers: [DNNLayer]
  /// Convolutions beside the chain (of residual blocks).
  public let sideLayers: [DNNLayer]
  /// SHA-256 of the layers' values: equal for tables that differ only in their formatting.
  public let digest: String

  /// Bytes of one element of a tensor that is sent.
  public static let bytesPerElement = 4

  /// Multiply-accumulate operations of all layers, those beside the chain included.
  public var macs: Int { (layers + sideLayers).reduce(0) { $0 + $1.macs } }
  /// Trained parameters of all layers, those beside the chain included.
  public var parameterCount: Int { (layers + sideLayers).reduce(0) { $0 + $1.parameterCount } }

  /// Work of each layer of the chain, in FLOP.
  public func flop(_ workload: Workload) -> [Double] { layers.map { $0.flop(workload) } }

  /// Data that enters each layer of the chain, in bits: what a cut before it sends.
  ///
  /// - Parameter skipAware: adds the skip connection's tensor where the cut is inside a residual block.
  public func cutBits(skipAware: Bool = false) -> [Double] {
    layers.map {
      Double(
        ($0.inputElements + (skipAware ? $0.skipElements : 0)) * DNNProfile.bytesPerElement * 8)
    }
  }

  /// Work before and after every cut and the data sent there; sums are exact (whole numbers of FLOP).
  public func cuts(_ workload: Workload, skipAware: Bool = false) -> DNNCuts {
    let work = flop(workload)
    var local = [0.0]
    for flop in work { local.append(local[local.count - 1] + flop) }
    let total = local[local.count - 1]
    return DNNCuts(
      localFLOP: local, remoteFLOP: local.map { total - $0 },
      bits: cutBits(skipAware: skipAware) + [0])
  }

  /// A profile from a layer table.
  ///
  /// - Throws: `InputError` with file, line and column for anything that is not a consistent chain.
  public init(name: String, table: CSVTable) throws {
    self.name = name
    for (i, column) in table.columns.enumerated() {
      if !DNNLayer.columns.contains(column) {
        throw InputError(
          "is not a known column", file: table.file, line: 1, key: column,
          advice: nearestName(to: column, among: DNNLayer.columns).map { "Did you mean '\($0)'?" }
            ?? "Known are \(DNNLayer.columns.joined(separator: ", "))")
      }
      if table.columns[..<i].contains(column) {
        throw InputError("names this column twice", file: table.file, line: 1, key: column)
      }
    }
    for column in ["name", "kind"] { _ = try table.index(of: column) }
    var layers: [DNNLayer] = []
    var sideLayers: [DNNLayer] = []
    for row in table.rows.indices {
      let layer = try DNNLayer(row: row, of: table)
      func failure(_ problem: String, advice: String? = nil) -> InputError {
        InputError(
          problem, file: table.file, line: table.lines[row], key: layer.name, advice: advice)
      }
      if (layers + sideLayers).contains(where: { $0.name == layer.name }) {
        throw failure("is the name of an earlier layer too", advice: "Give each its own name")
      }
      if layer.kind == .sideConvolution {
        let known = layers.contains {
          $0.inputHeight == layer.inputHeight && $0.inputWidth == layer.inputWidth
            && $0.inputChannels == layer.inputChannels
        }
        if !known { throw failure("has an input that is no earlier layer's input") }
        if layer.skipElements != 0 { throw failure("stands beside the chain: no cut is before it") }
        sideLayers.append(layer)
        continue
      }
      if let previous = layers.last {
        let fits =
          layer.kind == .fullyConnected
          ? layer.inputElements == previous.outputElements
          : layer.inputHeight == previous.outputHeight && layer.inputWidth == previous.outputWidth
            && layer.inputChannels == previous.outputChannels
        if !fits {
          throw failure(
            "takes \(DNNProfile.shape(layer.inputHeight, layer.inputWidth, layer.inputChannels)), "
              + "but '\(previous.name)' gives "
              + DNNProfile.shape(
                previous.outputHeight, previous.outputWidth, previous.outputChannels),
            advice: "Each layer's input must be the output of the one before")
        }
      }
      layers.append(layer)
    }
    if layers.isEmpty {
      throw InputError(
        "has no layer", file: table.file, advice: "Each row after the header is a layer")
    }
    self.layers = layers
    self.sideLayers = sideLayers
    digest = SHA256Digest.hex(
      of: (layers + sideLayers).map { $0.canonical + "\n" }.joined())
  }

  private static func shape(_ height: Int, _ width: Int, _ channels: Int) -> String {
    "\(height) x \(width) x \(channels)"
  }
}

extension DNNProfile {
  /// Reads a layer table; the profile's name is the file's, without its extension.
  public init(path: String) throws {
    let file = Files.name(of: path)
    try self.init(
      name: file.hasSuffix(".csv") ? String(file.dropLast(4)) : file, table: CSVTable(path: path))
  }

  /// The profile that an experiment file means by a name or by the path of a table.
  ///
  /// A path (with `/` or ending in `.csv`) is taken against `folder`. A name NAME is looked up as
  /// `dnn/NAME.csv` and `Experiments/dnn/NAME.csv` in `folder` and the folders above it, then in the working
  /// folder and those above it, then in the folder that `VECLAB_DATA` names, then in `share/veclab` beside the
  /// program's `bin` and in the folders above the program.
  public static func load(_ nameOrPath: String, relativeTo folder: String) throws -> DNNProfile {
    try DNNProfile(path: locate(nameOrPath, relativeTo: folder))
  }

  /// The path of the table that `load` reads.
  public static func locate(_ nameOrPath: String, relativeTo folder: String) throws -> String {
    if nameOrPath.utf8.contains(UInt8(ascii: "/")) || nameOrPath.hasSuffix(".csv") {
      let path = Files.path(nameOrPath, relativeTo: folder)
      if Files.exists(path) { return path }
      throw InputError(
        "no such DNN table", key: "dnn", value: nameOrPath,
        advice: "A path is taken from the experiment file's folder (\(folder))")
    }
    let folders = tableFolders(relativeTo: folder)
    for folder in folders {
      let path = "\(folder)/\(nameOrPath).csv"
      if Files.exists(path) { return path }
    }
    let known = shippedNames(relativeTo: folder)
    let advice =
      nearestName(to: nameOrPath, among: known).map { "Did you mean '\($0)'?" }
      ?? (known.isEmpty
        ? "No folder dnn or Experiments/dnn was found above \(folder). \(adviceWithoutTables)"
        : "Known are \(known.joined(separator: ", ")); a table of your own is named by its path")
    throw InputError("is not a known DNN", key: "dnn", value: nameOrPath, advice: advice)
  }

  /// Names that `load` knows, in order of the folders, then of the names.
  public static func shippedNames(relativeTo folder: String) -> [String] {
    var names: [String] = []
    for folder in tableFolders(relativeTo: folder) {
      for file in (try? Files.list(folder)) ?? [] where file.hasSuffix(".csv") {
        let name = String(file.dropLast(4))
        if !names.contains(name) { names.append(name) }
      }
    }
    return names
  }

  /// What helps where no folder of tables is found, without a full stop.
  public static let adviceWithoutTables =
    "Set \(dataVariable) to the project's folder, or to share/veclab of an installed program"

  /// The environment variable that names a folder with `Experiments/dnn`.
  private static let dataVariable = "VECLAB_DATA"

  /// Folders with layer tables, nearest first.
  static func tableFolders(relativeTo folder: String) -> [String] {
    let working = Files.workingFolder
    let program = Files.resolved("/proc/self/exe").map(Files.folder(of:)) ?? working
    let given = getenv(dataVariable).map { String(cString: $0) }.flatMap(Files.resolved)
    let places =
      placesAbove(Files.resolved(folder) ?? folder) + placesAbove(working)
      + (given.map { [$0] } ?? [])
      + [Files.folder(of: program) + "/share/veclab"] + placesAbove(program)
    var result: [String] = []
    for place in places {
      for candidate in ["dnn", "Experiments/dnn"] {
        let path = (place == "/" ? "" : place) + "/" + candidate
        if !result.contains(path), Files.isFolder(path) { result.append(path) }
      }
    }
    return result
  }

  /// A folder and those that it is in.
  private static func placesAbove(_ folder: String) -> [String] {
    var places = [folder]
    while let last = places.last, last != "/", last != ".", !last.isEmpty {
      places.append(Files.folder(of: last))
    }
    return places
  }
}
