internal import Support

/// Reads the `grid` of an experiment file.
struct GridDecoder {
  let model: AnyModel
  /// Fixed parameters: a key is either fixed or varied.
  let parameters: [Setting]
  let traces: [Experiment.TraceSource]

  func grid(_ node: YAMLNode?) throws -> Grid {
    var grid = Grid()
    if traces.count > 1 {
      grid.dimensions.append(
        GridDimension(
          alternatives: traces.map {
            [Setting(key: "trace", value: .text($0.name), location: $0.location)]
          }))
    }
    guard let mapping = try node?.mapping() else { return grid }
    try mapping.allow(["product", "seeds", "zip", "variants", "when", "exclude"])
    if let product = mapping["product"] { grid.dimensions += try dimensions(product: product) }
    for group in try mapping["zip"]?.list(of: "a list of mappings") ?? [] {
      grid.dimensions.append(try dimension(zip: group))
    }
    var variantNames: [String] = []
    if let variants = mapping["variants"] {
      let dimension = try dimension(variants: variants)
      variantNames = dimension.alternatives.compactMap { $0.first?.value.text }
      grid.dimensions.append(dimension)
    }
    if let seeds = mapping["seeds"] {
      let count = try seeds.integer(1...10_000)
      grid.dimensions.append(
        GridDimension(
          alternatives: (1...count).map {
            [Setting(key: "seed", value: .integer($0), location: seeds.location)]
          }))
    }
    try refuseTwice(grid.dimensions)
    for setting in grid.dimensions.lazy.flatMap(\.alternatives).joined() {
      if let fixed = parameters.first(where: { $0.key == setting.key }) {
        if fixed.location.line == 0 {
          throw setting.location.error(
            "is varied here together with others, so --set cannot fix it",
            advice: "Choose among its points with --only")
        }
        throw setting.location.error(
          "is also fixed in 'parameters' (line \(fixed.location.line))",
          advice: "Keep one of them")
      }
    }
    let names = ["trace": traces.map(\.name), "variant": variantNames]
    for entry in try mapping["when"]?.list(of: "a list of mappings") ?? [] {
      grid.refinements.append(try refinement(entry, names))
    }
    for entry in try mapping["exclude"]?.list(of: "a list of mappings") ?? [] {
      grid.exclusions.append(try model.condition(entry, names: names))
    }
    return grid
  }

  private func refuseTwice(_ dimensions: [GridDimension]) throws {
    var seen: [String] = []
    for dimension in dimensions {
      for key in dimension.keys where seen.contains(key) {
        let location = dimension.alternatives.joined().first { $0.key == key }?.location
        throw location?.error("is varied twice in the grid", advice: "Keep one of them")
          ?? InputError("is varied twice in the grid", key: key)
      }
      seen += dimension.keys
    }
  }

  private func dimensions(product: YAMLNode) throws -> [GridDimension] {
    let entries = try product.mapping().entries
    if entries.isEmpty {
      throw product.error("is empty", advice: "Give it lists of values, or leave it out")
    }
    return try entries.map { entry in
      GridDimension(alternatives: try values(entry).map { [$0] })
    }
  }

  /// The values of one key, each a setting of its own place.
  private func values(_ entry: YAMLMapping.Entry) throws -> [Setting] {
    var settings: [Setting] = []
    var seen: Set<String> = []
    for element in try elements(entry) {
      let setting = try model.setting(entry.key, element, at: entry.location)
      if !seen.insert(setting.value.json.canonical).inserted {
        throw element.error(
          "is listed twice", value: setting.value.text, advice: "Keep one of them")
      }
      settings.append(setting)
    }
    return settings
  }

  /// The values of a key, written out when the file gives a range.
  private func elements(_ entry: YAMLMapping.Entry) throws -> [YAMLNode] {
    guard entry.value.isMapping else {
      return try entry.value.list(of: "a list of the values it takes, or {from: 3, to: 7}")
    }
    let isWhole = model.definitions(of: entry.key).contains {
      $0.kind.accept(.integer(1)) == .integer(1)
    }
    return try GridRange(entry.value, isWhole: isWhole).values.map(entry.value.standing(for:))
  }

  private func dimension(zip group: YAMLNode) throws -> GridDimension {
    var columns: [[Setting]] = []
    for entry in try group.mapping().entries {
      let settings = try elements(entry).map {
        try model.setting(entry.key, $0, at: entry.location)
      }
      if let first = columns.first, first.count != settings.count {
        throw entry.location.error(
          "has \(settings.count) values where '\(first[0].key)' has \(first.count)",
          advice: "Lists that go together need equal lengths")
      }
      columns.append(settings)
    }
    guard let count = columns.first?.count else {
      throw group.error("is empty", advice: "Give it lists of equal length, or leave it out")
    }
    return GridDimension(alternatives: (0..<count).map { row in columns.map { $0[row] } })
  }

  private func dimension(variants node: YAMLNode) throws -> GridDimension {
    let entries = try node.mapping().entries
    if entries.isEmpty { throw node.error("is empty", advice: "Name a variant, or leave it out") }
    return GridDimension(
      alternatives: try entries.map { entry in
        [Setting(key: "variant", value: .text(entry.key), location: entry.location)]
          + (try settings(entry.value))
      })
  }

  /// Single values of several keys.
  private func settings(_ node: YAMLNode) throws -> [Setting] {
    try node.mapping().entries.map { try model.setting($0.key, $0.value, at: $0.location) }
  }

