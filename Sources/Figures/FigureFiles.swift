public import Plan
public import Support

/// Writes the figure CSVs of an experiment.
public struct FigureFiles {
  private let experiment: Experiment
  private let plan: Plan
  private let store: any RunStore
  private let folder: String
  private var resampling = SeedResampling()

  /// - Parameters:
  ///   - plan: the experiment's plan.
  ///   - results: folder of all experiments' results.
  public init(_ experiment: Experiment, plan: Plan, results: String, store: any RunStore) {
    self.experiment = experiment
    self.plan = plan
    self.store = store
    folder = "\(results)/\(experiment.name)/figures"
  }

  static let columns =
    ["figure", "series", "x", "metric"] + SeedStatistics.columns
    + ["pooled_over", "complete", "x_name"]

  static let pairedColumns = [
    "figure", "series", "x", "metric", "reference", "n_pairs", "mean_difference", "ci95_low",
    "ci95_high", "relative_percent", "relative_ci95_low", "relative_ci95_high", "pooled_over",
    "complete",
  ]

  static let claimColumns = [
    "figure", "series", "against", "x", "metric", "published_percent", "n_pairs", "ours_percent",
    "ci95_low", "ci95_high", "verdict",
  ]

  /// What `write` did.
  public struct Outcome {
    /// Files that were written.
    public internal(set) var paths: [String] = []
    /// Figures that were not written because nothing of the results belongs to them.
    public internal(set) var empty: [InputError] = []
    /// Runs without a whole result, which the files leave out.
    public internal(set) var missing: [MissingRun] = []
    /// Runs that some figure leaves out because they are older than a column that it shows.
    public internal(set) var lacking: [LackingRun] = []
  }

  /// A run that was published before the program wrote all columns of a figure.
  public struct LackingRun: Sendable, Equatable {
    public let label: String
    public let columns: [String]
  }

  /// A run whose result is not there, or not whole.
  public struct MissingRun {
    public let label: String
    /// What is wrong with the result; nil when there is none.
    public let damage: InputError?
  }

  /// Writes `figures/<id>.csv`, with a reference `<id>-paired.csv`, with claims `<id>-claims.csv`.
  ///
  /// - Parameter allowPartial: takes the runs that are there and marks the rows that miss some; otherwise a
  ///   missing run is an error.
  public mutating func write(allowPartial: Bool) throws -> Outcome {
    var outcome = Outcome()
    let published = try publishedRuns(allowPartial: allowPartial, missing: &outcome.missing)
    for figure in experiment.figures {
      var lacking: [LackingRun] = []
      let data = try FigureData(figure, plan: plan, model: experiment.model) { run in
        guard let id = published[run] else { return nil }
        let path = "\(store.resultFolder(id))/\(figure.source.file)"
        let table =
          figure.source.isWrittenByEveryRun && !Files.exists(path)
          ? try CSVTable(text: "episode", file: path) : try CSVTable(path: path)
        let columns = figure.columns.filter { !table.columns.contains($0) }
        if columns.isEmpty { return try RunMeasures(table, figure: figure) }
        lacking.append(LackingRun(label: plan.runs[run].label, columns: columns))
        return nil
      }
      if let first = lacking.first {
        if !allowPartial { throw lackError(figure, first, count: lacking.count) }
        outcome.lacking += lacking
      }
      let main = table(figure, data)
      if let problem = FigureFiles.emptiness(figure, data, main) {
        outcome.empty.append(problem)
        continue
      }
      try Files.makeFolder(folder)
      func save(_ table: CSVWriter, _ ending: String) throws {
        let path = "\(folder)/\(figure.id)\(ending).csv"
        try Files.writeAtomically(table.bytes, to: path)
        outcome.paths.append(path)
      }
      try save(main.csv, "")
      if figure.reference != nil {
        try save(pairedTable(figure, data), FigureSpecification.pairedEnding)
      }
      if !figure.claims.isEmpty {
        try save(claimTable(figure, data), FigureSpecification.claimsEnding)
      }
    }
    return outcome
  }

  private func lackError(
    _ figure: FigureSpecification, _ first: LackingRun, count: Int
  ) -> InputError {
    figure.location.error(
      "\(count) of the runs of figure '\(figure.id)' lack '\(first.columns.joined(separator: "', '"))' in "
        + "\(figure.source.file), which is younger than they are (\(first.label)"
        + (count > 1 ? "; …)" : ")"),
      advice:
        "'veclab run \(experiment.file) --evaluate-again' adds it without training, --allow-partial leaves "
        + "them out")
  }

  /// The error of a figure of which a metric has no row: a file without it would look whole.
  private static func emptiness(
    _ figure: FigureSpecification, _ data: FigureData, _ table: (csv: CSVWriter, rows: [Int])
  ) -> InputError? {
    guard let metric = table.rows.firstIndex(of: 0) else { return nil }
    return figure.location.error(
      "the figure '\(figure.id)' has no row of '\(figure.y[metric])' and was not written: "
        + data.causeOfEmptiness(figure, metric: metric),
      advice: "Change its 'phase', 'filter', 'source' or 'y', or take it out")
  }

  /// Identity of the published result of every run that has one; only results that verify count.
  private func publishedRuns(
    allowPartial: Bool, missing: inout [MissingRun]
  ) throws -> [Int: String] {
    var published: [Int: String] = [:]
    for (index, run) in plan.runs.enumerated() {
      guard let id = store.published(run.specification) else {
        missing.append(MissingRun(label: run.label, damage: nil))
        continue
      }
      do {
        try store.verify(id)
        published[index] = id
      } catch var error as InputError {
        error.advice = "'veclab run \(experiment.file)' sets it aside and runs it again"
        if !allowPartial { throw error }
        missing.append(MissingRun(label: run.label, damage: error))
      }
    }
    if !missing.isEmpty && !allowPartial {
      let labels = missing.prefix(3).map(\.label).joined(separator: "; ")
      throw InputError(
        "\(missing.count) of \(plan.runs.count) runs are not done (\(labels)"
          + (missing.count > 3 ? "; …)" : ")"),
        file: experiment.file,
        advice: "Run them with 'veclab run', or give --allow-partial to see what there is")
    }
    return published
  }

