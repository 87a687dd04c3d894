internal import Runs
internal import Support

/// Finds runs by what people have of them: a folder, or the first digits of an identity.
public enum RunName {
  /// Candidates that an error names.
  private static let maximumNamed = 8

  /// A run that is there.
  private struct Found {
    let id: String
    let ledger: RunLedger
  }

  /// The folder of the run that is meant.
  ///
  /// - Parameters:
  ///   - name: a run's folder; the beginning of its identity; or a path that ends in one, in a folder of runs.
  ///   - results: folder of all results, in which a run without a path is looked for.
  ///   - file: what the results of runs hold that are named when none is meant, e.g. `policy.bin`.
  /// - Throws: `InputError` that names the candidates when no run or more than one begins so.
  public static func folder(of name: String, results: String, holding file: String) throws -> String
  {
    if Files.exists(name) { return name }
    let digits = Files.name(of: name).lowercased()
    guard !digits.isEmpty, digits.utf8.count <= 64, digits.allSatisfy(\.isHexDigit) else {
      throw InputError(
        "is neither a folder nor the digits of a run's id", file: name,
        advice: "'veclab status' and 'veclab plan' print the ids of runs")
    }
    let place = name.contains("/") ? Files.folder(of: name) : results
    let runs = try name.contains("/") ? runs(in: place) : runs(ofAll: place)
    let matching = runs.filter { $0.id.hasPrefix(digits) }
    let ids = Set(matching.map(\.id))
    guard ids.count == 1, let first = matching.first else {
      let suitable = runs.filter {
        $0.ledger.isComplete($0.id) && Files.exists($0.ledger.resultFolder($0.id) + "/" + file)
      }
      throw InputError(
        ids.isEmpty ? "no run begins with these digits" : "several runs begin with these digits",
        file: place, key: "run", value: digits,
        advice: try advice(ids.isEmpty ? suitable : matching, isAmbiguous: !ids.isEmpty))
    }
    // Experiments may have a run in common.
    let best = matching.first { $0.ledger.isComplete($0.id) } ?? first
    guard best.ledger.isComplete(best.id) else {
      throw InputError(
        "the run \(try described([best]))is not done", file: best.ledger.runFolder(best.id),
        advice: "'veclab status \(best.ledger.folder)' shows where it stands")
    }
    return best.ledger.runFolder(best.id)
  }

  /// Runs of one experiment, by its folder `runs`.
  private static func runs(in folder: String) throws -> [Found] {
    guard Files.isFolder(folder), Files.name(of: folder) == "runs" else {
      throw InputError("is not a folder of runs", file: folder, advice: "Check the path")
    }
    let ledger = RunLedger(folder: Files.folder(of: folder))
    return try Files.list(folder).filter { $0.utf8.count == 64 }.map {
      Found(id: $0, ledger: ledger)
    }
  }

  /// Runs of every experiment in a folder of results.
  private static func runs(ofAll results: String) throws -> [Found] {
    guard Files.isFolder(results) else {
      throw InputError(
        "no such folder to look for a run in", file: results,
        advice: "Name the folder of all results with --results")
    }
    return try Files.list(results).map { "\(results)/\($0)/runs" }.filter(Files.isFolder)
      .flatMap { try runs(in: $0) }
  }

  private static func advice(_ runs: [Found], isAmbiguous: Bool) throws -> String {
    if runs.isEmpty { return "No finished run here would do" }
    return (isAmbiguous ? "Give more digits: " : "There are ") + (try described(runs)).dropLast()
  }

  /// `0123456789ab (algorithm=rtd, seed=1), …`, with a space at the end.
  private static func described(_ runs: [Found]) throws -> String {
    var labels: [String: String] = [:]
    for folder in Set(runs.map(\.ledger.folder)) {
      for entry in try SweepIndex.all(folder: folder) { labels[entry.run] = entry.label }
    }
    var seen: Set<String> = []
    let different = runs.filter { seen.insert($0.id).inserted }
    let digits = distinguishing(different.map(\.id))
    let shown = different.prefix(maximumNamed).map { run in
      run.id.prefix(digits) + (labels[run.id].map { " (\($0))" } ?? "")
    }
    let rest = different.count - shown.count
    return shown.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "") + " "
  }

  /// As many digits as tell all of some identities apart, at least 12.
  private static func distinguishing(_ ids: [String]) -> Int {
    var digits = 12
    while digits < 64, Set(ids.map { $0.prefix(digits) }).count < ids.count { digits += 1 }
    return digits
  }
}
