public import Plan
internal import Simulation
public import Support

/// Writes the figure CSVs of an experiment.
public struct FigureFiles {
  private let experiment: Experiment
  private let plan: Plan
  private let store: any RunStore
  private let folder: String
  private let origin: PlanOrigin?
  private var loads: [Int: Double?] = [:]
  private var resampling = SeedResampling()

  /// - Parameters:
  ///   - plan: the experiment's plan.
  ///   - results: folder of all experiments' results.
  ///   - origin: where the plan comes from, for the description beside every figure.
  public init(
    _ experiment: Experiment, plan: Plan, results: String, store: any RunStore,
    origin: PlanOrigin? = nil
  ) {
    self.origin = origin
    self.experiment = experiment
    self.plan = plan
    self.store = store
    folder = "\(results)/\(experiment.name)/figures"
  }

  static let columns =
    ["figure", "series", "x", "metric"] + SeedStatistics.columns
    + ["pooled_over", "complete", "x_name", "series_name", "load"]

  static let pairedColumns = [
    "figure", "series", "x", "metric", "reference", "n_pairs", "mean_difference", "ci95_low",
    "ci95_high", "relative_percent", "relative_ci95_low", "relative_ci95_high", "pooled_over",
    "complete",
  ]

  static let claimColumns = [
    "figure", "series", "against", "x", "metric", "published_percent", "n_pairs", "ours_percent",
    "ci95_low", "ci95_high", "direction", "size", "complete",
  ]

  /// What `write` did.
  public struct Outcome {
    /// Files that were written.
    public internal(set) var paths: [String] = []
    /// Figures that were not written because nothing of the results belongs to them.
    public internal(set) var empty: [InputError] = []
    /// Sentences about places of a figure that have runs and no value.
    public internal(set) var notes: [String] = []
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
    /// Whether its attempts have ended for good.
    public let hasFailed: Bool
  }

  /// Writes `figures/<id>.csv`, with a reference `<id>-paired.csv`, with claims `<id>-claims.csv`, and `<id>.json`,
  /// which says what the figure was made from.
  ///
  /// - Parameters:
  ///   - allowPartial: takes the runs that are there and marks the rows that miss some; otherwise a missing run is an
  ///     error.
  ///   - replacesOthers: whether figures that another experiment file of the same name has made may be replaced.
  public mutating func write(allowPartial: Bool, replacesOthers: Bool = false) throws -> Outcome {
    var outcome = Outcome()
    if !replacesOthers { try refuseOthersFigures() }
    let published = try publishedRuns(allowPartial: allowPartial, missing: &outcome.missing)
    for figure in experiment.figures {
      var lacking: [LackingRun] = []
      let loads = try loads(of: published)
      let data = try FigureData(
        figure, plan: plan, model: experiment.model, load: { loads[$0] ?? nil },
        table: { run in
          guard let id = published[run] else { return nil }
          let path = "\(store.resultFolder(id))/\(figure.source.file)"
          let table =
            figure.source.isWrittenByEveryRun && !Files.exists(path)
            ? try CSVTable(text: "episode", file: path) : try CSVTable(path: path)
          let columns = figure.columns.filter { !table.columns.contains($0) }
          if columns.isEmpty { return try RunMeasures(table, figure: figure) }
          lacking.append(LackingRun(label: plan.runs[run].label, columns: columns))
          return nil
        })
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
      try Files.writeAtomically(
        description(figure, data).readable, to: "\(folder)/\(figure.id).json")
      outcome.notes += FigureFiles.notes(figure, data)
      if figure.reference != nil {
        try save(pairedTable(figure, data), FigureSpecification.pairedEnding)
      }
      if !figure.claims.isEmpty {
        try save(claimTable(figure, data), FigureSpecification.claimsEnding)
      }
    }
    return outcome
  }

  /// An earlier figure of the same name that another experiment file has made is not replaced without a word.
  private func refuseOthersFigures() throws {
    guard let origin else { return }
    for figure in experiment.figures {
      let path = "\(folder)/\(figure.id).json"
      guard Files.exists(path), let json = (try? JSONValue(path: path))?["origin"],
        let other = PlanOrigin(json: json), other.isRival(of: origin, experiment: experiment.name)
      else { continue }
      throw InputError(
        "the figure '\(figure.id)' in \(folder) was made from \(other.file), which has the same name",
        file: experiment.file, key: "experiment", value: experiment.name,
        advice: "Give one of the files another name, or say --replace")
    }
  }

  /// Offered work over capacity of every published run whose record tells.
  private mutating func loads(of published: [Int: String]) throws -> [Int: Double?] {
    for (run, id) in published where loads[run] == nil {
      let record = try? JSONValue(path: "\(store.resultFolder(id))/run.json")
      loads[run] = .some(record?["constants"]?["load"]?.numberValue)
    }
    return loads
  }

  /// What a figure was made from.
  private func description(_ figure: FigureSpecification, _ data: FigureData) -> JSONValue {
    func texts(_ values: [String]) -> JSONValue { .list(values.map { .text($0) }) }
    let filter =
      figure.filter.settings.map { ($0.key, texts($0.values)) }
      + figure.columnFilter.sorted { $0.key < $1.key }.map { ($0.key, texts($0.value)) }
    return .object([
      "figure": .text(figure.id), "title": .text(figure.title),
      "experiment": .text(experiment.name), "origin": origin?.json ?? .null,
      "profile": plan.profile.map { .text($0) } ?? .null,
      "plan": .text(plan.digest), "runs": .integer(plan.runs.count),
      "source": .text(figure.source.file),
      "phase": figure.phase.map { .text($0.rawValue) } ?? .null,
      "filter": .object(Dictionary(filter, uniquingKeysWith: { first, _ in first })),
      "x": .text(figure.x.name), "y": texts(figure.y), "series": texts(figure.series.map(\.name)),
      "reference": figure.reference.map { .text($0) } ?? .null,
      "smooth": .integer(figure.smooth), "every": .integer(figure.every),
      "style": .text(figure.style?.rawValue ?? "auto"),
    ])
  }

