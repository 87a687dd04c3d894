internal import Subprocess
internal import Support

/// Slurm: array jobs of workers, and a job that collects.
///
/// Slurm may run a task twice, late, or not at all; the ledger stands all of it, so nothing here depends on
/// Slurm's word. Tasks run `veclab worker`, the same loop as on one's own machine.
public struct Slurm: Cluster {
  public static let name = "slurm"
  public static let title = "Slurm"

  public let work: ClusterWork

  /// - Throws: `InputError` for a folder of which Slurm cannot write the name.
  public init(_ work: ClusterWork) throws {
    // A directive is one line, and a backslash in it turns off what stands for the job's number.
    if work.folder.unicodeScalars.contains(where: { $0.value < 32 || $0 == "\\" }) {
      throw InputError(
        "has a backslash or control character, which Slurm does not take in the name of a log",
        key: "--results", value: work.folder, advice: "Choose another folder of results")
    }
    self.work = work
  }

  /// Minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM, D-HH:MM:SS, or no limit.
  private static var timeForm: Regex<Substring> {
    /(?:[0-9]+(?::[0-9]+){0,2}|[0-9]+-[0-9]+(?::[0-9]+){0,2}|UNLIMITED)/
  }

  public static func problem(with options: ClusterOptions) -> String? {
    if let partition = options.partition {
      let isWord =
        !partition.isEmpty
        && partition.allSatisfy { !$0.isWhitespace && !"\"'\\#".contains($0) }
      if !isWord { return "--partition must be a name without spaces, not '\(partition)'." }
    }
    if let time = options.time, time.wholeMatch(of: timeForm) == nil {
      return
        "--time must be minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS, not '\(time)'."
    }
    if let memory = options.memory, memory.wholeMatch(of: /[0-9]+[KMGTkmgt]?/) == nil {
      return "--memory must be a whole number of MiB, or one with K, M, G or T, not '\(memory)'."
    }
    for option in options.extra where !option.hasPrefix("-") || option.contains("\n") {
      return "--sbatch must be an option of sbatch, not '\(option)'."
    }
    return nil
  }

  /// One script for each array.
  public var workers: [ClusterScript] {
    stride(from: 0, to: work.tasks, by: work.options.maximumArray).enumerated().map {
      number, offset in
      let count = min(work.options.maximumArray, work.tasks - offset)
      let arguments =
        work.workerArguments + ["--max-runs", String(work.options.runsPerTask), "--lease", lease]
      let command =
        "\(ClusterScript.words([work.program] + arguments)) --part \"$((\(offset) + SLURM_ARRAY_TASK_ID))/\(work.tasks)\""
      return ClusterScript(
        name: "workers-\(number + 1).sh",
        text: header(
          job: "veclab-\(work.experiment)", log: "%A_%a.log", lines: ["--array=1-\(count)"])
          + workerLoop(command) + "exit \"$code\"\n")
    }
  }

  /// The job that ends the sweep: it does what the arrays have left and makes the figures.
  ///
  /// It waits with `afterany`: with `afterok` one failed task would let it wait for ever.
  public func collector(after jobs: [String]) -> ClusterScript {
    let worker = ClusterScript.words(
      [work.program] + work.workerArguments + ["--wait", "--lease", lease])
    return ClusterScript(
      name: "collect.sh",
      text: header(
        job: "veclab-\(work.experiment)-collect", log: "collect-%j.log",
        lines: ["--dependency=afterany:\(jobs.joined(separator: ":"))"])
        + workerLoop(worker)
          + """
          [ "$stop" ] && exit "$code"
          exec \(ClusterScript.words([work.program] + work.collectArguments))

          """)
  }

  private var lease: String { String(work.options.lease) }

  private func header(job: String, log: String, lines: [String]) -> String {
    var settings =
      [
        "--job-name=\(job)", "--output=\(logPath(log))", "--open-mode=append", "--requeue",
        "--ntasks=1", "--cpus-per-task=1", "--signal=B:USR1@60",
      ] + lines
    settings += work.options.partition.map { ["--partition=\($0)"] } ?? []
    settings += work.options.time.map { ["--time=\($0)"] } ?? []
    settings += work.options.memory.map { ["--mem=\($0)"] } ?? []
    settings += work.options.extra
    return "#!/bin/bash\n" + settings.map { "#SBATCH \($0)\n" }.joined()
  }

  /// A log's path as a directive has it: in quotation marks, since a name may hold spaces and `#`, and with the
  /// folder's own `%` told from those that stand for the job's number.
  private func logPath(_ log: String) -> String {
    let name = work.folder.replacing("%", with: "%%").replacing("\"", with: "\\\"")
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
      # The last task of an array has the array's own number as its job's, which would requeue all of them.
      scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
    fi

    """
  }

  public func submit(_ path: String) async throws -> String {
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

  public static func states(of jobs: [String]) async -> [String]? {
    guard
      let result = try? await Subprocess.run(
        .name("timeout"),
        arguments: [
          "3", "squeue", "-h", "-r", "-t", "all", "-o", "%T", "-j", jobs.joined(separator: ","),
        ],
        output: .string(limit: 4_000_000), error: .discarded),
      result.terminationStatus.isSuccess
    else { return nil }
    return result.standardOutput.split(separator: "\n").map(String.init)
  }
}
