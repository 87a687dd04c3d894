public import Simulation
package import Support

/// A figure of an experiment file.
///
/// Keys: `id` (file name), `title`, `x` and `series` (a parameter, `algorithm`, `trace`, `variant`, or a column
/// of the source; `series` may be a list, default `algorithm`), `y` (one column or several), `source` (default
/// `episodes.csv`), `phase` (`eval`, the default, or `train`), `filter` (key: value or list of values),
/// `reference` (the series that `<id>-paired.csv` compares with), and for an x from a column `smooth` (mean of
/// the last so many points) and `every` (keeps one point in so many), and `claims`.
public struct FigureSpecification: Sendable {
  /// Marks of a picture.
  public enum Style: String, Sendable, CaseIterable { case bars, lines }

  /// What an axis or a series shows.
  public enum Axis: Sendable, Equatable {
    /// A parameter of the runs, or a selector of the grid.
    case parameter(String)
    /// A column of the source table.
    case column(String)

    public var name: String {
      switch self {
      case .parameter(let name), .column(let name): name
      }
    }
  }

  /// A published number to set beside ours: how much better one series is than another, in percent.
  public struct Claim: Sendable, Equatable {
    public let series: String
    public let against: String
    /// As text, as it stands in the figure's x column.
    public let x: String
    public let metric: String
    public let improvementPercent: Double
    /// Whether less is better, as with delays.
    public let lowerIsBetter: Bool
  }

  public let id: String
  public let title: String
  public let x: Axis
  public let series: [Axis]
  public let y: [String]
  /// nil for tables without a column `phase`.
  public let phase: Phase?
  public let source: ResultTable
  public let reference: String?
  public let smooth: Int
  public let every: Int
  /// How pictures draw an x of numbers; nil leaves it to the drawing.
  public let style: Style?
  public let claims: [Claim]
  package let filter: GridCondition
  package let columnFilter: [String: [String]]
  package let location: SourceLocation

  /// Names of the files that the figure is written to, without `.csv`.
  var fileNames: [String] {
    [id] + (reference == nil ? [] : [id + FigureSpecification.pairedEnding])
      + (claims.isEmpty ? [] : [id + FigureSpecification.claimsEnding])
  }

  package static let pairedEnding = "-paired"
  package static let claimsEnding = "-claims"
}

/// What a point of the grid shows to figures.
package struct PointView {
  /// What the grid sets at the point.
  let given: (String) -> ParameterValue?
  /// What is part of the point's run: nil for parameters that its algorithm does not know.
  package let relevant: (String) -> ParameterValue?

  package init(
    given: @escaping (String) -> ParameterValue?, relevant: @escaping (String) -> ParameterValue?
  ) {
    self.given = given
    self.relevant = relevant
  }

  /// Name of the series of a point: the first value, then `key=value` for the others that it knows.
  func label(_ keys: [String]) -> String {
    var parts: [String] = []
    for (i, key) in keys.enumerated() {
      guard let value = relevant(key) else { continue }
      parts.append(i == 0 ? value.text : "\(key)=\(value.text)")
    }
    return parts.isEmpty ? "all" : parts.joined(separator: " ")
  }

  /// Value on an axis: what the grid says goes first, so that a series which a parameter does not touch is
  /// drawn at each of its values.
  package func value(_ key: String) -> ParameterValue? { given(key) ?? relevant(key) }
}

/// The points of an experiment as figures see them, before anything is run.
struct Labels {
  let views: [PointView]

  init(points: [GridPoint], parameters: [Setting], model: AnyModel) {
    views = points.map { point in
      PointView(
        given: { point[$0]?.value },
        relevant: { key in
          if AnyModel.selectors.contains(key) {
            return model.value(of: key, at: point, parameters: parameters)
          }
          let algorithm = model.value(of: "algorithm", at: point, parameters: parameters)
          let schema = algorithm.flatMap { model.algorithm($0.text) }.map { model.schema(of: $0) }
          guard schema?.contains(where: { $0.key == key }) == true else { return nil }
          return model.value(of: key, at: point, parameters: parameters)
        })
    }
  }

  func series(_ keys: [String], where filter: GridCondition) -> [String] {
    unique(views.lazy.filter { filter.holds($0.value) }.map { $0.label(keys) })
  }