  private func refinement(
    _ node: YAMLNode, _ names: [String: [String]]
  ) throws -> GridRefinement {
    let mapping = try node.mapping()
    try mapping.allow(["if", "parameters", "product", "zip"])
    let condition = try model.condition(
      mapping.required("if", "Say which points it is for: 'if: {algorithm: NAME}'"),
      names: names)
    var dimensions: [GridDimension] = []
    if let node = mapping["parameters"] {
      dimensions.append(GridDimension(alternatives: [try settings(node)]))
    }
    if let product = mapping["product"] { dimensions += try self.dimensions(product: product) }
    for group in try mapping["zip"]?.list(of: "a list of mappings") ?? [] {
      dimensions.append(try dimension(zip: group))
    }
    if dimensions.isEmpty {
      throw node.error("changes nothing", advice: "Add 'parameters', 'product' or 'zip'")
    }
    try refuseTwice(dimensions)
    return GridRefinement(condition: condition, dimensions: dimensions)
  }
}

extension AnyModel {
  /// Keys of settings that are no parameters of the run but select something.
  static let selectors = ["algorithm", "trace", "variant"]

  /// A setting checked against every definition of its key.
  func setting(_ key: String, _ node: YAMLNode, at keyLocation: SourceLocation) throws -> Setting {
    try checkKey(key, at: keyLocation)
    return Setting(key: key, value: try value(of: key, node), location: node.location)
  }

  private func checkKey(_ key: String, at location: SourceLocation) throws {
    switch key {
    case "algorithm": return
    case "trace":
      throw location.error(
        "is no parameter", advice: "List several traces under the top-level key 'trace'")
    case "variant":
      throw location.error("is no parameter", advice: "Name variants under 'grid.variants'")
    case RunParameters.checkpointEvery.key:
      throw location.error(
        "alters no result, so it cannot vary", advice: "Set it under the top-level 'parameters'")
    default:
      if definitions(of: key).isEmpty {
        let known = ["algorithm"] + knownKeys
        throw location.error(
          "is not a parameter of model '\(name)', of its algorithms or of a run",
          advice: nearestName(to: key, among: known).map { "Did you mean '\($0)'?" }
            ?? "Known are \(known.sorted().joined(separator: ", "))")
      }
    }
  }

  private func value(of key: String, _ node: YAMLNode) throws -> ParameterValue {
    if key == "algorithm" {
      let word = try node.text()
      if algorithm(word) == nil {
        let names = algorithms.map(\.name)
        throw node.error(
          "is not an algorithm of model '\(name)'", value: word,
          advice: nearestName(to: word, among: names).map { "Did you mean '\($0)'?" }
            ?? "Its algorithms are \(names.joined(separator: ", "))")
      }
      return .text(word)
    }
    do {
      return try checked(key, try parts(of: key, node) ?? node.value())
    } catch let problem as InputError where problem.file == nil {
      throw node.location.locating(problem)
    }
  }

  /// The parts of a value that is written as a mapping, in their definition's order; nil for a key without parts.
  private func parts(of key: String, _ node: YAMLNode) throws -> ParameterValue? {
    guard node.isMapping else { return nil }
    for definition in definitions(of: key) {
      guard case .parts(let parts) = definition.kind else { continue }
      let mapping = try node.mapping()
      try mapping.allow(parts.map(\.name))
      return .list(
        try parts.map {
          try mapping.required($0.name, "'\(key)' is \(definition.kind)").value()
        })
    }
    return nil
  }

  /// A value that at least one definition of its key accepts, in that definition's type.
  func checked(_ key: String, _ value: ParameterValue) throws -> ParameterValue {
    let definitions = definitions(of: key)
    var failure: InputError?
    for definition in definitions {
      do {
        return try definition.checked(value)
      } catch let error as InputError {
        // Some choices have the word 'none' among them.
        if value == .none, let word = definition.kind.accept(.text("none")) { return word }
        failure = failure ?? error
      }
    }
    throw failure ?? ParameterValues.unknownKey(key, schema: [])
  }

  /// Keys with one accepted value or a list of them.
  ///
  /// - Parameter names: those that the selectors `trace` and `variant` can have.
  func condition(_ node: YAMLNode, names: [String: [String]]) throws -> GridCondition {
    var condition = GridCondition()
    for entry in try node.mapping().entries {
      var values: [ParameterValue] = []
      for element in try entry.value.oneOrMore() {
        values.append(try conditionValue(entry, element, names: names))
      }
      condition.tests.append(
        GridCondition.Test(key: entry.key, values: values, location: entry.location))
    }
    if condition.tests.isEmpty {
      throw node.error("is empty", advice: "Name a key and the value that it must have")
    }
    return condition
  }

  func conditionValue(
    _ entry: YAMLMapping.Entry, _ element: YAMLNode, names: [String: [String]]
  ) throws -> ParameterValue {
    guard entry.key == "trace" || entry.key == "variant" else {
      return try setting(entry.key, element, at: entry.location).value
    }
    let known = names[entry.key] ?? []
    let word = try element.text()
    if !known.contains(word) {
      throw element.error(
        "is not a \(entry.key) of this experiment", value: word,
        advice: known.isEmpty ? "It has none" : "Known are \(known.joined(separator: ", "))")
    }
    return .text(word)
  }

  /// What a key is worth at a point: set there, fixed, or its default; nil where it has no meaning.
  func value(of key: String, at point: GridPoint, parameters fixed: [Setting]) -> ParameterValue? {
    func given(_ key: String) -> ParameterValue? {
      point[key]?.value ?? fixed.first { $0.key == key }?.value
    }
    if let value = given(key) { return value }
    let schema = given("algorithm").flatMap { algorithm($0.text) }.map { self.schema(of: $0) }
    return (schema ?? parameters).first { $0.key == key }?.defaultValue
  }
}
