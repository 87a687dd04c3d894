internal import Glibc
internal import Support

/// A range of the grid: `{from: 3, to: 7}`, `{from: 0, to: 1, step: 0.25}`, `{from: 0.1, to: 1000, log: 6}`.
struct GridRange {
  /// In ascending or descending order, both ends among them.
  let values: [ParameterValue]

  private static let mostValues = 10_000

  /// - Parameter isWhole: whether the key takes whole numbers, to which a logarithmic range is then rounded.
  init(_ node: YAMLNode, isWhole: Bool) throws {
    let mapping = try node.mapping()
    try mapping.allow(["from", "to", "step", "log"])
    func end(_ key: String) throws -> (node: YAMLNode, value: Double, isWhole: Bool) {
      let node = try mapping.required(
        key, "Write {from: 3, to: 7}, with 'step' or 'log' if need be")
      let value = try node.value()
      let isWhole = if case .integer = value { true } else { false }
      return (node, try node.number(-1e300...1e300), isWhole)
    }
    let from = try end("from")
    let to = try end("to")
    if from.value == to.value {
      throw to.node.error(
        "is equal to 'from'", advice: "Give two different ends, or a list of one value")
    }
    if let log = mapping["log"] {
      if let step = mapping["step"] {
        throw step.error(
          "goes with ranges of equal steps", advice: "Give 'step' or 'log', not both")
      }
      values = try GridRange.logarithmic(
        from, to, count: try log.integer(2...GridRange.mostValues),
        isWhole: isWhole && from.isWhole && to.isWhole)
    } else {
      let step = try mapping["step"].map { (node: $0, value: try $0.value()) }
      values = try GridRange.even(from, to, step: step)
    }
  }

  private typealias End = (node: YAMLNode, value: Double, isWhole: Bool)

  private static func even(
    _ from: End, _ to: End, step: (node: YAMLNode, value: ParameterValue)?
  ) throws -> [ParameterValue] {
    let size = try step?.node.number(1e-300...1e300) ?? 1
    var isWhole = from.isWhole && to.isWhole
    if let step, case .number = step.value { isWhole = false }
    let steps = (abs(to.value - from.value) / size * (1 + 1e-12)).rounded(.down)
    guard steps < Double(mostValues) else {
      throw to.node.error("gives more than \(mostValues) values", advice: "Give a larger 'step'")
    }
    let reached = from.value + (to.value > from.value ? steps : -steps) * size
    guard abs(reached - to.value) <= 1e-9 * max(abs(to.value), size) else {
      throw to.node.error(
        "is not reached from \(CSVWriter.text(of: from.value)) in steps of \(CSVWriter.text(of: size))",
        advice: "The last value would be \(CSVWriter.text(of: rounded(reached)))")
    }
    return (0...Int(steps)).map { index in
      let value = from.value + (to.value > from.value ? 1 : -1) * Double(index) * size
      return isWhole ? .integer(Int(value)) : .number(rounded(value))
    }
  }

  private static func logarithmic(
    _ from: End, _ to: End, count: Int, isWhole: Bool
  ) throws -> [ParameterValue] {
    for end in [from, to] where end.value <= 0 {
      throw end.node.error(
        "must be above 0 in a logarithmic range", value: CSVWriter.text(of: end.value))
    }
    var values: [ParameterValue] = []
    for index in 0..<count {
      let share = Double(index) / Double(count - 1)
      let value =
        index == 0
        ? from.value
        : index == count - 1 ? to.value : rounded(from.value * pow(to.value / from.value, share))
      let next: ParameterValue = isWhole ? .integer(Int(value.rounded())) : .number(value)
      if values.last == next {
        throw to.node.error(
          "gives \(next.text) twice among whole numbers", advice: "Take fewer values than \(count)")
      }
      values.append(next)
    }
    return values
  }

  /// To six significant digits: what people read is what is run.
  private static func rounded(_ value: Double) -> Double {
    if value == 0 { return 0 }
    let digits = 5 - Int(log10(abs(value)).rounded(.down))
    guard abs(digits) < 300 else { return value }
    let scale = pow(10, Double(abs(digits)))
    return digits > 0 ? (value * scale).rounded() / scale : (value / scale).rounded() * scale
  }
}
