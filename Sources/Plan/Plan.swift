public import Support

/// A run of a plan with the files that it reads.
public struct PlannedRun: Sendable, Equatable {
  public let specification: RunSpecification
  /// What sets the run apart from the others of its experiment, for people: `algorithm=greedy clients=3 seed=1`.
  public let label: String
  /// Imported trace; like all paths here absolute, or relative to the experiment's folder of results.
  public let tracePath: String
  /// DNN tables by the names that the run uses.
  public let profilePaths: [String: String]
  /// Episodes between two checkpoints; decides nothing about the result.
  public let checkpointEvery: Int
  /// How long the run's external agent may take; nil when its algorithm is one of the program's. Decides nothing
  /// about the result either.
  public let patience: AgentPatience?

  public init(
    specification: RunSpecification, label: String, tracePath: String,
    profilePaths: [String: String], checkpointEvery: Int, patience: AgentPatience? = nil
  ) {
    self.specification = specification
    self.label = label
    self.tracePath = tracePath
    self.profilePaths = profilePaths
    self.checkpointEvery = checkpointEvery
    self.patience = patience
  }
}

/// A point of the grid and the run that stands for it; several points may share one.
public struct PlanPoint: Sendable, Equatable {
  /// What the grid sets at the point.
  public let values: [String: ParameterValue]
  /// Index into the plan's runs.
  public let run: Int

  public init(values: [String: ParameterValue], run: Int) {
    self.values = values
    self.run = run
  }
}

/// The runs that an experiment asks for, in order and without repetition; a file between processes.
public struct Plan: Sendable, Equatable {
  /// Name of the experiment, and of its folder under Results.
  public let experiment: String
  public let profile: String?
  /// Keys that the grid varies, in the file's order.
  public let dimensions: [String]
  public let runs: [PlannedRun]
  public let points: [PlanPoint]
  public let record: [String]
  public let limits: RunLimits
  /// What the user should know of the inputs, a sentence each without a full stop; no part of the plan's file.
  public internal(set) var warnings: [String] = []

  static let version = 1

  public init(
    experiment: String, profile: String?, dimensions: [String], runs: [PlannedRun],
    points: [PlanPoint], record: [String] = [], limits: RunLimits = RunLimits()
  ) {
    self.experiment = experiment
    self.profile = profile
    self.dimensions = dimensions
    self.runs = runs
    self.points = points
    self.record = record
    self.limits = limits
  }

  /// As JSON; equal plans have equal canonical texts.
  public var json: JSONValue {
    var members: [String: JSONValue] = [
      "version": .integer(Plan.version),
      "experiment": .text(experiment),
      "dimensions": .list(dimensions.map { .text($0) }),
      "record": .list(record.map { .text($0) }),
      "runs": .list(
        runs.map { run in
          var members: [String: JSONValue] = [
            "id": .text(run.specification.id),
            "document": run.specification.document,
            "label": .text(run.label),
            "trace": .text(run.tracePath),
            "profiles": .object(run.profilePaths.mapValues { .text($0) }),
            "checkpointEvery": .integer(run.checkpointEvery),
          ]
          members["agent"] = run.patience?.json
          return .object(members)
        }),
      "points": .list(
        points.map { point in
          .object(["values": .object(point.values.mapValues(\.json)), "run": .integer(point.run)])
        }),
    ]
    members["profile"] = profile.map { .text($0) }
    members["timeLimitSeconds"] = limits.time.map { .number($0) }
    members["memoryLimitMiB"] = limits.memory.map { .number($0) }
    return .object(members)
  }

  /// SHA-256 of the plan's canonical text.
  public var digest: String { SHA256Digest.hex(of: json.canonical) }

  /// Where `save` puts the plan.
  public func path(inExperimentFolder folder: String) -> String {
    Plan.path(digest: digest, folder)
  }

  private static func path(digest: String, _ folder: String) -> String {
    "\(folder)/plans/\(digest).json"
  }

  /// Writes the plan as `plans/<digest>.json` into the experiment's folder, whole or not at all.
  ///
  /// - Returns: the file's path.
  @discardableResult
  public func save(inExperimentFolder folder: String) throws -> String {
    let text = json.canonical
    let path = Plan.path(digest: SHA256Digest.hex(of: text), folder)
    if Files.exists(path) { return path }
    try Files.makeFolder(folder + "/plans")
    try Files.writeAtomically(text, to: path)
    return path
  }

  /// Reads a plan and checks every run's identity against its document.
  public init(path: String) throws {
    let json = try JSONValue(path: path)
    func damaged(_ what: String) -> InputError {
      InputError(
        "is not a plan of this program: \(what)", file: path,
        advice: "Make it anew with 'veclab plan --save'")
    }
    func texts(_ value: JSONValue?, _ what: String) throws -> [String] {
      guard let list = value?.listValue else { throw damaged(what) }
      return try list.map {
        guard let text = $0.textValue else { throw damaged(what) }
        return text
      }
    }
    guard json["version"]?.integerValue == Plan.version else {
      throw damaged("its version differs")
    }
    guard let experiment = json["experiment"]?.textValue, let runs = json["runs"]?.listValue,
      let points = json["points"]?.listValue
    else { throw damaged("a member is missing") }
    self.experiment = experiment
    profile = json["profile"]?.textValue
    dimensions = try texts(json["dimensions"], "dimensions")
    record = try texts(json["record"], "record")
    limits = RunLimits(
      time: json["timeLimitSeconds"]?.numberValue, memory: json["memoryLimitMiB"]?.numberValue)
    self.runs = try runs.enumerated().map { index, run in
      guard let document = run["document"], let trace = run["trace"]?.textValue,
        let profiles = run["profiles"]?.objectValue, let label = run["label"]?.textValue,
        let checkpointEvery = run["checkpointEvery"]?.integerValue
      else { throw damaged("run \(index + 1) is incomplete") }
      let specification: RunSpecification
      do {
        specification = try RunSpecification(document: document)
      } catch let error as InputError {
        throw damaged("run \(index + 1): \(error.problem)")
      }
      guard run["id"]?.textValue == specification.id else {
        throw damaged("the id of run \(index + 1) does not match its document")
      }
      return PlannedRun(
        specification: specification, label: label, tracePath: trace,
        profilePaths: profiles.compactMapValues(\.textValue), checkpointEvery: checkpointEvery,
        patience: AgentPatience(json: run["agent"]))
    }
    let count = self.runs.count
    self.points = try points.map { point in
      guard let run = point["run"]?.integerValue, (0..<count).contains(run),
        let values = point["values"]?.objectValue
      else { throw damaged("a point has no run") }
      return PlanPoint(values: values.mapValues(ParameterValue.init), run: run)
    }
  }
}
