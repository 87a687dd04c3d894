internal import Subprocess
internal import Support

/// The batch scripts that let a Slurm cluster work on a sweep: array jobs of workers, and a job that collects.
///
/// Slurm may run a task twice, late, or not at all; the ledger stands all of it, so nothing here depends on
/// Slurm's word. Tasks run `veclab worker`, the same loop as on one's own machine.
public struct SlurmSubmission: Sendable {
  public struct Options: Sendable {
    public var partition: String?
    /// Time limit of a task in Slurm's notation, e.g. `8:00:00`.
    public var time: String?
    /// Memory of a task in Slurm's notation, e.g. `2G`.
    public var memory: String?
    /// Runs that a task executes at most, one after another.
    public var runsPerTask = 4
    /// Tasks of an array at most; Slurm's usual MaxArraySize of 1001 allows indices up to 1000.
    public var maximumArray = 1000
    public var lease = 60.0
    /// Further lines for every script, e.g. `--account=physics`.
    public var extra: [String] = []

    public init() {}
  }

  public struct Script: Sendable, Equatable {
    public let name: String
    public let text: String
  }

  /// Name of the experiment.
  let experiment: String
  /// Folder of the scripts and their logs: `Results/<experiment>/slurm`, absolute.
  public let folder: String
  let program: String
  /// Arguments of `veclab worker` that name the plan and the results, paths absolute.
  let workerArguments: [String]
  /// Arguments of the command that makes the figures.
  let collectArguments: [String]
  let options: Options
  /// Runs that are neither done nor failed.
  let openRuns: Int

  /// - Throws: `InputError` for a folder of which Slurm cannot write the name.
  public init(
    experiment: String, folder: String, program: String, workerArguments: [String],
    collectArguments: [String], openRuns: Int, options: Options
  ) throws {
    // A directive is one line, and a backslash in it turns off what stands for the job's number.
    if folder.unicodeScalars.contains(where: { $0.value < 32 || $0 == "\\" }) {
      throw InputError(
        "has a backslash or control character, which Slurm does not take in the name of a log",
        key: "--results", value: folder, advice: "Choose another folder of results")
    }
    self.experiment = experiment
    self.folder = folder
    self.program = program
    self.workerArguments = workerArguments
    self.collectArguments = collectArguments
    self.openRuns = openRuns
    self.options = options
  }

  /// Tasks of all arrays together.
  public var tasks: Int { (openRuns + options.runsPerTask - 1) / options.runsPerTask }

  /// One script for each array.
  public var arrays: [Script] {
    stride(from: 0, to: tasks, by: options.maximumArray).enumerated().map { number, offset in
      let count = min(options.maximumArray, tasks - offset)
      let arguments =
        workerArguments + ["--max-runs", String(options.runsPerTask), "--lease", lease]
      let command =
        "\(words([program] + arguments)) --part \"$((\(offset) + SLURM_ARRAY_TASK_ID))/\(tasks)\""
      return Script(
        name: "workers-\(number + 1).sh",
        text: header(job: "veclab-\(experiment)", log: "%A_%a.log", lines: ["--array=1-\(count)"])
          + workerLoop(command) + "exit \"$code\"\n")
    }
  }

  /// The job that ends the sweep: it does what the arrays have left and makes the figures.
  ///
  /// It waits with `afterany`: with `afterok` one failed task would let it wait for ever.
  public func collector(after jobs: [String]) -> Script {
    let worker = words([program] + workerArguments + ["--wait", "--lease", lease])
    return Script(
      name: "collect.sh",
      text: header(
        job: "veclab-\(experiment)-collect", log: "collect-%j.log",
        lines: ["--dependency=afterany:\(jobs.joined(separator: ":"))"])
        + workerLoop(worker)
          + """
          [ "$stop" ] && exit "$code"
          exec \(words([program] + collectArguments))

          """)
  }

  private var lease: String { String(options.lease) }

  private func header(job: String, log: String, lines: [String]) -> String {
    var settings =
      [
        "--job-name=\(job)", "--output=\(logPath(log))", "--open-mode=append", "--requeue",
        "--ntasks=1", "--cpus-per-task=1", "--signal=B:USR1@60",
      ] + lines
    settings += options.partition.map { ["--partition=\($0)"] } ?? []
    settings += options.time.map { ["--time=\($0)"] } ?? []
    settings += options.memory.map { ["--mem=\($0)"] } ?? []
    settings += options.extra
    return "#!/bin/bash\n" + settings.map { "#SBATCH \($0)\n" }.joined()
  }

