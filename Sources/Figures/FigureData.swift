internal import Plan
internal import Simulation
internal import Support

/// The numbers behind a figure: for every series and x the values of each seed.
struct FigureData {
  struct Cell: Hashable {
    let series: Int
    let x: Int
  }

  /// In the order of the experiment file.
  private(set) var series: [String] = []
  /// Of each series the value of every key that it is named by; empty where its runs do not know the key.
  private(set) var seriesValues: [[String]] = []
  private(set) var xs: [ParameterValue] = []
  /// Per cell and metric: the runs' values by seed.
  private var values: [Cell: [[String: [Double]]]] = [:]
  private var incomplete: Set<Cell> = []
  /// By metric: cells with a run that has no value of it.
  private var lacking: [Set<Cell>]
  /// Offered work over capacity of the runs of a cell.
  private var loads: [Cell: [Double]] = [:]
  /// Series of which a run is missing that would have told the values of x.
  private var incompleteSeries: Set<Int> = []
  private var pooled: [Cell: [String]] = [:]
  /// Whether a run is missing that would have told the names of the series.
  private var hasUnknownSeries = false
  private let metrics: Int
  private var passed = Passed()

  /// How much of the grid and of the tables each step let through, to say which one left a figure empty.
  private struct Passed {
    var points = 0
    var runs = 0
    var rows = 0
    var rowsOfPhase = 0
    var rowsOfFilter = 0
    var cells = 0
  }

  /// Collects the figure's numbers.
  ///
  /// - Parameter table: rows of a run's result, in the measures of the figure; nil for a run without result.
  ///   It is asked once for every run of the figure.
  /// - Parameter load: offered work over capacity of a run with a result, if it tells.
  init(
    _ figure: FigureSpecification, plan: Plan, model: AnyModel,
    load: (_ run: Int) -> Double? = { _ in nil },
    table: (_ run: Int) throws -> RunMeasures?
  ) throws {
    metrics = figure.y.count
    lacking = Array(repeating: [], count: figure.y.count)
    var seriesIndex: [String: Int] = [:]
    var xIndex: [String: Int] = [:]
    var measures: [Int: RunMeasures?] = [:]
    var used: Set<Member> = []
    var pooledValues: [Cell: [String: Set<String>]] = [:]
    let parameterSeries = figure.series.compactMap(\.parameterName)
    let free = plan.dimensions.filter { key in
      key != "seed" && !parameterSeries.contains(key) && figure.x != .parameter(key)
    }

    for point in plan.points {
      let view = PointView(point: point, plan: plan, model: model)
      guard figure.filter.holds(view.value) else { continue }
      passed.points += 1
      let fixedX: ParameterValue?
      if case .parameter(let key) = figure.x {
        // A series without a value of x has no place in the figure.
        guard let x = view.value(key) else { continue }
        fixedX = x
      } else {
        fixedX = nil
      }
      if measures[point.run] == nil { measures[point.run] = .some(try table(point.run)) }
      guard let found = measures[point.run] ?? nil else {
        noteMissing(view, figure, x: fixedX, &seriesIndex, &xIndex)
        continue
      }
      let seedText = plan.runs[point.run].specification.parameters["seed"]?.text ?? ""
      passed.runs += 1
      passed.rows += found.rowCounts.all
      passed.rowsOfPhase += found.rowCounts.ofPhase
      passed.rowsOfFilter += found.rowCounts.ofFilter
      for row in found.rows {
        guard let x = fixedX ?? row.x else { continue }
        let label = view.label(figure.series, columns: row.series)
        let cell = Cell(
          series: index(
            ofSeries: label, view.values(figure.series, columns: row.series), &seriesIndex),
          x: FigureData.index(of: x.text, x, in: &xIndex, &xs))
        passed.cells += 1
        guard used.insert(Member(cell: cell, run: point.run)).inserted else { continue }
        var columns = values[cell] ?? Array(repeating: [:], count: metrics)
        for (metric, value) in row.values.enumerated() {
          if value.isNaN {
            lacking[metric].insert(cell)
          } else {
            columns[metric][seedText, default: []].append(value)
          }
        }
        values[cell] = columns
        if let load = load(point.run) { loads[cell, default: []].append(load) }
        for key in free {
          guard let value = view.relevant(key) else { continue }
          pooledValues[cell, default: [:]][key, default: []].insert(value.text)
        }
      }
    }
    for (cell, sets) in pooledValues {
      pooled[cell] = free.filter { (sets[$0]?.count ?? 0) > 1 }
    }
  }

