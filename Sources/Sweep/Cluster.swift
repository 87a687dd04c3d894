internal import Support

/// A batch system whose tasks can work on a sweep.
///
/// It may run a task twice, late, or not at all, and say what it likes: the ledger stands all of it. Tasks run
/// `veclab worker`, the same loop as on one's own machine, so a system is told how to start it, and nothing else.
public protocol Cluster: Sendable {
  /// Word of `veclab submit --cluster`, and the folder of its scripts in the experiment's results.
  static var name: String { get }
  /// Name in sentences.
  static var title: String { get }
  /// What is wrong with options, in a sentence; nil when nothing is.
  static func problem(with options: ClusterOptions) -> String?

  var work: ClusterWork { get }
  init(_ work: ClusterWork) throws
  /// Scripts whose tasks together go through `work.tasks` parts of the list of runs.
  var workers: [ClusterScript] { get }
  /// The script that runs when jobs have ended, well or not: it does what they have left and makes the figures.
  func collector(after jobs: [String]) -> ClusterScript
  /// Hands a script to the system.
  ///
  /// - Returns: what the system calls the job.
  /// - Throws: `InputError` with what the system says.
  func submit(_ path: String) async throws -> String
  /// The state of every task of jobs, in the system's words; nil when it is silent.
  static func states(of jobs: [String]) async -> [String]?
}

/// The batch systems: adding one is one line.
public enum Clusters {
  public static let all: [any Cluster.Type] = [Slurm.self]
}

/// What the user asks of a batch system, in its own notation.
public struct ClusterOptions: Sendable {
  public var partition: String?
  /// Time limit of a task, e.g. `8:00:00`.
  public var time: String?
  /// Memory of a task, e.g. `2G`.
  public var memory: String?
  /// Runs that a task executes at most, one after another.
  public var runsPerTask = 4
  /// Tasks of an array at most; Slurm's usual MaxArraySize of 1001 allows indices up to 1000.
  public var maximumArray = 1000
  /// Seconds without a sign of life after which a run is taken over from another machine.
  public var lease = 60.0
  /// Further lines for every script, e.g. `--account=physics`.
  public var extra: [String] = []

  public init() {}
}

/// What there is to do for a batch system.
public struct ClusterWork: Sendable {
  /// Name of the experiment.
  public let experiment: String
  /// Folder of the scripts and their logs: `Results/<experiment>/<name of the system>`, absolute.
  public let folder: String
  public let program: String
  /// Arguments of `veclab worker` that name the plan and the results, paths absolute.
  public let workerArguments: [String]
  /// Arguments of the command that makes the figures.
  public let collectArguments: [String]
  /// Runs that are neither done nor failed.
  public let openRuns: Int
  public let options: ClusterOptions

  public init(
    experiment: String, folder: String, program: String, workerArguments: [String],
    collectArguments: [String], openRuns: Int, options: ClusterOptions
  ) {
    self.experiment = experiment
    self.folder = folder
    self.program = program
    self.workerArguments = workerArguments
    self.collectArguments = collectArguments
    self.openRuns = openRuns
    self.options = options
  }

  /// Tasks of all scripts together.
  public var tasks: Int { (openRuns + options.runsPerTask - 1) / options.runsPerTask }
}

/// A script for a batch system.
public struct ClusterScript: Sendable, Equatable {
  public let name: String
  public let text: String

  /// Words for a shell, quoted where needed.
  static func words(_ words: [String]) -> String {
    words.map { word in
      let isPlain = word.utf8.allSatisfy { byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
          || "-_./=,:+@%".utf8.contains(byte)
      }
      if isPlain && !word.isEmpty { return word }
      return "'"
        + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
        + "'"
    }
    .joined(separator: " ")
  }
}

extension Cluster {
  /// Writes the scripts and hands them to the system.
  ///
  /// - Returns: the names of the jobs, the collector's last.
  /// - Throws: `InputError` with what the system says.
  public func submit() async throws -> [String] {
    try Files.makeFolder(work.folder)
    var jobs: [String] = []
    for script in workers { jobs.append(try await submit(script)) }
    jobs.append(try await submit(collector(after: jobs)))
    let list = Self.jobsFile(in: work.folder)
    let known = Files.exists(list) ? try Files.readText(list) : ""
    try Files.writeAtomically(known + jobs.map { $0 + "\n" }.joined(), to: list)
    return jobs
  }

  private func submit(_ script: ClusterScript) async throws -> String {
    let path = work.folder + "/" + script.name
    try Files.writeAtomically(script.text, to: path)
    return try await submit(path)
  }

  private static func jobsFile(in folder: String) -> String { folder + "/jobs" }

  /// Counts by state of a sweep's tasks, e.g. `RUNNING 2, PENDING 14`; nil when there are none or the system is silent.
  ///
  /// A supplement: the ledger tells the truth.
  public static func states(experimentFolder: String) async -> String? {
    let list = jobsFile(in: "\(experimentFolder)/\(name)")
    guard let text = try? Files.readText(list) else { return nil }
    let jobs = text.split(separator: "\n").map(String.init)
    guard !jobs.isEmpty, let states = await states(of: jobs), !states.isEmpty else { return nil }
    var counts: [String: Int] = [:]
    for state in states { counts[state, default: 0] += 1 }
    return counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
      .joined(separator: ", ")
  }
}
