internal import Plan
internal import Simulation
internal import Support

/// The policy of a published run, checked against the run's manifest.
struct TrainedPolicy {
  /// The run's folder of results.
  let folder: String
  /// Identity of the run.
  let run: String
  let specification: RunSpecification
  /// SHA-256 of `policy.bin`.
  let digest: String
  private let bytes: [UInt8]

  private static let fileName = "policy.bin"
  /// The folder of results that the run is in.
  var experimentFolder: String { folder + "/../../.." }
  private var path: String { "\(folder)/\(TrainedPolicy.fileName)" }

  /// - Throws: `InputError` that names the file that is missing or is not as the run left it.
  init(runFolder: String) throws {
    let result = runFolder + "/result"
    folder = Files.isFolder(result) ? result : runFolder
    guard Files.exists(folder + "/run.json") else {
      throw InputError(
        "is not a run's folder: it has no run.json", file: runFolder,
        advice:
          "Give a folder Results/EXPERIMENT/runs/ID of a finished run, or the first digits of its id"
      )
    }
    let manifest = try TrainedPolicy.verifiedManifest(folder)
    run = manifest.run
    do {
      specification = try RunSpecification(document: manifest.specification)
    } catch {
      throw InputError("does not describe a run", file: "\(folder)/\(Manifest.fileName)")
    }
    guard let file = manifest.files.first(where: { $0.name == TrainedPolicy.fileName }) else {
      throw InputError(
        "has no policy.bin: '\(specification.algorithm)' does not learn", file: folder,
        advice: "Put the trace into an experiment file and run it")
    }
    let path = "\(folder)/\(TrainedPolicy.fileName)"
    bytes = try Files.read(path)
    digest = SHA256Digest.hex(of: bytes)
    guard digest == file.sha256 else {
      throw TrainedPolicy.damaged(
        InputError("has been changed since it was published", file: path))
    }
  }

  private static func verifiedManifest(_ folder: String) throws -> Manifest {
    let path = "\(folder)/\(Manifest.fileName)"
    guard Files.exists(path) else {
      throw InputError(
        "is missing: nothing says whether the run is whole", file: path,
        advice: "Give the folder of a finished run, copied with all its files")
    }
    do {
      let parent = Files.name(of: Files.folder(of: folder))
      let isIdentity = parent.utf8.count == 64 && parent.allSatisfy(\.isHexDigit)
      let named = isIdentity ? parent : try JSONValue(path: path)["run"]?.textValue ?? ""
      let manifest = try Manifest(folder: folder, run: named)
      try manifest.verify(folder: folder, only: ["run.json", fileName])
      return manifest
    } catch let error as InputError {
      throw damaged(error)
    }
  }

  private static func damaged(_ error: InputError) -> InputError {
    var error = error
    error.advice =
      error.advice
      ?? "'veclab run' with the experiment's file sets a damaged result aside and does the run again"
    return error
  }

  /// Which policy it is, for the record of an evaluation.
  var json: JSONValue { .object(["run": .text(run), "sha256": .text(digest)]) }

  /// Gives an agent the policy's networks.
  func restore<Learner: Agent>(_ agent: inout Learner, trained: ParameterValues) throws {
    var reader = StateReader(bytes)
    do {
      try reader.section("veclab-policy")
      guard try reader.readText() == specification.algorithm,
        try reader.readInteger() == specification.algorithmVersion
      else { throw InputError("is of another algorithm or version") }
      try agent.restorePolicy(from: &reader, trainedWith: trained)
      try reader.section("end")
      guard reader.isAtEnd else { throw InputError("goes on after its end") }
    } catch let error as InputError {
      throw error.inFile(path)
    }
  }
}

// MARK: DNN tables

extension TrainedPolicy {
  /// The tables of DNNs by their names.
  ///
  /// A name that the run was trained with stands for the table that it was trained with; any other is a shipped
  /// name, or a path against the working folder.
  ///
  /// - Parameter areGiven: whether the user has given the names for this evaluation.
  func profiles(_ names: [String], areGiven: Bool) throws -> [String: DNNProfile] {
    var profiles: [String: DNNProfile] = [:]
    for name in names {
      profiles[name] =
        if let digest = specification.profiles[name] {
          try trainedProfile(name, digest: digest, isGiven: areGiven)
        } else {
          try namedProfile(name)
        }
    }
    return profiles
  }

  private func namedProfile(_ name: String) throws -> DNNProfile {
    let path: String
    do {
      path = try DNNProfile.locate(name, relativeTo: Files.workingFolder)
    } catch var error as InputError {
      error.key = "dnnTypes"
      if isPath(name) { error.advice = "A path is taken from the working folder" }
      throw error
    }
    return try loadProfile(name: name, path: path)
  }

  private func trainedProfile(
    _ name: String, digest: String, isGiven: Bool
  ) throws -> DNNProfile {
    if isGiven, isPath(name), Files.exists(Files.path(name, relativeTo: Files.workingFolder)),
      try namedProfile(name).digest != digest
    {
      throw InputError(
        "is not the table that the policy was trained with under this name", key: "dnnTypes",
        value: name, advice: "Give the file another name to evaluate with it")
    }
    // The experiment's tables, which the run was planned with, are in Results/<experiment>/dnn; a damaged one
    // among them is no reason not to find another.
    let kept = experimentFolder + "/dnn"
    for file in Files.isFolder(kept) ? try Files.list(kept) : [] where file.hasSuffix(".csv") {
      let profile = try? loadProfile(name: name, path: "\(kept)/\(file)")
      if let profile, profile.digest == digest { return profile }
    }
    if let profile = try? namedProfile(name), profile.digest == digest { return profile }
    throw InputError(
      "the table that the policy was trained with is not here", key: "dnnTypes", value: name,
      advice: "Evaluate the run inside its folder of results, which keeps it under dnn")
  }

  private func isPath(_ name: String) -> Bool { name.contains("/") || name.hasSuffix(".csv") }
}
