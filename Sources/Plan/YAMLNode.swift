public import Support
internal import Yams

/// A place in a YAML file: what an error about a value of it names.
public struct SourceLocation: Sendable, Equatable {
  public let file: String
  /// Counted from 1; 0 for a value from the command line.
  public let line: Int
  public let column: Int
  /// Path of keys from the root, e.g. `grid.product.clients`.
  public let key: String

  public init(file: String, line: Int, column: Int, key: String) {
    self.file = file
    self.line = line
    self.column = column
    self.key = key
  }

  public func error(_ problem: String, value: String? = nil, advice: String? = nil) -> InputError {
    InputError(
      problem, file: file, line: line > 0 ? line : nil, column: line > 0 ? column : nil,
      key: key.isEmpty ? nil : key, value: value, advice: advice)
  }

  /// An error of something that knows no place, put in this place.
  func locating(_ error: InputError) -> InputError {
    self.error(error.problem, value: error.value, advice: error.advice)
  }
}

/// A node of a YAML file with its place; the accessors accept one type each and never convert.
///
/// The subset of YAML: one document of mappings, lists and scalars without anchors, aliases, tags and merge
/// keys. Plain scalars are numbers only in their decimal form (`010`, `0x10`, `1_000`, `.nan`, `1e400` are
/// errors, not guesses), `true` and `false` are flags, `none` and `null` are "not set", the rest is text.
struct YAMLNode {
  let node: Node
  let location: SourceLocation

  /// Files above this size are refused before they are parsed.
  static let maximumBytes = 1 << 20
  static let maximumDepth = 32