  // MARK: Tables

  /// The figure's rows, and how many there are of each metric.
  mutating func table(
    _ figure: FigureSpecification, _ data: FigureData
  ) -> (csv: CSVWriter, rows: [Int]) {
    var table = CSVWriter(columns: FigureFiles.columns)
    var rows = figure.y.map { _ in 0 }
    for (metric, name) in figure.y.enumerated() {
      for (s, series) in data.series.enumerated() {
        for (x, xValue) in data.xs.enumerated() {
          let cell = FigureData.Cell(series: s, x: x)
          let seeds = data.seeds(cell, metric: metric)
          if seeds.isEmpty && data.isComplete(cell) { continue }
          let statistics = SeedStatistics(Array(seeds.values), resampling: &resampling)
          rows[metric] += 1
          table.append(
            [.text(figure.id), .text(series), .text(xValue.text), .text(name)] + statistics.fields
              + [
                .text(data.pooledOver(cell)), .text(data.isComplete(cell) ? "true" : "false"),
                .text(figure.x.name),
              ])
        }
      }
    }
    return (table, rows)
  }

  /// Differences to the reference series, seed by seed: what the scenario does to both cancels out.
  func pairedTable(_ figure: FigureSpecification, _ data: FigureData) -> CSVWriter {
    var table = CSVWriter(columns: FigureFiles.pairedColumns)
    guard let name = figure.reference, let reference = data.series.firstIndex(of: name) else {
      return table
    }
    for (metric, metricName) in figure.y.enumerated() {
      for (s, series) in data.series.enumerated() where s != reference {
        for (x, xValue) in data.xs.enumerated() {
          let cell = FigureData.Cell(series: s, x: x)
          let other = FigureData.Cell(series: reference, x: x)
          let pairs = FigureFiles.pairs(
            data.seeds(cell, metric: metric), data.seeds(other, metric: metric))
          let isComplete = data.isComplete(cell) && data.isComplete(other)
          if pairs.isEmpty && isComplete { continue }
          let differences = pairs.map { $0.ours - $0.reference }
          let relative = pairs.map { 100 * ($0.ours - $0.reference) / abs($0.reference) }
            .filter(\.isFinite)
          let interval = Statistics.studentInterval(differences)
          let relativeInterval = Statistics.studentInterval(relative)
          table.append([
            .text(figure.id), .text(series), .text(xValue.text), .text(metricName), .text(name),
            .integer(pairs.count), .number(Statistics.mean(differences)), .number(interval.low),
            .number(interval.high), .number(Statistics.mean(relative)),
            .number(relativeInterval.low), .number(relativeInterval.high),
            .text(data.pooledOver(cell)), .text(isComplete ? "true" : "false"),
          ])
        }
      }
    }
    return table
  }

  /// Published improvements beside ours.
  ///
  /// Ours is the mean over seeds of 100 (against - series) / |against| (the other way round where more is
  /// better), with Student's 95 % interval. `reproduced`: the whole interval is above 0 and its upper end
  /// reaches the published number, so ours is an improvement and not significantly smaller than the published
  /// one. `not measured`: fewer than two seeds in common, or runs are missing. Else `not reproduced`.
  func claimTable(_ figure: FigureSpecification, _ data: FigureData) -> CSVWriter {
    var table = CSVWriter(columns: FigureFiles.claimColumns)
    for claim in figure.claims {
      var improvements: [Double] = []
      var isComplete = false
      if let s = data.series.firstIndex(of: claim.series),
        let r = data.series.firstIndex(of: claim.against),
        let x = data.xs.firstIndex(where: { $0.text == claim.x }),
        let metric = figure.y.firstIndex(of: claim.metric)
      {
        let cell = FigureData.Cell(series: s, x: x)
        let other = FigureData.Cell(series: r, x: x)
        isComplete = data.isComplete(cell) && data.isComplete(other)
        let sign = claim.lowerIsBetter ? -1.0 : 1.0
        improvements = FigureFiles.pairs(
          data.seeds(cell, metric: metric), data.seeds(other, metric: metric)
        )
        .map { sign * 100 * ($0.ours - $0.reference) / abs($0.reference) }
        .filter(\.isFinite)
      }
      let interval = Statistics.studentInterval(improvements)
      let verdict =
        if improvements.count < 2 || !isComplete {
          "not measured"
        } else if interval.low > 0 && interval.high >= claim.improvementPercent {
          "reproduced"
        } else {
          "not reproduced"
        }
      table.append([
        .text(figure.id), .text(claim.series), .text(claim.against), .text(claim.x),
        .text(claim.metric), .number(claim.improvementPercent), .integer(improvements.count),
        .number(Statistics.mean(improvements)), .number(interval.low), .number(interval.high),
        .text(verdict),
      ])
    }
    return table
  }

  /// Values of the seeds that both have, in the order of the seeds.
  private static func pairs(
    _ ours: [String: Double], _ reference: [String: Double]
  ) -> [(ours: Double, reference: Double)] {
    ours.keys.sorted().compactMap { seed in
      guard let a = ours[seed], let b = reference[seed] else { return nil }
      return (a, b)
    }
  }
}