  /// Why no row of the figure has a value of a metric.
  func causeOfEmptiness(_ figure: FigureSpecification, metric: Int) -> String {
    let file = figure.source.file
    if passed.points == 0 { return "'filter' leaves no point of the grid" }
    if passed.runs == 0, hasUnknownSeries || !incomplete.isEmpty || !incompleteSeries.isEmpty {
      return "none of its runs is done"
    }
    if passed.runs == 0 { return "no point of the grid has a value of '\(figure.x.name)'" }
    if passed.rows == 0 { return "\(file) of its runs has no row" }
    if passed.rowsOfPhase == 0, let phase = figure.phase {
      return "\(file) of its runs has no row of the phase '\(phase.rawValue)'"
        + (phase == .train ? ": only learners train" : "")
    }
    if passed.rowsOfFilter == 0 {
      let columns = figure.columnFilter.keys.sorted().map { "'\($0)'" }.joined(separator: " and ")
      return "no row of \(file) passes the filter of \(columns)"
    }
    if passed.cells == 0 { return "no row of \(file) has a value of '\(figure.x.name)'" }
    let phase = figure.phase.map { " of the phase '\($0.rawValue)'" } ?? ""
    return "\(file) of its runs has no value of '\(figure.y[metric])' in rows\(phase)"
  }

  private mutating func noteMissing(
    _ view: PointView, _ figure: FigureSpecification, x: ParameterValue?,
    _ seriesIndex: inout [String: Int], _ xIndex: inout [String: Int]
  ) {
    guard figure.series.allSatisfy({ $0.parameterName != nil }) else {
      hasUnknownSeries = true
      return
    }
    let label = view.label(figure.series, columns: [])
    let s = index(ofSeries: label, view.values(figure.series, columns: []), &seriesIndex)
    if let x {
      let place = FigureData.index(of: x.text, x, in: &xIndex, &xs)
      incomplete.insert(Cell(series: s, x: place))
    } else {
      incompleteSeries.insert(s)
    }
  }

  private struct Member: Hashable {
    let cell: Cell
    let run: Int
  }

  private mutating func index(
    ofSeries label: String, _ values: [String], _ indices: inout [String: Int]
  ) -> Int {
    let place = FigureData.index(of: label, label, in: &indices, &series)
    if place == seriesValues.count { seriesValues.append(values) }
    return place
  }

  private static func index<Item>(
    of key: String, _ item: Item, in indices: inout [String: Int], _ items: inout [Item]
  ) -> Int {
    if let index = indices[key] { return index }
    indices[key] = items.count
    items.append(item)
    return items.count - 1
  }

  /// Mean of each seed's runs in a cell, by seed; empty when there is none.
  func seeds(_ cell: Cell, metric: Int) -> [String: Double] {
    (values[cell]?[metric] ?? [:]).mapValues(Statistics.mean)
  }

  /// Whether every run that belongs to a cell is there.
  func isComplete(_ cell: Cell) -> Bool {
    !hasUnknownSeries && !incompleteSeries.contains(cell.series) && !incomplete.contains(cell)
  }

  /// Whether every run that belongs to a cell is there and has a value of the metric.
  func isComplete(_ cell: Cell, metric: Int) -> Bool {
    isComplete(cell) && !lacking[metric].contains(cell)
  }

  /// Mean offered work over capacity of a cell's runs; NaN when none tells.
  func load(_ cell: Cell) -> Double { Statistics.mean(loads[cell] ?? []) }

  /// Cells whose runs are all there and have no value of a metric at all, in the figure's order.
  func valueless(metric: Int) -> [Cell] {
    series.indices.flatMap { s in xs.indices.map { Cell(series: s, x: $0) } }.filter {
      isComplete($0) && lacking[metric].contains($0) && seeds($0, metric: metric).isEmpty
    }
  }

  /// Dimensions besides the seed that a cell averages over.
  func pooledOver(_ cell: Cell) -> String { (pooled[cell] ?? []).joined(separator: " ") }
}

extension FigureSpecification {
  /// Columns of its source that it reads.
  var columns: [String] {
    var columns = y + columnFilter.keys.sorted()
    if phase != nil { columns.append("phase") }
    for case .column(let name) in series + [x] { columns.append(name) }
    return columns
  }
}

