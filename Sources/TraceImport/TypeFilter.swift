import Trace

/// Keeps the vehicles of some types, and counts what it sees.
///
/// A type is of name `car` if it is `car`, or `car@` and anything: SUMO calls the copy of a type that belongs to one
/// vehicle `car@VEHICLE`. Types are compared by their bytes with references decoded.
struct TypeFilter {
  /// Distinct types that are remembered; further ones are compared one by one and not counted by name.
  private static let mostTypes = 4096

  private let wanted: [[UInt8]]
  private var kept: [Int]
  private var known = VehicleNames()
  /// Per known type: the index in `wanted` or -1, and its rows.
  private var verdicts: [Int] = []
  private var rows: [Int] = []
  private(set) var rowsWithoutType = 0

  init(_ names: [String]) {
    wanted = names.map { Array($0.utf8) }
    kept = wanted.map { _ in 0 }
  }

  /// Whether there is nothing to filter.
  var isOpen: Bool { wanted.isEmpty }

  /// Whether a row of this type is to be kept; nil: the row has none.
  mutating func accepts(_ type: UnsafeRawBufferPointer?) -> Bool {
    if wanted.isEmpty { return true }
    guard let type else {
      rowsWithoutType += 1
      return false
    }
    let verdict: Int
    if known.count < TypeFilter.mostTypes {
      let index = known.index(of: type)
      if index == verdicts.count {
        verdicts.append(find(type))
        rows.append(0)
      }
      rows[index] += 1
      verdict = verdicts[index]
    } else {
      verdict = find(type)
    }
    if verdict >= 0 { kept[verdict] += 1 }
    return verdict >= 0
  }

  private func find(_ type: UnsafeRawBufferPointer) -> Int {
    wanted.firstIndex { name in
      type.starts(with: name)
        && (type.count == name.count || type[name.count] == UInt8(ascii: "@"))
    } ?? -1
  }

  /// What to say of types that never came, a sentence each without a full stop.
  var warnings: [String] {
    var warnings: [String] = []
    if rowsWithoutType > 0 {
      warnings.append("\(rowsWithoutType) rows have no type, so that --types left them out")
    }
    let order = rows.indices.sorted { (-rows[$0], $0) < (-rows[$1], $1) }
    let others = order.prefix(8).map { "\(known.name($0)) (\(rows[$0]) rows)" }
    let has =
      others.isEmpty
      ? "" : "; the input has \(others.joined(separator: ", "))" + (order.count > 8 ? ", …" : "")
    for (name, count) in zip(wanted, kept) where count == 0 {
      warnings.append(
        "the type '\(String(decoding: name, as: UTF8.self))' of --types never occurs\(has)")
    }
    return warnings
  }
}