  func values(_ key: String, where filter: GridCondition) -> [String] {
    unique(views.lazy.filter { filter.holds($0.value) }.compactMap { $0.value(key)?.text })
  }

  /// Algorithm of a point whose run evaluates its policy at the end only; nil when there is none.
  func algorithmWithoutEvaluations(where filter: GridCondition) -> String? {
    let view = views.first { view in
      guard filter.holds(view.value) else { return false }
      guard case .integer(let every)? = view.relevant("evaluationEvery") else { return true }
      return every == 0
    }
    return view?.relevant("algorithm")?.text
  }

  private func unique(_ words: some Sequence<String>) -> [String] {
    var seen = Set<String>()
    return words.filter { seen.insert($0).inserted }
  }
}

extension FigureSpecification {
  private static let keys = [
    "id", "title", "x", "series", "y", "source", "phase", "filter", "reference", "smooth", "every",
    "style",
    "claims",
  ]

  /// - Parameter isStrict: whether series and x values that the grid does not have are errors; a profile that
  ///   makes the grid smaller may leave some out.
  static func list(
    _ node: YAMLNode, model: AnyModel, labels: Labels, isRecording: Bool, isStrict: Bool
  ) throws -> [FigureSpecification] {
    var figures: [FigureSpecification] = []
    var owners: [String: String] = [:]
    for element in try node.list(of: "a list of mappings") {
      let figure = try FigureSpecification(
        element, model: model, labels: labels, isRecording: isRecording, isStrict: isStrict)
      for name in figure.fileNames {
        guard let owner = owners.updateValue(figure.id, forKey: name) else { continue }
        throw element.error(
          owner == figure.id
            ? "has the id of an earlier figure"
            : "writes \(name).csv, as the earlier figure '\(owner)' does", value: figure.id,
          advice: "Give it another id")
      }
      figures.append(figure)
    }
    return figures
  }