  init(path: String) throws {
    try Files.refuseSpecialFile(path)
    let bytes = try Files.read(path, limit: YAMLNode.maximumBytes)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw InputError("is not UTF-8 text", file: path, advice: "Save it as UTF-8")
    }
    try self.init(text: text, file: path)
  }

  /// Parses a whole file; the result has no anchor, alias or tag in it.
  init(text: String, file: String) throws {
    if text.utf8.count > YAMLNode.maximumBytes {
      throw InputError(
        "is larger than \(YAMLNode.maximumBytes) bytes", file: file,
        advice: "An experiment file holds a description, no data")
    }
    // A byte-order mark says only that this is UTF-8.
    let hasMark = text.unicodeScalars.first == "\u{FEFF}"
    let text = hasMark ? String(text.unicodeScalars.dropFirst()) : text
    try YAMLNode.refuseBombs(text, file: file)
    let root: Node?
    do {
      let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
      root = try parser.singleRoot()
      // Nodes hold their anchors weakly: they live as long as the parser.
      try withExtendedLifetime(parser) {
        if let root {
          try YAMLNode.refuseAnchorsAndTags(root, file: file, depth: 0)
          try YAMLNode.refuseCommonTags(
            root, lines: text.split(separator: "\n", omittingEmptySubsequences: false), file: file)
        }
      }
    } catch let error as YamlError {
      throw YAMLNode.located(error, text: text, file: file)
    }
    guard let root else {
      throw InputError(
        "is empty", file: file, advice: "An experiment needs at least 'experiment' and 'model'")
    }
    self.init(root, key: "", file: file)
  }

  /// The root of a file that was read before.
  init(root: Node, file: String) { self.init(root, key: "", file: file) }

  fileprivate init(_ node: Node, key: String, file: String) {
    self.node = node
    location = SourceLocation(
      file: file, line: node.mark?.line ?? 0, column: node.mark?.column ?? 0, key: key)
  }

  /// Counts what looks like an alias or an open bracket before anything is expanded: Yams compares keys by
  /// their whole content, which takes for ever when a key is a bomb, and recurses for every bracket.
  private static func refuseBombs(_ text: String, file: String) throws {
    var line = 1
    var column = 0
    var depth = 0
    var aliases = 0
    var previous: UInt8 = 10
    let separators = Set(" \t\n\r,[{:-?".utf8)
    for byte in text.utf8 {
      column += 1
      switch byte {
      case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
      case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
      case UInt8(ascii: "*") where separators.contains(previous): aliases += 1
      case 10:
        line += 1
        column = 0
      default: break
      }
      previous = byte
      if aliases > 16 {
        throw InputError(
          "uses aliases ('*name'), which are not accepted", file: file, line: line, column: column,
          advice: "Write the values out")
      }
      if depth > 2 * maximumDepth {
        throw InputError(
          "has more than \(2 * maximumDepth) open brackets", file: file, line: line, column: column,
          advice: "Close them")
      }
    }
  }

  private static func refuseAnchorsAndTags(_ node: Node, file: String, depth: Int) throws {
    func failure(_ problem: String, _ advice: String) -> InputError {
      InputError(
        problem, file: file, line: node.mark?.line, column: node.mark?.column, advice: advice)
    }
    if let anchor = node.anchor {
      throw failure("has an anchor ('&\(anchor.rawValue)'), which is not accepted", "Write it out")
    }
    if depth > maximumDepth {
      throw failure("is nested deeper than \(maximumDepth) levels", "Check the indentation")
    }
    let tag =
      switch node {
      case .scalar(let scalar): scalar.tag.rawValue
      case .mapping(let mapping): mapping.tag.rawValue
      case .sequence(let sequence): sequence.tag.rawValue
      case .alias(let alias): alias.tag.rawValue
      }
    if !tag.isEmpty, !["str", "seq", "map"].contains(where: { tag == "tag:yaml.org,2002:\($0)" }) {
      throw failure("has a tag ('\(tag)'), which is not accepted", "Leave the tag out")
    }
    if let mapping = node.mapping {
      for (key, value) in mapping {
        try refuseAnchorsAndTags(key, file: file, depth: depth + 1)
        try refuseAnchorsAndTags(value, file: file, depth: depth + 1)
      }
    } else if let sequence = node.sequence {
      for element in sequence { try refuseAnchorsAndTags(element, file: file, depth: depth + 1) }
    }
  }

  /// Refuses tags that say what a node is anyway (`!!map`): only the text at its place shows them.
  private static func refuseCommonTags(_ node: Node, lines: [Substring], file: String) throws {
    if let mark = node.mark, lines.indices.contains(mark.line - 1),
      lines[mark.line - 1].unicodeScalars.dropFirst(mark.column - 1).first == "!"
    {
      throw InputError(
        "has a tag, which is not accepted", file: file, line: mark.line, column: mark.column,
        advice: "Leave the tag out")
    }
    for (key, value) in node.mapping.map({ Array($0) }) ?? [] {
      try refuseCommonTags(key, lines: lines, file: file)
      try refuseCommonTags(value, lines: lines, file: file)
    }
    for element in node.sequence.map({ Array($0) }) ?? [] {
      try refuseCommonTags(element, lines: lines, file: file)
    }
  }

  private static func located(_ error: YamlError, text: String, file: String) -> InputError {
    func syntax(_ problem: String, _ mark: Mark) -> InputError {
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      let hasTab = mark.line <= lines.count && lines[mark.line - 1].contains("\t")
      return InputError(
        "is not valid YAML: \(problem)", file: file, line: mark.line, column: mark.column,
        advice: hasTab
          ? "Indent with spaces, not tabs"
          : "Check the indentation, colons, brackets and quotation marks up to here")
    }
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _):
      return syntax(problem, mark)
    case .composer(_, let problem, let mark, _):
      if problem == "but found another document" {
        return InputError(
          "holds a second document", file: file, line: mark.line, column: mark.column,
          advice: "Keep one experiment in a file, without '---' between parts")
      }
      return syntax(problem, mark)
    case .reader(let problem, let offset, _, _):
      let before = text.prefix(offset ?? 0)
      let line = before.reduce(1) { $1.isNewline ? $0 + 1 : $0 }
      let column = before.reversed().prefix { !$0.isNewline }.count + 1
      return InputError(
        "is not valid YAML: \(problem)", file: file, line: line, column: column,
        advice: "Remove the character")
    case .duplicatedKeysInMapping(let keys, let context):
      return duplicate(keys.first ?? "", first: context.mark, text: text, file: file)
    default:
      return InputError("is not valid YAML: \(error)", file: file)
    }
  }

  /// Yams names the key's first place; the second one is the next line that starts with it at that column.
  private static func duplicate(
    _ key: String, first: Mark, text: String, file: String
  ) -> InputError {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let indentation = String(repeating: " ", count: first.column - 1)
    let second = lines.indices.dropFirst(first.line).first { line in
      ["", "\"", "'"].contains { lines[line].hasPrefix("\(indentation)\($0)\(key)\($0):") }
    }
    return InputError(
      "is given twice" + (second == nil ? "" : " (first in line \(first.line))"), file: file,
      line: second.map { $0 + 1 } ?? first.line, column: first.column, key: key,
      advice: "Keep one of them")
  }

  // MARK: Accessors

  private func child(_ node: Node, key: String) -> YAMLNode {
    YAMLNode(node, key: key, file: location.file)
  }

  func error(_ problem: String, value: String? = nil, advice: String? = nil) -> InputError {
    location.error(problem, value: value, advice: advice)
  }

  /// What the node is, for errors.
  private var shown: String? {
    switch node {
    case .scalar(let scalar): scalar.string
    case .mapping: "a mapping"
    case .sequence: "a list"
    case .alias: nil
    }
  }

  func wrongType(_ wanted: String, advice: String? = nil) -> InputError {
    if let scalar = node.scalar, scalar.style == .plain, scalar.string.isEmpty {
      return error("has no value", advice: "It must be \(wanted)")
    }
    return error("must be \(wanted)", value: shown, advice: advice)
  }

  /// The entries of a mapping in the file's order.
  func mapping() throws -> YAMLMapping {
    guard let mapping = node.mapping else {
      throw wrongType("a mapping (lines of 'key: value')")
    }
    var entries: [YAMLMapping.Entry] = []
    var seen: Set<String> = []
    for (keyNode, valueNode) in mapping {
      guard let key = keyNode.scalar?.string, !key.isEmpty else {
        throw child(keyNode, key: location.key).error("has a key that is not a word")
      }
      let path = location.key.isEmpty ? key : "\(location.key).\(key)"
      let keyLocation = child(keyNode, key: path).location
      guard seen.insert(key).inserted else {
        throw keyLocation.error("is given twice", advice: "Keep one of them")
      }
      entries.append(
        YAMLMapping.Entry(
          key: key, location: keyLocation, value: child(valueNode, key: path), keyNode: keyNode))
    }
    return YAMLMapping(location: location, entries: entries)
  }

  /// The elements of a list, which must not be empty.
  func list(of what: String = "a list") throws -> [YAMLNode] {
    guard let sequence = node.sequence else {
      throw wrongType(what, advice: "Write [a, b] or one '- a' a line")
    }
    if sequence.isEmpty {
      throw error("is an empty list", advice: "Give at least one value, or leave the key out")
    }
    return sequence.enumerated().map { child($1, key: "\(location.key)[\($0 + 1)]") }
  }

  /// A list, or a single value in place of a list of one.
  func oneOrMore() throws -> [YAMLNode] {
    node.sequence == nil ? [self] : try list()
  }

  /// A value that the node stands for, in the node's place.
  func standing(for value: ParameterValue) -> YAMLNode {
    YAMLNode(value.node, location: location)
  }

  private init(_ node: Node, location: SourceLocation) {
    self.node = node
    self.location = location
  }

  var isMapping: Bool { node.mapping != nil }
  var isList: Bool { node.sequence != nil }

  /// Text as it stands in the file, whatever it looks like.
  func text() throws -> String {
    guard let scalar = node.scalar else { throw wrongType("a text") }
    if scalar.string.isEmpty {
      throw scalar.style == .plain ? wrongType("a text") : error("must not be empty")
    }
    return scalar.string
  }

  /// What to do about the quotation marks of a number or flag.
  private var adviceAboutQuotes: String? {
    guard let scalar = node.scalar, scalar.style != .plain else { return nil }
    return Parameter.adviceAboutQuotes(scalar.string)
  }

  func flag() throws -> Bool {
    guard case .flag(let value) = try value() else {
      throw wrongType("true or false", advice: adviceAboutQuotes)
    }
    return value
  }

  func integer(_ range: ClosedRange<Int>) throws -> Int {
    let kind = Parameter.Kind.integer(range)
    guard case .integer(let value) = kind.accept(try value()) else {
      throw wrongType(kind.description, advice: adviceAboutQuotes)
    }
    return value
  }

  func number(_ range: ClosedRange<Double>) throws -> Double {
    let kind = Parameter.Kind.number(range)
    guard case .number(let value) = kind.accept(try value()) else {
      throw wrongType(kind.description, advice: adviceAboutQuotes)
    }
    return value
  }

  /// A parameter's value: a scalar or a list of such.
  func value() throws -> ParameterValue {
    switch node {
    case .scalar(let scalar):
      let isPlain = scalar.style == .plain && scalar.tag.rawValue.isEmpty
      if !isPlain { return .text(scalar.string) }
      if scalar.string.isEmpty { throw wrongType("a value") }
      do {
        return try ParameterValue(plain: scalar.string)
      } catch let problem as InputError {
        throw location.locating(problem)
      }
    case .sequence: return .list(try list().map { try $0.value() })
    case .mapping, .alias: throw wrongType("a value or a list of values")
    }
  }
}

