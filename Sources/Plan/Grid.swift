public import Support

/// A value given to a key, with the place where it was given.
public struct Setting: Sendable, Equatable {
  public let key: String
  public let value: ParameterValue
  public let location: SourceLocation
}

/// What one point of a grid sets, in the order in which the file varies it.
struct GridPoint {
  var settings: [Setting] = []

  subscript(key: String) -> Setting? { settings.first { $0.key == key } }

  /// Sets a key, in the place that it has already if it has one.
  mutating func set(_ setting: Setting) {
    if let index = settings.firstIndex(where: { $0.key == setting.key }) {
      settings[index] = setting
    } else {
      settings.append(setting)
    }
  }
}

/// One dimension: alternatives, each of which sets one key (`product`) or several (`zip`, `variants`).
struct GridDimension {
  var alternatives: [[Setting]]

  /// Keys that some alternative sets.
  var keys: [String] {
    var keys: [String] = []
    for setting in alternatives.joined() where !keys.contains(setting.key) {
      keys.append(setting.key)
    }
    return keys
  }
}

/// Keys with the values that are accepted for each; it holds where all of them match.
package struct GridCondition: Sendable {
  struct Test: Sendable {
    let key: String
    let values: [ParameterValue]
    let location: SourceLocation
  }
  var tests: [Test] = []

  /// Keys and accepted values, as the user would write them.
  package var settings: [(key: String, values: [String])] {
    tests.map { ($0.key, $0.values.map(\.text)) }
  }

  package func holds(_ value: (String) -> ParameterValue?) -> Bool {
    tests.allSatisfy { test in
      guard let found = value(test.key) else { return false }
      return test.values.contains { $0.isSame(as: found) }
    }
  }
}

/// Further dimensions for the points at which a condition holds.
struct GridRefinement {
  let condition: GridCondition
  let dimensions: [GridDimension]
}

/// Points of an experiment: the product of the dimensions in the file's order, the last one fastest; then each
/// `when` in turn replaces the points it matches by their product with its own dimensions; then `exclude`
/// takes points away.
struct Grid {
  var dimensions: [GridDimension] = []
  var refinements: [GridRefinement] = []
  var exclusions: [GridCondition] = []

  static let maximumPoints = 200_000

  /// - Parameter value: what a key is worth at a point, defaults included; nil where it has no meaning.
  /// - Returns: also the conditions that hold at no point.
  func points(
    location: SourceLocation, value: (_ key: String, _ point: GridPoint) -> ParameterValue?
  ) throws -> (points: [GridPoint], idle: [GridCondition]) {
    var points = try Grid.expand([GridPoint()], by: dimensions, location)
    var idle: [GridCondition] = []
    for refinement in refinements {
      var refined: [GridPoint] = []
      var isIdle = true
      for point in points {
        if refinement.condition.holds({ value($0, point) }) {
          isIdle = false
          refined += try Grid.expand([point], by: refinement.dimensions, location)
        } else {
          refined.append(point)
        }
        try Grid.checkCount(refined.count, location)
      }
      points = refined
      if isIdle { idle.append(refinement.condition) }
    }
    for exclusion in exclusions {
      let left = points.filter { point in !exclusion.holds { value($0, point) } }
      if left.count == points.count { idle.append(exclusion) }
      points = left
    }
    return (points, idle)
  }

  private static func expand(
    _ points: [GridPoint], by dimensions: [GridDimension], _ location: SourceLocation
  ) throws -> [GridPoint] {
    var points = points
    for dimension in dimensions {
      let (count, overflow) = points.count.multipliedReportingOverflow(
        by: dimension.alternatives.count)
      try checkCount(overflow ? .max : count, location)
      points = points.flatMap { point in
        dimension.alternatives.map { settings in
          var point = point
          for setting in settings { point.set(setting) }
          return point
        }
      }
    }
    return points
  }

  private static func checkCount(_ count: Int, _ location: SourceLocation) throws {
    if count > maximumPoints {
      throw location.error(
        "has more than \(maximumPoints) points", advice: "Split it into several experiments")
    }
  }
}

extension ParameterValue {
  /// Equal as the user means it: 10 and 10.0 are the same, 10 and '10' are not.
  func isSame(as other: ParameterValue) -> Bool {
    self == other || json.canonical == other.json.canonical
  }
}
