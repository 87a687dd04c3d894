internal import Support

/// Where the results of runs are.
public protocol RunStore {
  /// Whether a run's result is published; a glance.
  func isComplete(_ run: String) -> Bool
  /// Folder of a run's published files.
  func resultFolder(_ run: String) -> String
  /// Reads a result's files and compares them with its manifest.
  ///
  /// - Throws: `InputError` when the result is not whole.
  func verify(_ run: String) throws
  /// Whether a run has ended for good without a result.
  func hasFailed(_ run: String) -> Bool
}

extension RunStore {
  public func hasFailed(_ run: String) -> Bool { false }
}

extension RunStore {
  /// Identity under which the result of a planned run is published, if it is.
  ///
  /// A run that also recorded its slots has the same other files, so it serves where no record was asked for.
  public func published(_ run: RunSpecification) -> String? {
    if isComplete(run.id) { return run.id }
    guard run.record.isEmpty else { return nil }
    let recorded = run.with(record: Experiment.recordWords).id
    return isComplete(recorded) ? recorded : nil
  }
}
