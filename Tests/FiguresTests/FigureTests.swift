import Support
import Testing

@testable import Figures
@testable import Plan
@testable import Runs
@testable import TestSupport

@Suite struct FigureTests {
  /// Results made by hand: a run is worth 10 clients + V + seed^2, one more for `constant`.
  static func value(_ run: RunSpecification) -> Double {
    let parameters = run.document["parameters"]
    func number(_ key: String) -> Double { parameters?[key]?.numberValue ?? .nan }
    let isConstant = run.document["algorithm"]?.textValue == "constant"
    return 10 * number("clients") + number("V") + number("seed") * number("seed")
      + (isConstant ? 1 : 0)
  }

  static func publish(
    _ place: Workplace, _ plan: Plan, _ indices: [Int],
    rows: (Double) -> [(phase: String, episode: Int, value: Double)]
  ) throws {
    for index in indices {
      let run = plan.runs[index].specification
      let folder = "\(place.results)/test/runs/\(run.id)/result"
      try Files.makeFolder(folder)
      var table = CSVWriter(columns: [
        "episode", "phase", "window_start_s", "return", "mean_delay_s", "epsilon", "loss",
      ])
      for row in rows(value(run)) {
        table.append([
          .integer(row.episode), .text(row.phase), .number(0), .number(-row.value),
          .number(row.value), .missing, .missing,
        ])
      }
      try Files.writeAtomically(table.bytes, to: folder + "/episodes.csv")
      try Files.writeAtomically("{}", to: folder + "/manifest.json")
    }
  }

  /// Two evaluation episodes, one below and one above the run's value, after a training one that must not count.
  static func evaluation(_ value: Double) -> [(phase: String, episode: Int, value: Double)] {
    [("train", 1, 1000), ("eval", 1, value - 0.5), ("eval", 2, value + 0.5)]
  }

  static let sweep = """
    grid:
      product: {clients: [4, 3], algorithm: [zero, constant], V: [2, 4]}
      seeds: 3
    figures:
      - {id: f, x: clients, y: mean_delay_s, reference: zero, claims: [
          {series: zero, against: constant, x: 3, improvement: 2.4},
          {series: zero, against: constant, x: 3, improvement: 5},
          {series: constant, against: zero, x: 3, improvement: 1}]}

    """

  static func figures(
    _ place: Workplace, _ text: String = sweep, allowPartial: Bool = false
  ) throws -> [String] {
    let experiment = try place.experiment(text)
    var files = FigureFiles(
      experiment, plan: try Plan(experiment, results: place.results), results: place.results,
      store: ResultFolders(experimentFolder: place.results + "/test"))
    let outcome = try files.write(allowPartial: allowPartial)
    if let problem = outcome.empty.first { throw problem }
    return outcome.paths
  }

