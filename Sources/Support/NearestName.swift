/// The known name nearest to a misspelt one.
///
/// - Returns: the candidate with the least edit distance, if that is at most a third of the longer length
///   (at least 2); ties go to the first candidate. A word of three letters or more that begins a candidate
///   counts as one edit from it.
public func nearestName(to word: String, among candidates: [String]) -> String? {
  var best: (name: String, distance: Int)?
  for candidate in candidates {
    let isBeginning =
      word.count >= 3 && candidate.count > word.count
      && candidate.lowercased().hasPrefix(word.lowercased())
    let distance =
      isBeginning ? 1 : editDistance(Array(word.lowercased()), Array(candidate.lowercased()))
    let limit = max(2, max(word.count, candidate.count) / 3)
    if distance <= limit, best.map({ distance < $0.distance }) ?? true {
      best = (candidate, distance)
    }
  }
  return best?.name
}

/// Number of insertions, deletions, substitutions and swaps of neighbours that turn one word into another.
func editDistance(_ a: [Character], _ b: [Character]) -> Int {
  if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
  var rows = [[Int]](repeating: [Int](repeating: 0, count: b.count + 1), count: a.count + 1)
  for i in 0...a.count { rows[i][0] = i }
  for j in 0...b.count { rows[0][j] = j }
  for i in 1...a.count {
    for j in 1...b.count {
      let substitution = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
      rows[i][j] = min(substitution, rows[i - 1][j] + 1, rows[i][j - 1] + 1)
      if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
        rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
      }
    }
  }
  return rows[a.count][b.count]
}