extension PointView {
  /// A point of a plan: what its run knows stands in the run's document.
  init(point: PlanPoint, plan: Plan, model: AnyModel) {
    let run = plan.runs[point.run].specification
    self.init(
      given: { point.values[$0] },
      relevant: { key in
        switch key {
        case "algorithm": .text(run.algorithm)
        case "trace", "variant": point.values[key]
        default: model.value(of: key, in: run)
        }
      })
  }

  /// Values of a series' keys, empty for those that the point's run does not know.
  func values(_ axes: [FigureSpecification.Axis], columns: [String]) -> [String] {
    var column = columns.makeIterator()
    return axes.map { axis in
      switch axis {
      case .parameter(let key): relevant(key)?.text ?? ""
      case .column: column.next() ?? ""
      }
    }
  }

  /// Name of a series, of which some parts are columns of the source.
  func label(_ axes: [FigureSpecification.Axis], columns: [String]) -> String {
    var parts: [String] = []
    var column = columns.makeIterator()
    for (i, axis) in axes.enumerated() {
      let value: String?
      switch axis {
      case .parameter(let key): value = relevant(key)?.text
      case .column: value = column.next()
      }
      guard let value else { continue }
      parts.append(i == 0 ? value : "\(axis.name)=\(value)")
    }
    return parts.isEmpty ? "all" : parts.joined(separator: " ")
  }
}

/// What a figure takes from one run's table: means over the rows of equal series and x.
struct RunMeasures {
  struct Row {
    /// Values of the series' columns.
    let series: [String]
    /// Value of x if that is a column.
    let x: ParameterValue?
    /// One for each metric; NaN where the table has none.
    let values: [Double]
  }
  let rows: [Row]
  /// Rows of the table, those of them in the figure's phase, and those of these that pass its filter.
  let rowCounts: (all: Int, ofPhase: Int, ofFilter: Int)

  init(_ table: CSVTable, figure: FigureSpecification) throws {
    let metrics = try figure.y.map { try table.numbers($0) }
    var selected = Array(table.rows.indices)
    if let phase = figure.phase {
      let phases = try table.texts("phase")
      selected = selected.filter { phases[$0] == phase.rawValue }
    }
    let ofPhase = selected.count
    for column in figure.columnFilter.keys.sorted() {
      let texts = try table.texts(column)
      let accepted = figure.columnFilter[column] ?? []
      selected = selected.filter { accepted.contains(texts[$0]) }
    }
    rowCounts = (table.rows.count, ofPhase, selected.count)
    var seriesColumns: [[String]] = []
    for case .column(let name) in figure.series { seriesColumns.append(try table.texts(name)) }
    var xColumn: [String]?
    if case .column(let name) = figure.x { xColumn = try table.texts(name) }

    // Groups in the order of the file, rows in each in the same order.
    var groups: [(series: [String], x: String?, rows: [Int])] = []
    var indices: [[String]: Int] = [:]
    for row in selected {
      let series = seriesColumns.map { $0[row] }
      let x = xColumn?[row]
      let key = series + [x ?? ""]
      if let index = indices[key] {
        groups[index].rows.append(row)
      } else {
        indices[key] = groups.count
        groups.append((series, x, [row]))
      }
    }
    var means = groups.map { group in
      metrics.map { column in
        Statistics.mean(group.rows.map { column[$0] }.filter { !$0.isNaN })
      }
    }
    if figure.smooth > 1 {
      means = RunMeasures.smoothed(means, groups.map(\.series), window: figure.smooth)
    }
    var position: [[String]: Int] = [:]
    var rows: [Row] = []
    for (group, values) in zip(groups, means) {
      let place = position[group.series, default: 0]
      position[group.series] = place + 1
      // The first point and then each whole multiple: episodes 1, k, 2k … of a curve counted from 1.
      if figure.every > 1, place != 0, (place + 1) % figure.every != 0 { continue }
      rows.append(
        Row(
          series: group.series,
          x: group.x.map { (try? ParameterValue(plain: $0)) ?? .text($0) }, values: values))
    }
    self.rows = rows
  }

  /// Mean of each curve's last `window` points, fewer at its start; missing values are left out.
  private static func smoothed(
    _ values: [[Double]], _ series: [[String]], window: Int
  ) -> [[Double]] {
    var curves: [[String]: [Int]] = [:]
    return values.indices.map { index in
      curves[series[index], default: []].append(index)
      let recent = (curves[series[index]] ?? []).suffix(window)
      return values[index].indices.map { metric in
        Statistics.mean(recent.map { values[$0][metric] }.filter { !$0.isNaN })
      }
    }
  }
}