  @Test func parametersThatAnIdentityImpliesAreKnownToFigures() throws {
    let place = try Workplace()
    let text = """
      grid: {product: {clients: [4, 3], algorithm: [zero], detour: [0, 1]}, seeds: 2}
      figures:
        - {id: f, x: detour, series: [clients, detour], y: mean_delay_s, filter: {detour: 0}}
        - {id: g, x: clients, series: [algorithm, detour], y: mean_delay_s}

      """
    let plan = try place.plan(text)
    try FigureTests.publish(place, plan, Array(plan.runs.indices), rows: FigureTests.evaluation)
    let paths = try FigureTests.figures(place, text)
    #expect(try CSVTable(path: paths[0]).texts("series") == ["4 detour=0", "3 detour=0"])
    #expect(
      try Set(CSVTable(path: paths[1]).texts("series")) == ["zero detour=0", "zero detour=1"])
  }

  @Test func runsThatAreOlderThanAColumnAreNamed() throws {
    let place = try Workplace()
    let plan = try place.plan(FigureTests.sweep)
    try FigureTests.publish(place, plan, Array(plan.runs.indices), rows: FigureTests.evaluation)
    for run in plan.runs[..<2] {
      let path = "\(place.results)/test/runs/\(run.specification.id)/result/episodes.csv"
      let text = try Files.readText(path)
      try Files.writeAtomically(
        text.replacing("mean_delay_s", with: "old_delay_s"), to: path)
    }
    let file = place.path("test.yaml")
    let says = sentence { _ = try FigureTests.figures(place) }
    let expected =
      "\(file):8:5: figures[1]: 2 of the runs of figure 'f' lack 'mean_delay_s' in episodes.csv, which is younger than "
      + "they are (clients=4 algorithm=zero V=2 seed=1; …). 'veclab run \(file) --evaluate-again' adds it without "
      + "training, --allow-partial leaves them out."
    #expect(says == expected)
    let table = try CSVTable(path: FigureTests.figures(place, allowPartial: true)[0])
    #expect(try table.texts("complete").contains("false"))
  }

  @Test func statisticsAreThoseOfSeedMeans() throws {
    let place = try Workplace()
    let plan = try place.plan(FigureTests.sweep)
    try FigureTests.publish(place, plan, Array(plan.runs.indices), rows: FigureTests.evaluation)
    let paths = try FigureTests.figures(place)
    #expect(paths.map { Files.name(of: $0) } == ["f.csv", "f-paired.csv", "f-claims.csv"])
    let table = try CSVTable(path: paths[0])
    #expect(
      table.columns == [
        "figure", "series", "x", "metric", "n_seeds", "mean", "ci95_low", "ci95_high", "iqm",
        "iqm_low", "iqm_high", "pooled_over", "complete", "x_name", "series_name", "load",
        "algorithm",
      ])
    #expect(try table.texts("algorithm") == table.texts("series"))
    #expect(Set(try table.texts("series_name")) == ["algorithm"])
    #expect(Set(try table.texts("load")) == [""])
    // The file's order: clients 4 before 3.
    #expect(try table.texts("series") == ["zero", "zero", "constant", "constant"])
    #expect(try table.texts("x") == ["4", "3", "4", "3"])
    #expect(Set(try table.texts("pooled_over")) == ["V"])
    #expect(Set(try table.texts("complete")) == ["true"])
    #expect(try table.numbers("n_seeds") == [3, 3, 3, 3])
    // zero at 4 clients: 40 + mean V 3 + seed^2 = 44, 47, 52; mean 143/3, s = sqrt(49/3), t(2) = 4.302653.
    let mean = 143.0 / 3
    let half = 4.302_652_729_911_275 * (49.0 / 3).squareRoot() / 3.0.squareRoot()
    #expect(abs(try table.numbers("mean")[0] - mean) < 1e-12)
    #expect(abs(try table.numbers("ci95_low")[0] - (mean - half)) < 1e-9)
    #expect(abs(try table.numbers("ci95_high")[0] - (mean + half)) < 1e-9)
    // Middle half of three values: weights 0.25, 1, 0.25.
    #expect(abs(try table.numbers("iqm")[0] - (0.25 * 44 + 47 + 0.25 * 52) / 1.5) < 1e-12)
    // One resample in 27 holds the least value alone, which is more than 2.5 %.
    #expect(abs(try table.numbers("iqm_low")[0] - 44) < 1e-9)
    #expect(abs(try table.numbers("iqm_high")[0] - 52) < 1e-9)

    let paired = try CSVTable(path: paths[1])
    #expect(try paired.texts("series") == ["constant", "constant"])
    #expect(try paired.texts("reference") == ["zero", "zero"])
    // The seeds' spread cancels out: the difference is 1 for each.
    #expect(try paired.numbers("mean_difference").allSatisfy { abs($0 - 1) < 1e-12 })
    #expect(try paired.numbers("ci95_low").allSatisfy { abs($0 - 1) < 1e-12 })
    let relative = [1.0 / 44, 1.0 / 47, 1.0 / 52].map { 100 * $0 }
    #expect(abs(try paired.numbers("relative_percent")[0] - Statistics.mean(relative)) < 1e-9)

    let claims = try CSVTable(path: paths[2])
    // At 3 clients: 34, 37, 42 against 35, 38, 43: 2.60 % on the mean, 2.30 to 2.86.
    let ours = [1.0 / 35, 1.0 / 38, 1.0 / 43].map { 100 * $0 }
    #expect(abs(try claims.numbers("ours_percent")[0] - Statistics.mean(ours)) < 1e-9)
    #expect(try claims.texts("direction") == ["reproduced", "reproduced", "not reproduced"])
    #expect(try claims.texts("size") == ["agrees", "ours is smaller", "ours is smaller"])
    #expect(try claims.numbers("published_percent") == [2.4, 5, 1])
  }

  @Test func bytesDoNotDependOnTheOrderOfCompletion() throws {
    var stream = RandomStream(seed: 11, .test)
    var expected: [String]?
    for round in 0..<3 {
      let place = try Workplace()
      let plan = try place.plan(FigureTests.sweep)
      try FigureTests.publish(
        place, plan, stream.sample(plan.runs.count, of: plan.runs.count),
        rows: FigureTests.evaluation)
      let texts = try FigureTests.figures(place).map { try Files.readText($0) }
      if let expected { #expect(texts == expected, "round \(round)") } else { expected = texts }
    }
  }

  @Test func incompleteGridsAreRefusedOrMarked() throws {
    let place = try Workplace()
    let plan = try place.plan(FigureTests.sweep)
    // Without seed 2 of zero at 4 clients and both V.
    let missing = plan.runs.indices.filter {
      plan.runs[$0].label.hasPrefix("clients=4 algorithm=zero")
        && plan.runs[$0].label.hasSuffix("seed=2")
    }
    try FigureTests.publish(
      place, plan, plan.runs.indices.filter { !missing.contains($0) }, rows: FigureTests.evaluation)
    #expect(
      sentence { _ = try FigureTests.figures(place) }
        == "\(place.path("test.yaml")): 2 of 24 runs are not done (clients=4 algorithm=zero V=2 "
        + "seed=2; clients=4 algorithm=zero V=4 seed=2). Run them with 'veclab run', or give "
        + "--allow-partial to see what there is.")
    #expect(!Files.exists(place.results + "/test/figures"))
    let paths = try FigureTests.figures(place, allowPartial: true)
    let table = try CSVTable(path: paths[0])
    #expect(try table.texts("complete") == ["false", "true", "true", "true"])
    #expect(try table.numbers("n_seeds") == [2, 3, 3, 3])
    #expect(try table.numbers("mean")[0] == 48)
    let paired = try CSVTable(path: paths[1])
    #expect(try paired.numbers("n_pairs") == [2, 3])
    #expect(try paired.texts("complete") == ["false", "true"])
  }

  @Test func curvesAreSmoothedPerRunThenAveraged() throws {
    let place = try Workplace()
    let text = """
      grid: {product: {algorithm: [learner]}, seeds: 2}
      figures:
        - {id: raw, x: episode, y: mean_delay_s, phase: train}
        - {id: smooth, x: episode, y: mean_delay_s, phase: train, smooth: 2, every: 2}

      """
    let plan = try place.plan(text)
    // Seed 1 is worth 41, seed 2 is worth 44; episode e adds e^2.
    try FigureTests.publish(place, plan, [0, 1]) { value in
      (1...5).map { ("train", $0, value + Double($0 * $0)) } + [("eval", 1, 0)]
    }
    let paths = try FigureTests.figures(place, text)
    let raw = try CSVTable(path: paths[0])
    #expect(try raw.texts("x") == ["1", "2", "3", "4", "5"])
    #expect(try raw.numbers("mean") == [43.5, 46.5, 51.5, 58.5, 67.5])
    let smooth = try CSVTable(path: paths[1])
    #expect(try smooth.texts("x") == ["1", "2", "4"])
    #expect(try smooth.numbers("mean") == [43.5, 45, 55])
    #expect(Set(try smooth.texts("x_name")) == ["episode"])
  }

  @Test func seriesMayBeColumnsOfAnotherTable() throws {
    let place = try Workplace()
    let text = """
      parameters: {episodes: 3, evaluationEpisodes: 2}
      grid: {product: {algorithm: [learner]}, seeds: 2}
      figures:
        - {id: q, x: episode, series: queue, source: backlogs.csv, y: backlog_gflop, phase: train}
        - {id: rsu, x: episode, series: [algorithm, queue], source: backlogs.csv, y: backlog_gflop,
           filter: {queue: "rsu:vgg16"}}
        - {id: time, x: clients, source: timing.csv, y: decisions}

      """
    let plan = try place.plan(text)
    try place.execute(plan)
    let paths = try FigureTests.figures(place, text)
    let queues = try CSVTable(path: paths[0])
    #expect(
      try zip(queues.texts("series"), queues.texts("x")).map { "\($0) \($1)" } == [
        "client:1 1", "client:1 2", "client:1 3", "rsu:vgg16 1", "rsu:vgg16 2", "rsu:vgg16 3",
      ])
    let means = try queues.numbers("mean")
    for i in 0..<3 { #expect(abs(means[3 + i] - 2 * means[i]) < 1e-12) }
    #expect(Set(try CSVTable(path: paths[1]).texts("series")) == ["learner queue=rsu:vgg16"])
    #expect(try CSVTable(path: paths[2]).numbers("mean") == [4])
    // A missing run leaves the names of its series unknown: every row may lack something.
    try Files.remove("\(place.results)/test/runs/\(plan.runs[1].specification.id)")
    let partial = try FigureTests.figures(place, text, allowPartial: true)
    #expect(Set(try CSVTable(path: partial[0]).texts("complete")) == ["false"])
  }

  @Test func aSeriesThatAParameterDoesNotTouchIsDrawnAtEachOfItsValues() throws {
    let place = try Workplace()
    let text = """
      grid: {product: {algorithm: [zero, constant], decision: [1, 2, 3]}, seeds: 2}
      figures:
        - {id: flat, x: decision, y: mean_delay_s}
        - {id: two, x: clients, series: [algorithm, decision], y: mean_delay_s}

      """
    let plan = try place.plan(text)
    #expect(plan.runs.count == 2 + 6)
    try place.execute(plan)
    let paths = try FigureTests.figures(place, text)
    let flat = try CSVTable(path: paths[0])
    #expect(
      try flat.texts("series") == ["zero", "zero", "zero", "constant", "constant", "constant"])
    #expect(try flat.numbers("n_seeds") == [2, 2, 2, 2, 2, 2])
    #expect(Set(try flat.texts("mean").prefix(3)).count == 1)
    #expect(Set(try flat.texts("pooled_over")) == [""])
    let two = try CSVTable(path: paths[1])
    #expect(
      try two.texts("series") == [
        "zero", "constant decision=1", "constant decision=2", "constant decision=3",
      ])
    #expect(Set(try two.texts("pooled_over")) == [""])
  }

  @Test func aRunThatRecordedServesWhereNothingWasToBeRecorded() throws {
    let place = try Workplace()
    let text = """
      grid: {product: {algorithm: [zero]}, seeds: 2}
      figures: [{id: f, x: clients, y: mean_delay_s}]

      """
    try place.execute(try place.plan(text, record: ["slots"]))
    #expect(try CSVTable(path: FigureTests.figures(place, text)[0]).rows.count == 1)
  }

  @Test func figuresWithoutRowsAreErrorsAndDoNotHinderTheOthers() throws {
    let place = try Workplace()
    let text = """
      grid: {product: {algorithm: [zero]}, seeds: 2}
      figures:
        - {id: none, x: clients, y: mean_delay_s, filter: {episode: 99}}
        - {id: step, x: clients, y: mean_train_step_s, source: timing.csv}
        - {id: good, x: clients, y: mean_delay_s}

      """
    try place.execute(try place.plan(text))
    let experiment = try place.experiment(text)
    var files = FigureFiles(
      experiment, plan: try Plan(experiment, results: place.results), results: place.results,
      store: ResultFolders(experimentFolder: place.results + "/test"))
    let outcome = try files.write(allowPartial: false)
    #expect(outcome.paths.map { Files.name(of: $0) } == ["good.csv"])
    #expect(try Files.list(place.results + "/test/figures") == ["good.csv", "good.json"])
    let advice = "Change its 'phase', 'filter', 'source' or 'y', or take it out."
    #expect(
      outcome.empty.map(\.description) == [
        "\(place.path("test.yaml")):6:5: figures[1]: the figure 'none' has no row of "
          + "'mean_delay_s' and was not written: no row of episodes.csv passes the filter of "
          + "'episode'. \(advice)",
        "\(place.path("test.yaml")):7:5: figures[2]: the figure 'step' has no row of "
          + "'mean_train_step_s' and was not written: timing.csv of its runs has no value of "
          + "'mean_train_step_s' in rows of the phase 'eval'. \(advice)",
      ])
  }

  /// Two seeds of three have a value at 4 clients, none at 3.
  @Test func seedsWithoutAValueMakeACellIncomplete() throws {
    let place = try Workplace()
    let text = """
      grid: {product: {clients: [4, 3], algorithm: [zero]}, seeds: 3}
      figures: [{id: f, x: clients, y: mean_delay_s}]

      """
    let plan = try place.plan(text)
    try FigureTests.publish(place, plan, Array(plan.runs.indices), rows: FigureTests.evaluation)
    for index in [1, 3, 4, 5] {
      let path =
        "\(place.results)/test/runs/\(plan.runs[index].specification.id)/result/episodes.csv"
      let table = try CSVTable(path: path)
      let column = try #require(table.columns.firstIndex(of: "mean_delay_s"))
      let lines =
        [table.columns]
        + table.rows.map { row in
          row.enumerated().map { $0.offset == column ? "" : $0.element }
        }
      try Files.writeAtomically(lines.map { $0.joined(separator: ",") + "\n" }.joined(), to: path)
    }
    let experiment = try place.experiment(text)
    var files = FigureFiles(
      experiment, plan: plan, results: place.results,
      store: ResultFolders(experimentFolder: place.results + "/test"))
    let outcome = try files.write(allowPartial: false)
    let figure = try CSVTable(path: outcome.paths[0])
    #expect(try figure.texts("x") == ["4"])
    #expect(try figure.texts("complete") == ["false"])
    #expect(try figure.numbers("n_seeds") == [2])
    #expect(
      outcome.notes == [
        "figure 'f' has no row of 'mean_delay_s' for zero at clients = 3: no episode of these runs has a value of it"
      ])
  }

  @Test func figuresOfAnotherFileOfTheSameNameAreKept() throws {
    let place = try Workplace()
    let text = """
      grid: {product: {algorithm: [zero]}, seeds: 2}
      figures: [{id: f, x: clients, y: mean_delay_s}]

      """
    try place.execute(try place.plan(text))
    let other = try place.write("other.yaml", try Files.readText(place.path("test.yaml")))
    func write(_ file: String, replaces: Bool = false) throws -> [String] {
      let experiment = try place.experiment(text)
      var files = FigureFiles(
        experiment, plan: try Plan(experiment, results: place.results), results: place.results,
        store: ResultFolders(experimentFolder: place.results + "/test"),
        origin: PlanOrigin(file: file, only: ["clients=5"]))
      return try files.write(allowPartial: false, replacesOthers: replaces).paths
    }
    _ = try write(place.path("test.yaml"))
    _ = try write(place.path("test.yaml"))
    let description = try JSONValue(path: place.results + "/test/figures/f.json")
    #expect(description["origin"]?["file"]?.textValue == place.path("test.yaml"))
    #expect(description["origin"]?["only"] == .list([.text("clients=5")]))
    #expect(throws: InputError.self) { try write(other) }
    _ = try write(other, replaces: true)
    // A file that has been moved is no rival.
    try Files.remove(other)
    _ = try write(place.path("test.yaml"))
  }

  /// A wider interval makes no direction easier, and shows no size.
  @Test func directionAndSizeOfAClaimAreJudgedApart() {
    #expect(FigureFiles.direction((low: 1, high: 3), isMeasured: true) == "reproduced")
    #expect(FigureFiles.direction((low: -1, high: 50), isMeasured: true) == "not shown")
    #expect(FigureFiles.direction((low: -9, high: -1), isMeasured: true) == "not reproduced")
    #expect(FigureFiles.direction((low: 1, high: 3), isMeasured: false) == "not measured")
    #expect(FigureFiles.size((low: 15, high: 25), published: 20) == "agrees")
    #expect(FigureFiles.size((low: 1, high: 99), published: 20) == "too wide")
    #expect(FigureFiles.size((low: 1, high: 3), published: 20) == "ours is smaller")
    #expect(FigureFiles.size((low: 30, high: 40), published: 20) == "ours is larger")
  }

  @Test func damagedResultsAreNamedWithTheRemedy() throws {
    struct DamagedStore: RunStore {
      let folders: ResultFolders
      let damaged: String
      func isComplete(_ run: String) -> Bool { folders.isComplete(run) }
      func resultFolder(_ run: String) -> String { folders.resultFolder(run) }
      func verify(_ run: String) throws {
        if run == damaged { throw InputError("has been changed", file: "a.csv") }
      }
    }
    let place = try Workplace()
    let text = """
      grid: {product: {algorithm: [zero]}, seeds: 3}
      figures: [{id: f, x: clients, y: mean_delay_s}]

      """
    let plan = try place.plan(text)
    try place.execute(plan, order: [0, 1])
    let store = DamagedStore(
      folders: ResultFolders(experimentFolder: place.results + "/test"),
      damaged: plan.runs[1].specification.id)
    var files = FigureFiles(
      try place.experiment(text), plan: plan, results: place.results, store: store)
    let says =
      "a.csv: has been changed. 'veclab run \(place.path("test.yaml"))' sets it aside and runs it "
      + "again."
    #expect(sentence { _ = try files.write(allowPartial: false) } == says)
    let outcome = try files.write(allowPartial: true)
    #expect(outcome.missing.map(\.label) == plan.runs[1...].map(\.label))
    #expect(outcome.missing.map { $0.damage?.description } == [says, nil])
    #expect(try CSVTable(path: outcome.paths[0]).numbers("n_seeds") == [1])
  }

  @Test func profilesMayLeaveClaimsOut() throws {
    let place = try Workplace()
    let text =
      FigureTests.sweep + """
        profiles:
          paper: {}
          quick: {grid: {product: {clients: [4], algorithm: [zero]}, seeds: 1}}

        """
    let experiment = try place.experiment(text, profile: "quick")
    let plan = try Plan(experiment, results: place.results)
    try place.execute(plan)
    var files = FigureFiles(
      experiment, plan: plan, results: place.results,
      store: ResultFolders(experimentFolder: place.results + "/test"))
    let paths = try files.write(allowPartial: false).paths
    #expect(try CSVTable(path: paths[1]).rows.isEmpty)
    #expect(
      try CSVTable(path: paths[2]).texts("direction")
        == ["not measured", "not measured", "not measured"])
    // One seed: a mean without intervals.
    #expect(try CSVTable(path: paths[0]).texts("ci95_low") == [""])
  }

  @Test func quickBootstrapIsTheGeneralOne() {
    var stream = RandomStream(seed: 5, .test)
    var resampling = SeedResampling()
    for n in [2, 3, 5, 8, 13] {
      let values = (0..<n).map { _ in stream.normal() }.sorted()
      let quick = resampling.interval(ofSorted: values)
      let general = Statistics.bootstrapInterval(
        values, seed: 0, of: Statistics.interquartileMean)
      #expect(
        abs(quick.low - general.low) < 1e-12 && abs(quick.high - general.high) < 1e-12, "\(n)")
    }
  }
}
