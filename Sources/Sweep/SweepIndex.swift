internal import Glibc
public import Plan
public import Runs
internal import Support

/// What status and estimates need to know of a planned run, without reading its whole document.
public struct SweepEntry: Sendable, Equatable {
  public let run: String
  /// Digest of everything but the seed and the numbers of episodes: an episode of runs of equal kind costs
  /// about the same.
  public let kind: String
  /// Model and algorithm: the coarser class for estimates.
  public let group: String
  /// Training and evaluation episodes together, evaluations in the midst of training included.
  public let episodes: Int
  /// What an episode costs in proportion to others of the group, by `RunWork`; 1 where nothing is known of it.
  public let work: Double
  public let label: String

  public init(
    run: String, kind: String, group: String, episodes: Int, work: Double = 1, label: String
  ) {
    self.work = work
    self.run = run
    self.kind = kind
    self.group = group
    self.episodes = episodes
    self.label = label
  }

  /// - Parameter store: a run that is published with more recorded than asked for stands for it.
  public init(_ planned: PlannedRun, store: any RunStore) {
    let specification = planned.specification
    var parameters = specification.parameters
    work = RunWork.perEpisode(parameters.mapValues(\.json))
    for key in ["seed", "episodes", "evaluationEpisodes"] { parameters[key] = nil }
    episodes = RunSchedule(specification).episodes
    run = store.published(specification) ?? specification.id
    kind = String(specification.with(parameters: parameters).id.prefix(12))
    group = specification.model + "/" + specification.algorithm
    label = planned.label
  }
}

/// The list of a plan's runs beside the plan: `plans/<digest>.runs`, one line a run.
///
/// A plan of ten thousand runs has tens of megabytes; this list is read in a few milliseconds.
public enum SweepIndex {
  private static let ending = ".runs"
  private static let originEnding = ".origin"

  /// Writes a plan, its list and its origin, and makes it the experiment's latest.
  ///
  /// - Returns: the plan's path and the list.
  public static func register(_ plan: Plan, origin: PlanOrigin, ledger: RunLedger) throws -> (
    path: String, entries: [SweepEntry]
  ) {
    let path = try plan.save(inExperimentFolder: ledger.folder)
    let entries = plan.runs.map { SweepEntry($0, store: ledger) }
    let digest = plan.digest
    try Files.writeAtomically(
      origin.json.readable, to: "\(ledger.folder)/plans/\(digest)\(originEnding)")
    try save(entries, plan: digest, folder: ledger.folder)
    return (path, entries)
  }

  /// Where the plan of the latest list comes from; nil for lists of older programs.
  public static func latestOrigin(folder: String) throws -> PlanOrigin? {
    let path = try latestPath(folder: folder).dropLast(ending.count) + originEnding
    return (try? JSONValue(path: String(path))).flatMap(PlanOrigin.init(json:))
  }

  /// Another experiment file, still there, whose plans are in the folder of the same name; nil when there is none.
  public static func rival(of origin: PlanOrigin, experiment: String, folder: String) -> String? {
    let plans = folder + "/plans"
    let names = (try? Files.list(plans)) ?? []
    for name in names where name.hasSuffix(originEnding) {
      let other = (try? JSONValue(path: "\(plans)/\(name)")).flatMap(PlanOrigin.init(json:))
      if let other, other.isRival(of: origin, experiment: experiment) { return other.file }
    }
    return nil
  }

  /// Whether a folder is that of an experiment's results of which some plan has been registered.
  public static func isThere(folder: String) -> Bool {
    let names = (try? Files.list(folder + "/plans")) ?? []
    return names.contains { $0.hasSuffix(ending) }
  }

  /// Writes a plan's list and makes it the experiment's latest.
  public static func save(_ entries: [SweepEntry], plan digest: String, folder: String) throws {
    var text = ""
    for entry in entries {
      let label = String(entry.label.map { $0 == "\t" || $0 == "\n" ? " " : $0 })
      text += "\(entry.run)\t\(entry.kind)\t\(entry.group)\t\(entry.episodes)\t"
      text += "\(CSVWriter.text(of: entry.work))\t\(label)\n"
    }
    try Files.makeFolder(folder + "/plans")
    try Files.writeAtomically(text, to: "\(folder)/plans/\(digest)\(ending)")
  }

  /// The list that was written last in an experiment's folder.
  ///
  /// - Throws: `InputError` when there is none.
  public static func latest(folder: String) throws -> [SweepEntry] {
    try read(latestPath(folder: folder))
  }

  private static func latestPath(folder: String) throws -> String {
    let plans = folder + "/plans"
    var newest: (time: timespec, path: String)?
    if Files.isFolder(plans) {
      for name in try Files.list(plans) where name.hasSuffix(ending) {
        var status = stat()
        guard stat("\(plans)/\(name)", &status) == 0 else { continue }
        let time = status.st_mtim
        if let best = newest?.time,
          (best.tv_sec, best.tv_nsec) >= (time.tv_sec, time.tv_nsec)
        {
          continue
        }
        newest = (time, "\(plans)/\(name)")
      }
    }
    guard let path = newest?.path else {
      throw InputError(
        "holds no sweep", file: folder,
        advice: "Name the folder of an experiment's results, or its experiment file")
    }
    return path
  }

  /// The runs of every list in an experiment's folder, each once; lists that cannot be read are passed over.
  public static func all(folder: String) throws -> [SweepEntry] {
    let plans = folder + "/plans"
    guard Files.isFolder(plans) else { return [] }
    var seen: Set<String> = []
    return try Files.list(plans).filter { $0.hasSuffix(ending) }.flatMap { name in
      ((try? read("\(plans)/\(name)")) ?? []).filter { seen.insert($0.run).inserted }
    }
  }

  static func read(_ path: String) throws -> [SweepEntry] {
    try Files.read(path).split(separator: 10).enumerated().map { index, line in
      let fields = line.split(separator: 9, omittingEmptySubsequences: false)
        .map { String(decoding: $0, as: UTF8.self) }
      // Lists of older programs have no column of the work.
      guard [5, 6].contains(fields.count), let label = fields.last, let episodes = Int(fields[3])
      else {
        throw InputError(
          "is not a list of runs", file: path, line: index + 1,
          advice: "It is written anew by 'veclab run'")
      }
      return SweepEntry(
        run: fields[0], kind: fields[1], group: fields[2], episodes: episodes,
        work: fields.count == 6 ? Double(fields[4]) ?? 1 : 1, label: label)
    }
  }
}