  /// Where runs are done and have no value to show, in a figure over a parameter.
  private static func notes(_ figure: FigureSpecification, _ data: FigureData) -> [String] {
    guard case .parameter(let key) = figure.x else { return [] }
    return figure.y.enumerated().compactMap { metric, name in
      let cells = data.valueless(metric: metric)
      if cells.isEmpty { return nil }
      let places = cells.prefix(3).map {
        "\(data.series[$0.series]) at \(key) = \(data.xs[$0.x].text)"
      }
      return "figure '\(figure.id)' has no row of '\(name)' for \(places.joined(separator: "; "))"
        + (cells.count > 3 ? "; and \(cells.count - 3) more" : "")
        + ": no episode of these runs has a value of it"
    }
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

  /// What helps where runs of an experiment file have failed, without a full stop.
  public static func adviceOnFailures(_ file: String) -> String {
    "'veclab status \(file)' says why, 'veclab run \(file) --retry failed' tries them again"
  }

  /// Identity of the published result of every run that has one; only results that verify count.
  private func publishedRuns(
    allowPartial: Bool, missing: inout [MissingRun]
  ) throws -> [Int: String] {
    var published: [Int: String] = [:]
    for (index, run) in plan.runs.enumerated() {
      guard let id = store.published(run.specification) else {
        missing.append(
          MissingRun(
            label: run.label, damage: nil, hasFailed: store.hasFailed(run.specification.id)))
        continue
      }
      do {
        try store.verify(id)
        published[index] = id
      } catch var error as InputError {
        error.advice = "'veclab run \(experiment.file)' sets it aside and runs it again"
        if !allowPartial { throw error }
        missing.append(MissingRun(label: run.label, damage: error, hasFailed: false))
      }
    }
    if !missing.isEmpty && !allowPartial {
      let failed = missing.count { $0.hasFailed }
      let labels = missing.prefix(3).map(\.label).joined(separator: "; ")
      throw InputError(
        "\(missing.count) of \(plan.runs.count) runs are not done (\(labels)"
          + (missing.count > 3 ? "; …)" : ")"),
        file: experiment.file,
        advice: failed > 0
          ? "\(failed) of them failed: \(FigureFiles.adviceOnFailures(experiment.file)), --allow-partial shows what "
            + "there is"
          : "Run them with 'veclab run', or give --allow-partial to see what there is")
    }
    return published
  }

  // MARK: Tables

  /// The figure's rows, and how many there are of each metric.
  mutating func table(
    _ figure: FigureSpecification, _ data: FigureData
  ) -> (csv: CSVWriter, rows: [Int]) {
    let keys = figure.series.map(\.name)
    // A key that is also the name of a column of every figure.
    let names = keys.map { FigureFiles.columns.contains($0) ? "series_\($0)" : $0 }
    var table = CSVWriter(columns: FigureFiles.columns + names)
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
                .text(data.pooledOver(cell)),
                .text(data.isComplete(cell, metric: metric) ? "true" : "false"),
                .text(figure.x.name), .text(keys.joined(separator: " ")), .number(data.load(cell)),
              ] + data.seriesValues[s].map { .text($0) })
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
          let isComplete =
            data.isComplete(cell, metric: metric) && data.isComplete(other, metric: metric)
          if pairs.isEmpty && data.isComplete(cell) && data.isComplete(other) { continue }
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
  /// better), with Student's 95 % interval. Direction and size are judged apart.
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
        isComplete =
          data.isComplete(cell, metric: metric) && data.isComplete(other, metric: metric)
        let sign = claim.lowerIsBetter ? -1.0 : 1.0
        improvements = FigureFiles.pairs(
          data.seeds(cell, metric: metric), data.seeds(other, metric: metric)
        )
        .map { sign * 100 * ($0.ours - $0.reference) / abs($0.reference) }
        .filter(\.isFinite)
      }
      let interval = Statistics.studentInterval(improvements)
      table.append([
        .text(figure.id), .text(claim.series), .text(claim.against), .text(claim.x),
        .text(claim.metric), .number(claim.improvementPercent), .integer(improvements.count),
        .number(Statistics.mean(improvements)), .number(interval.low), .number(interval.high),
        .text(FigureFiles.direction(interval, isMeasured: isComplete && improvements.count > 1)),
        .text(FigureFiles.size(interval, published: claim.improvementPercent)),
        .text(isComplete ? "true" : "false"),
      ])
    }
    return table
  }

  /// Whether an interval shows an improvement: `reproduced` when all of it is above 0, `not reproduced` when all of it
  /// is below, else `not shown`: a wider interval never makes it easier.
  static func direction(_ interval: (low: Double, high: Double), isMeasured: Bool) -> String {
    if !isMeasured || interval.low.isNaN { return "not measured" }
    if interval.low > 0 { return "reproduced" }
    return interval.high < 0 ? "not reproduced" : "not shown"
  }

  /// How a published improvement lies to ours: `agrees` only inside an interval whose half width is at most half of
  /// it, `too wide` inside a wider one.
  static func size(_ interval: (low: Double, high: Double), published: Double) -> String {
    if interval.low.isNaN { return "" }
    if published > interval.high { return "ours is smaller" }
    if published < interval.low { return "ours is larger" }
    return interval.high - interval.low <= abs(published) ? "agrees" : "too wide"
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