  private init(
    _ node: YAMLNode, model: AnyModel, labels: Labels, isRecording: Bool, isStrict: Bool
  ) throws {
    let mapping = try node.mapping()
    location = node.location
    try mapping.allow(FigureSpecification.keys)
    id = try mapping.required("id", "It names the figure's files").identifier()
    title = try mapping["title"]?.text() ?? id
    let source = try FigureSpecification.source(mapping["source"], model, isRecording: isRecording)
    self.source = source
    func axis(_ node: YAMLNode) throws -> Axis {
      try FigureSpecification.axis(node, model: model, source: source)
    }
    let x = try axis(mapping.required("x", "Name a parameter or a column of \(source.file)"))
    self.x = x
    series =
      try mapping["series"].map { try FigureSpecification.distinct($0, axis) }
      ?? [.parameter("algorithm")]
    let y = try FigureSpecification.distinct(
      mapping.required("y", "Name one or several columns of \(source.file)")
    ) { try FigureSpecification.column($0, of: source) }
    self.y = y
    phase = try FigureSpecification.phase(mapping["phase"], source: source)

    let (filter, columnFilter) = try FigureSpecification.filters(
      mapping["filter"], model: model, source: source, labels: isStrict ? labels : nil)
    self.filter = filter
    self.columnFilter = columnFilter
    try FigureSpecification.refuseUnwritten(
      source, where: filter, labels: labels, at: mapping["source"] ?? node)

    try FigureSpecification.refuseEmpty(
      mapping, x: x, y: y, phase: phase, columnFilter: columnFilter,
      views: labels.views.filter { filter.holds($0.value) }, model: model)
    let seriesKeys = series.compactMap { $0.parameterName }
    let known =
      seriesKeys.count == series.count ? labels.series(seriesKeys, where: filter) : nil
    if let known, known.isEmpty, isStrict {
      throw (mapping["filter"] ?? node).error("leaves no point of the grid to the figure")
    }
    func knownSeries(_ node: YAMLNode) throws -> String {
      try FigureSpecification.seriesName(node, among: isStrict ? known : nil)
    }
    reference = try mapping["reference"].map(knownSeries)
    smooth = try mapping["smooth"]?.integer(1...1_000_000) ?? 1
    every = try mapping["every"]?.integer(1...1_000_000) ?? 1
    style = try mapping["style"].map { node in
      let word = try node.text()
      if let style = Style(rawValue: word) { return style }
      throw node.error(
        "is no style of a picture", value: word,
        advice: "Styles are \(Style.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    if case .parameter = x {
      for key in ["smooth", "every"] {
        if let node = mapping[key] {
          throw node.error(
            "is for an x that is a column, such as 'episode'", advice: "Leave it out")
        }
      }
    }
    claims =
      try mapping["claims"]?.list(of: "a list of mappings").map { entry in
        try Claim(
          entry.mapping(), x: x, y: y, source: source, series: knownSeries,
          values: isStrict ? { labels.values($0, where: filter) } : nil)
      } ?? []
  }

  /// The name of a column of numbers.
  private static func column(_ node: YAMLNode, of source: ResultTable) throws -> String {
    let word = try node.text()
    if source.textColumns.contains(word) {
      throw node.error(
        "is a column of texts, which have no mean", value: word,
        advice: "It can be x, in series or in filter")
    }
    if source.columns.contains(word) { return word }
    throw node.error(
      "is not a column of \(source.file)", value: word,
      advice: nearestName(to: word, among: source.columns).map { "Did you mean '\($0)'?" }
        ?? "Its columns are \(source.columns.joined(separator: ", "))")
  }

  /// The two kinds of filter: of grid points and of a table's rows.
  ///
  /// - Parameter labels: what values must be among; nil when any is allowed.
  private static func filters(
    _ node: YAMLNode?, model: AnyModel, source: ResultTable, labels: Labels?
  ) throws -> (points: GridCondition, columns: [String: [String]]) {
    var filter = GridCondition()
    var columnFilter: [String: [String]] = [:]
    for entry in try node?.mapping().entries ?? [] {
      if !isParameter(entry.key, model), source.columns.contains(entry.key) {
        columnFilter[entry.key] = try entry.value.oneOrMore().map { try $0.text() }
        continue
      }
      let values = try entry.value.oneOrMore().map { element in
        let known = try labels?.values(entry.key, where: GridCondition()) ?? [element.text()]
        return try model.conditionValue(entry, element, names: [entry.key: known])
      }
      filter.tests.append(
        GridCondition.Test(key: entry.key, values: values, location: entry.location))
    }
    return (filter, columnFilter)
  }

  /// Refuses a table that some run of the figure would not write.
  private static func refuseUnwritten(
    _ source: ResultTable, where filter: GridCondition, labels: Labels, at node: YAMLNode
  ) throws {
    guard source.file == ResultTable.evaluations,
      let algorithm = labels.algorithmWithoutEvaluations(where: filter)
    else { return }
    throw node.error(
      "is not written by runs of '\(algorithm)' as they are", value: source.file,
      advice: "Give learners an 'evaluationEvery' above 0, and the figure a filter of algorithms "
        + "that leaves the others out")
  }

  /// - Parameter known: names that the series have; nil when that is not known or does not matter.
  private static func seriesName(_ node: YAMLNode, among known: [String]?) throws -> String {
    let word = try node.text()
    guard let known, !known.contains(word) else { return word }
    throw node.error(
      "is not a series of the figure", value: word,
      advice: nearestName(to: word, among: known).map { "Did you mean '\($0)'?" }
        ?? "Its series are \(known.joined(separator: ", "))")
  }

  /// Refuses what no run of the grid can give a row to.
  private static func refuseEmpty(
    _ mapping: YAMLMapping, x: Axis, y: [String], phase: Phase?, columnFilter: [String: [String]],
    views: [PointView], model: AnyModel
  ) throws {
    if views.isEmpty { return }
    func place(_ key: String) -> SourceLocation { mapping[key]?.location ?? mapping.location }
    if case .parameter(let key) = x, !views.contains(where: { $0.value(key) != nil }) {
      throw place("x").error(
        "no algorithm of the figure has this parameter, so it would have no row", value: key,
        advice: "Take another x, or another filter")
    }
    let hasLearners = views.contains {
      $0.relevant("algorithm").flatMap { model.algorithm($0.text) }?.isLearner ?? true
    }
    if phase == .train, !hasLearners {
      throw place("phase").error(
        "only learners train, and the figure has none, so it would have no row", value: "train",
        advice: "Take 'phase: eval', or add a learner to the grid")
    }
    if let phase, let phases = columnFilter["phase"], !phases.contains(phase.rawValue) {
      throw place("filter").error(
        "leaves no row: the figure is of the phase '\(phase.rawValue)'",
        value: phases.joined(separator: ", "), advice: "Choose with 'phase' instead")
    }
    for column in y where ["epsilon", "loss"].contains(column) && phase == .eval {
      throw place("y").error(
        "has values in training only, so the figure would have no row", value: column,
        advice: "Add 'phase: train'")
    }
  }

  /// One element or a list without repetitions.
  private static func distinct<Element: Equatable>(
    _ node: YAMLNode, _ read: (YAMLNode) throws -> Element
  ) throws -> [Element] {
    var elements: [Element] = []
    for node in try node.oneOrMore() {
      let element = try read(node)
      if elements.contains(element) {
        throw node.error("is listed twice", value: try node.text(), advice: "Keep one of them")
      }
      elements.append(element)
    }
    return elements
  }

  private static func isParameter(_ key: String, _ model: AnyModel) -> Bool {
    AnyModel.selectors.contains(key) || !model.definitions(of: key).isEmpty
  }

  private static func axis(
    _ node: YAMLNode, model: AnyModel, source: ResultTable
  ) throws -> Axis {
    let word = try node.text()
    if isParameter(word, model) { return .parameter(word) }
    if source.columns.contains(word) { return .column(word) }
    let known = AnyModel.selectors + model.knownKeys + source.columns
    throw node.error(
      "is neither a parameter nor a column of \(source.file)", value: word,
      advice: nearestName(to: word, among: known).map { "Did you mean '\($0)'?" })
  }

  private static func source(
    _ node: YAMLNode?, _ model: AnyModel, isRecording: Bool
  ) throws -> ResultTable {
    guard let node else { return model.tables[0] }
    let word = try node.text()
    guard let table = model.tables.first(where: { $0.file == word }) else {
      throw node.error(
        "is not a table that runs write", value: word,
        advice: "Tables are \(model.tables.map(\.file).joined(separator: ", "))")
    }
    if table.isRecorded && !isRecording {
      throw node.error(
        "is written only when it is recorded", value: word, advice: "Add 'record: slots'")
    }
    return table
  }

  private static func phase(_ node: YAMLNode?, source: ResultTable) throws -> Phase? {
    guard source.columns.contains("phase") else {
      if let node {
        throw node.error("has no meaning for \(source.file)", advice: "Leave it out")
      }
      return nil
    }
    return try node?.choice(["train", "eval"]) == "train" ? .train : .eval
  }
}

extension FigureSpecification.Claim {
  /// - Parameters:
  ///   - series: Reads the name of a series of the figure.
  ///   - values: The values of a parameter in the figure; nil when x may be any.
  fileprivate init(
    _ mapping: YAMLMapping, x axis: FigureSpecification.Axis, y: [String], source: ResultTable,
    series read: (YAMLNode) throws -> String, values: ((String) -> [String])?
  ) throws {
    try mapping.allow(["series", "against", "x", "metric", "improvement", "better"])
    let xNode = try mapping.required("x", "Give the value of x that the number is for")
    let xText = try xNode.value().text
    if case .parameter(let key) = axis, let known = values?(key), !known.contains(xText) {
      throw xNode.error(
        "is not a value of \(key) in the figure", value: xText,
        advice: "Its values are \(known.joined(separator: ", "))")
    }
    let better = try mapping["better"]?.choice(["lower", "higher"]) ?? "lower"
    let metric =
      try mapping["metric"].map { try FigureSpecification.column($0, of: source) } ?? y[0]
    if let node = mapping["metric"], !y.contains(metric) {
      throw node.error("is not among the figure's y", value: metric)
    }
    self.init(
      series: try read(mapping.required("series", "Name the series that is better")),
      against: try read(mapping.required("against", "Name the series it is compared with")),
      x: xText, metric: metric,
      improvementPercent: try mapping.required("improvement", "Give the published percentage")
        .number(-1e6...1e6), lowerIsBetter: better == "lower")
  }
}

extension FigureSpecification.Axis {
  package var parameterName: String? {
    if case .parameter(let name) = self { return name }
    return nil
  }
}

extension YAMLNode {
  /// One of several words.
  func choice(_ words: [String]) throws -> String {
    let word = try text()
    if words.contains(word) { return word }
    throw error(
      "must be one of \(words.joined(separator: ", "))", value: word,
      advice: nearestName(to: word, among: words).map { "Did you mean '\($0)'?" })
  }
}
