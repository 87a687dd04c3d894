public import Support
internal import Yams

extension Experiment {
  /// Most mistakes that are listed of one file.
  private static let mostMistakes = 50

  /// Every mistake of a file, in the order in which reading meets them; empty when there is none.
  ///
  /// After each mistake the file is read again as if it were mended: a word is replaced by the one that the advice
  /// names, anything else is left out. What the figures say of the grid is no longer judged once something of it was left out.
  public static func mistakes(
    path: String, profile: String? = nil, settings: [PointFilter] = [],
    models: [AnyModel] = Models.all
  ) -> [InputError] {
    let root: YAMLNode
    do {
      root = try YAMLNode(path: path)
    } catch let error as InputError {
      return [error]
    } catch {
      return []
    }
    return mistakes(root: root, profile: profile, settings: settings, models: models)
  }

  static func mistakes(
    root: YAMLNode, profile: String?, settings: [PointFilter], models: [AnyModel]
  ) -> [InputError] {
    var root = root
    var mistakes: [InputError] = []
    var known: Set<String> = []
    var isWhole = true
    var leftOut: Set<String> = []
    for _ in 0..<(4 * mostMistakes) where mistakes.count < mostMistakes {
      do {
        let experiment = try Experiment(
          root: root.mapping(), profile: profile, settings: settings, models: models,
          isStrict: isWhole)
        return mistakes + experiment.missingFiles.filter { !mistakes.contains($0) }
      } catch let error as InputError {
        // Elements of one list that are wrong in the same way are one mistake.
        let place = error.key.map { $0.prefix { $0 != "[" } } ?? ""
        let missing = error.missingKey.map { (error.key.map { "\($0)." } ?? "") + $0 }
        let isOurs = missing.map { leftOut.contains($0) } ?? false
        if !isOurs, known.insert("\(place) \(error.problem) \(error.value ?? "")").inserted {
          mistakes.append(error)
        }
        guard let mended = root.mended(of: error) else { return mistakes }
        if let key = error.key { leftOut.insert(key) }
        root = mended.node
        isWhole = isWhole && mended.isWhole
      } catch {
        return mistakes
      }
    }
    return mistakes
  }

  /// Traces and DNN tables that are not there.
  var missingFiles: [InputError] {
    (traces + dnnFiles.values.sorted { $0.name < $1.name }).compactMap { source in
      do {
        try checkExists(source)
        return nil
      } catch {
        return error as? InputError
      }
    }
  }

  func checkExists(_ source: TraceSource) throws {
    if Files.exists(source.path) { return }
    throw source.location.error(
      "no such file", value: source.path,
      advice: "Paths are relative to the folder of \(file)")
  }
}

extension YAMLNode {
  /// The file as if a mistake were mended.
  ///
  /// - Returns: also whether nothing but a word was replaced; nil when nothing can be done.
  fileprivate func mended(of error: InputError) -> (node: YAMLNode, isWhole: Bool)? {
    if error.key == nil, let key = error.missingKey, let word = Mending.standIns[key] {
      guard let root = node.mapping else { return nil }
      let pairs = [(Node(key), Node(word))] + root.map { ($0.key, $0.value) }
      let mended = Node.mapping(Node.Mapping(pairs, .implicit, .any, root.mark))
      return (YAMLNode(root: mended, file: location.file), true)
    }
    guard let line = error.line, let column = error.column, let path = error.key else { return nil }
    let mending = Mending(line: line, column: column, path: path, word: error.suggestion)
    guard let node = mending.mended(node, path: ""), mending.isDone.value else { return nil }
    return (
      YAMLNode(root: node, file: location.file), error.suggestion != nil || mending.isKeyOnly.value
    )
  }
}

extension InputError {
  /// The key that `YAMLMapping.required` has not found.
  fileprivate var missingKey: String? {
    guard problem.hasPrefix("has no key '") else { return nil }
    return String(problem.dropFirst("has no key '".count).dropLast())
  }

  /// The word that the advice takes for the one that was meant.
  fileprivate var suggestion: String? {
    guard let advice, advice.hasPrefix("Did you mean '"), advice.hasSuffix("'?") else { return nil }
    return String(advice.dropFirst("Did you mean '".count).dropLast(2))
  }
}

/// One change to a tree of nodes: at a place, a word put in or a part taken out.
private struct Mending {
  let line: Int
  let column: Int
  /// Keys from the root, as in `grid.product.clients[2]`.
  let path: String
  let word: String?
  let isDone = Flag()
  /// Whether a key that nobody knows was left out, which takes nothing from the experiment.
  let isKeyOnly = Flag()

  /// What stands for the value of a key that must be there; names have numbers, so that they differ.
  static let standIns = ["experiment": "unnamed", "id": "unnamed", "x": "algorithm", "trace": "/"]

  private func standIn(_ key: String) -> String? {
    Mending.standIns[key].map { key == "id" ? "\($0)-\(line)-\(column)" : $0 }
  }

  final class Flag { var value = false }

  private func isHere(_ node: Node) -> Bool {
    node.mark?.line == line && node.mark?.column == column
  }

  /// - Returns: nil for a node that is to be left out.
  func mended(_ node: Node, path: String) -> Node? {
    if let mapping = node.mapping { return mended(mapping, path: path) }
    if let sequence = node.sequence { return mended(sequence, path: path) }
    return node
  }

  private func mended(_ mapping: Node.Mapping, path: String) -> Node? {
    var pairs: [(Node, Node)] = []
    for (key, value) in mapping {
      let name = key.scalar?.string ?? ""
      let inner = path.isEmpty ? name : "\(path).\(name)"
      guard !isDone.value, self.path.hasPrefix(inner) else {
        pairs.append((key, value))
        continue
      }
      if inner == self.path, isHere(key) {
        isDone.value = true
        isKeyOnly.value = word == nil
        if let word, !mapping.contains(where: { $0.key.scalar?.string == word }) {
          pairs.append((Node.scalar(Node.Scalar(word, .implicit, .plain, key.mark)), value))
        }
        continue
      }
      if inner == self.path, isHere(value) {
        isDone.value = true
        if let word = word ?? standIn(name), value.scalar != nil {
          pairs.append((key, replaced(value, by: word)))
        }
        continue
      }
      if let changed = mended(value, path: inner) { pairs.append((key, changed)) }
    }
    if pairs.isEmpty { return nil }
    return Node.mapping(Node.Mapping(pairs, .implicit, .any, mapping.mark))
  }

  private func mended(_ sequence: Node.Sequence, path: String) -> Node? {
    var elements: [Node] = []
    for (index, element) in sequence.enumerated() {
      let inner = "\(path)[\(index + 1)]"
      if !isDone.value, inner == self.path || path == self.path, isHere(element) {
        isDone.value = true
        if let word, element.scalar != nil { elements.append(replaced(element, by: word)) }
        continue
      }
      if isDone.value || !self.path.hasPrefix(inner) {
        elements.append(element)
      } else if let changed = mended(element, path: inner) {
        elements.append(changed)
      }
    }
    if elements.isEmpty { return nil }
    return Node.sequence(Node.Sequence(elements, .implicit, .any, sequence.mark))
  }

  private func replaced(_ node: Node, by word: String) -> Node {
    Node.scalar(Node.Scalar(word, .implicit, .plain, node.mark))
  }
}