/// The entries of a YAML mapping in the file's order.
struct YAMLMapping {
  struct Entry {
    let key: String
    /// Place of the key.
    let location: SourceLocation
    let value: YAMLNode
    fileprivate let keyNode: Node
  }

  let location: SourceLocation
  private(set) var entries: [Entry]

  subscript(key: String) -> YAMLNode? { entries.first { $0.key == key }?.value }

  /// Refuses keys that are not among the known ones, with the nearest of these.
  func allow(_ known: [String]) throws {
    for entry in entries where !known.contains(entry.key) {
      throw entry.location.error(
        "is not a known key",
        advice: nearestName(to: entry.key, among: known).map { "Did you mean '\($0)'?" }
          ?? "Known are \(known.joined(separator: ", "))")
    }
  }

  /// The value of a key that must be there.
  func required(_ key: String, _ advice: String) throws -> YAMLNode {
    if let value = self[key] { return value }
    throw location.error("has no key '\(key)'", advice: advice)
  }
}

extension YAMLMapping {
  /// Puts an entry in place of the one with the same key, or at the end.
  mutating func replace(_ entry: Entry) {
    if let index = entries.firstIndex(where: { $0.key == entry.key }) {
      entries[index] = entry
    } else {
      entries.append(entry)
    }
  }