  /// A log's path as a directive has it: in quotation marks, since a name may hold spaces and `#`, and with the
  /// folder's own `%` told from those that stand for the job's number.
  private func logPath(_ log: String) -> String {
    let name = folder.replacing("%", with: "%%").replacing("\"", with: "\\\"")
    return "\"\(name)/\(log)\""
  }

  /// Keeps a worker going in a task: starts it again after a crash, passes signals on, asks for another turn when
  /// the time limit is near.
  private func workerLoop(_ command: String) -> String {
    """

    # USR1: the time limit is near (--signal above). TERM: cancelled, or another job comes first.
    stop=
    trap 'stop=time; kill -TERM "$worker" 2>/dev/null' USR1
    trap 'stop=cancelled; kill -TERM "$worker" 2>/dev/null' TERM
    for try in $(seq 20); do
      \(command) </dev/null &
      worker=$!
      wait "$worker"
      code=$?
      # A signal ends the first wait; the worker is still saving its checkpoint.
      while kill -0 "$worker" 2>/dev/null; do
        wait "$worker"
        code=$?
      done
      [ "$stop" ] && break
      case $code in 0 | \(WorkerExit.usage.rawValue) | \(WorkerExit.storage.rawValue)) break ;; esac
      echo "the worker ended with code $code; starting another one (try $try)"
      sleep 1
    done
    if [ "$stop" = time ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 200 ]; then
      echo "time is up; asking for another turn"
      scontrol requeue "$SLURM_JOB_ID"
    fi

    """
  }

  /// Words for a shell, quoted where needed.
  private func words(_ words: [String]) -> String {
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

  /// Writes the scripts and hands them to `sbatch`.
  ///
  /// - Returns: the numbers of the jobs, the collector's last.
  /// - Throws: `InputError` with what `sbatch` says.
  public func submit() async throws -> [String] {
    try Files.makeFolder(folder)
    var jobs: [String] = []
    for script in arrays { jobs.append(try await submit(script)) }
    jobs.append(try await submit(collector(after: jobs)))
    let known = Files.exists(jobsFile) ? try Files.readText(jobsFile) : ""
    try Files.writeAtomically(known + jobs.map { $0 + "\n" }.joined(), to: jobsFile)
    return jobs
  }

  private var jobsFile: String { folder + "/" + SlurmJobs.fileName }

  private func submit(_ script: Script) async throws -> String {
    let path = folder + "/" + script.name
    try Files.writeAtomically(script.text, to: path)
    let advice = "The script is \(path); 'veclab submit --dry-run' prints it"
    do {
      let result = try await Subprocess.run(
        .name("sbatch"), arguments: ["--parsable", path], output: .string(limit: 10_000),
        error: .string(limit: 10_000))
      let answer = result.standardOutput.prefix { $0.isNumber }
      guard result.terminationStatus.isSuccess, !answer.isEmpty else {
        throw InputError(
          "sbatch refused a script: \(result.standardError.split(separator: "\n").joined(separator: "; "))",
          file: path, advice: advice)
      }
      return String(answer)
    } catch let error as SubprocessError {
      throw InputError("cannot run sbatch: \(error)", advice: advice)
    }
  }
}

/// What Slurm says about the jobs of a sweep: a supplement, the ledger tells the truth.
public enum SlurmJobs {
  static let fileName = "jobs"

  /// Counts by state of a sweep's jobs, e.g. `RUNNING 2, PENDING 14`; nil when there are none or Slurm is silent.
  public static func states(folder: String) async -> String? {
    guard let text = try? Files.readText("\(folder)/slurm/\(fileName)") else { return nil }
    let jobs = text.split(separator: "\n").joined(separator: ",")
    guard !jobs.isEmpty,
      let result = try? await Subprocess.run(
        .name("timeout"),
        arguments: ["3", "squeue", "-h", "-r", "-t", "all", "-o", "%T", "-j", jobs],
        output: .string(limit: 4_000_000), error: .discarded),
      result.terminationStatus.isSuccess
    else { return nil }
    var counts: [String: Int] = [:]
    for state in result.standardOutput.split(separator: "\n") {
      counts[String(state), default: 0] += 1
    }
    if counts.isEmpty { return nil }
    return counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
      .joined(separator: ", ")
  }
}