  mutating func remove(_ key: String) { entries.removeAll { $0.key == key } }

  /// Puts a changed mapping in place of the one of an entry.
  mutating func replace(_ key: String, by mapping: YAMLMapping) {
    guard let index = entries.firstIndex(where: { $0.key == key }) else { return }
    let entry = entries[index]
    let node = Node.mapping(
      Node.Mapping(
        mapping.entries.map { ($0.keyNode, $0.value.node) }, .implicit, .any,
        entry.value.node.mark))
    entries[index] = Entry(
      key: key, location: entry.location,
      value: YAMLNode(node, key: entry.value.location.key, file: location.file),
      keyNode: entry.keyNode)
  }
}

extension YAMLMapping {
  /// The mapping with the settings of a command line: each replaces the list of its key in `grid.product`, or the
  /// value in `parameters`; several values where the grid does not vary the key make it vary.
  func setting(_ settings: [PointFilter]) throws -> YAMLMapping {
    var merged = self
    for setting in settings {
      let key = setting.key
      let product = try merged["grid"]?.mapping()["product"]?.mapping()
      if key == "seeds", setting.values.count == 1 {
        try merged.replace(["grid", key], by: setting.values[0])
      } else if product?[key] != nil || setting.values.count > 1 {
        if var fixed = try merged["parameters"]?.mapping(), fixed[key] != nil {
          fixed.remove(key)
          merged.replace("parameters", by: fixed)
        }
        try merged.replace(["grid", "product", key], by: .list(setting.values))
      } else {
        try merged.replace(["parameters", key], by: setting.values[0])
      }
    }
    return merged
  }

  /// Sets what stands under a path of keys, and makes the mappings above it that are missing.
  private mutating func replace(_ path: ArraySlice<String>, by value: ParameterValue) throws {
    guard let key = path.first else { return }
    let fullKey = location.key.isEmpty ? key : "\(location.key).\(key)"
    if path.count == 1 {
      replace(
        Entry(
          key: key, location: SourceLocation(file: location.file, line: 0, column: 0, key: fullKey),
          value: YAMLNode(value.node, key: fullKey, file: location.file), keyNode: Node(key)))
      return
    }
    if self[key] == nil {
      let empty = Node.mapping(Node.Mapping([]))
      replace(
        Entry(
          key: key, location: SourceLocation(file: location.file, line: 0, column: 0, key: fullKey),
          value: YAMLNode(empty, key: fullKey, file: location.file), keyNode: Node(key)))
    }
    guard var inner = try self[key]?.mapping() else { return }
    try inner.replace(path.dropFirst(), by: value)
    replace(key, by: inner)
  }

  private mutating func replace(_ path: [String], by value: ParameterValue) throws {
    try replace(path[...], by: value)
  }
}

extension ParameterValue {
  /// As it would stand in a file.
  fileprivate var node: Node {
    switch self {
    case .list(let values): Node.sequence(Node.Sequence(values.map(\.node)))
    case .text(let text): Node(text, .implicit, .doubleQuoted)
    default: Node(text, .implicit, .plain)
    }
  }
}

extension YAMLNode {
  /// A name that is safe as a file's or folder's: letters, digits, `-`, `_`, `.`.
  func identifier() throws -> String {
    let name = try text()
    let isSafe =
      name.utf8.count <= 100 && name.first != "." && name.first != "-"
      && name.utf8.allSatisfy {
        (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
          || [45, 46, 95].contains($0)
      }
    if !isSafe {
      throw error(
        "is not a name for a folder", value: name,
        advice: "Use up to 100 letters, digits, '-', '_' and '.', a letter or digit first")
    }
    return name
  }

  /// A length of time such as `90s`, `30min`, `2h`, in seconds.
  func duration() throws -> Double {
    let units = ["s": 1.0, "min": 60, "h": 3600, "d": 86400]
    return try quantity(units, example: "90s, 30min, 2h or 1d")
  }

  /// An amount of memory such as `500MiB` or `2GiB`, in MiB.
  func memorySize() throws -> Double {
    try quantity(["MiB": 1, "GiB": 1024], example: "500MiB or 2GiB")
  }

  private func quantity(_ units: [String: Double], example: String) throws -> Double {
    let written = try text()
    let digits = written.prefix { $0.isNumber || $0 == "." }
    let unit = written.dropFirst(digits.count).drop { $0 == " " }
    guard let factor = units[String(unit)], let number = Double(digits), number > 0, number < 1e6
    else {
      throw error("must be a number and its unit", value: written, advice: "Write \(example)")
    }
    return number * factor
  }
}

extension ParameterValue {
  /// The value of a plain (unquoted) scalar; the same rules hold for values on the command line.
  ///
  /// - Throws: `InputError` for what YAML versions read differently (`010`, `0x10`, `1_000`, `.nan`) and for
  ///   numbers that a Double or Int cannot hold.
  public init(plain text: String) throws {
    switch text {
    case "true": self = .flag(true)
    case "false": self = .flag(false)
    case "none", "null", "~": self = .none
    default:
      if let number = try ParameterValue.number(text) { self = number } else { self = .text(text) }
    }
  }

  private static func number(_ text: String) throws -> ParameterValue? {
    var rest = Substring(text)
    func take(_ characters: String) -> String {
      let taken = rest.prefix { characters.contains($0) }
      rest = rest.dropFirst(taken.count)
      return String(taken)
    }
    func failure(_ problem: String, _ advice: String) -> InputError {
      InputError(problem, value: text, advice: advice)
    }
    if rest.first == "-" || rest.first == "+" { rest = rest.dropFirst() }
    let word = rest.lowercased()
    if [".nan", ".inf", "nan", "inf", "infinity"].contains(word) {
      throw failure("is not a finite number", "Give a finite number, or leave the key out")
    }
    let whole = take("0123456789")
    let hasPoint = rest.first == "."
    if hasPoint { rest = rest.dropFirst() }
    let fraction = hasPoint ? take("0123456789") : ""
    if whole.isEmpty && fraction.isEmpty { return nil }
    var exponent = ""
    if rest.first == "e" || rest.first == "E" {
      rest = rest.dropFirst()
      if rest.first == "-" || rest.first == "+" { rest = rest.dropFirst() }
      exponent = take("0123456789")
      if exponent.isEmpty { return nil }
    }
    guard rest.isEmpty else {
      let isAmbiguous =
        (whole == "0" && !hasPoint && ["x", "o", "b"].contains(rest.first?.lowercased()))
        || rest.allSatisfy { $0.isNumber || $0 == "_" || $0 == ":" }
      if isAmbiguous {
        throw failure(
          "is not a decimal number", "Write it in decimal digits, or in quotation marks")
      }
      return nil
    }
    if whole.isEmpty || (hasPoint && fraction.isEmpty) {
      throw failure("needs digits on both sides of the point", "Write 0.5 or 5")
    }
    if whole.count > 1 && whole.first == "0" {
      throw failure("has a leading zero, which some programs read as octal", "Leave the zero out")
    }
    if !hasPoint && exponent.isEmpty {
      guard let value = Int(text) else {
        throw failure(
          "is too large a whole number",
          "Whole numbers go up to \(Int.max); where any number will do, write 1e20")
      }
      return .integer(value)
    }
    let isZero = (whole + fraction).allSatisfy { $0 == "0" }
    guard let value = Double(text), value.isFinite, isZero || value != 0 else {
      throw failure("is beyond the range of numbers", "The largest is about 1.8e308")
    }
    return .number(value)
  }
}
