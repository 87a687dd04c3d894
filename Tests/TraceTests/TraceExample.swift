import Support
import Trace

/// A trace as plain arrays: what the tests write, and what naive recomputations read.
struct TraceExample: Equatable {
  struct Sample: Equatable {
    var name: String
    var x: Double
    var y: Double
    var speed: Double = 10
    var position: Double = 0
  }

  var steps: [(time: Double, rows: [Sample])] = []

  static func == (a: TraceExample, b: TraceExample) -> Bool {
    a.steps.map(\.time) == b.steps.map(\.time) && a.steps.map(\.rows) == b.steps.map(\.rows)
  }

  func write(to path: String, notes: [String] = []) throws {
    let writer = try TraceWriter(path: path)
    writer.notes = notes
    defer { writer.cancel() }
    for step in steps {
      try writer.beginStep(time: step.time)
      for row in step.rows {
        writer.add(
          TraceRow(
            vehicle: writer.names.index(of: row.name), x: row.x, y: row.y, speed: row.speed,
            position: row.position))
      }
    }
    try writer.finish()
  }

  /// The example as a trace file that is open and has no name any more.
  func opened() throws -> TraceFile {
    try withFolder { folder in
      try write(to: folder + "/t.trace")
      return try TraceFile(path: folder + "/t.trace")
    }
  }

  /// Vehicles that appear, leave, come back and teleport on a road, at irregular or regular times.
  static func random(seed: UInt64, steps count: Int = 60, vehicles: Int = 12) -> TraceExample {
    var stream = RandomStream(seed: seed, .test)
    var example = TraceExample()
    var tick = stream.index(below: 5)
    let tickLength = [0.1, 1, 0.5][stream.index(below: 3)]
    let isIrregular = stream.index(below: 2) == 0
    var places = (0..<vehicles).map { _ in
      (stream.uniform(0, 1500), stream.uniform(-10, 10), stream.uniform(5, 30))
    }
    var isThere = (0..<vehicles).map { _ in stream.index(below: 2) == 0 }
    for _ in 0..<count {
      let ticks = isIrregular ? 1 + stream.index(below: 3) : 1
      tick += ticks
      var rows: [Sample] = []
      for v in 0..<vehicles {
        places[v].0 += places[v].2 * Double(ticks) * tickLength
        if stream.index(below: 40) == 0 { places[v].0 = stream.uniform(0, 1500) }
        if stream.index(below: 12) == 0 { isThere[v].toggle() }
        if isThere[v] {
          rows.append(
            Sample(name: "v\(v)", x: places[v].0, y: places[v].1, speed: places[v].2))
        }
      }
      if stream.index(below: 4) == 0 { rows.shuffle(using: &stream) }
      example.steps.append(((Double(tick) * tickLength * 10).rounded() / 10, rows))
    }
    return example
  }

  /// Names in order of first appearance.
  var names: [String] {
    var names: [String] = []
    for row in steps.flatMap(\.rows) where !names.contains(row.name) { names.append(row.name) }
    return names
  }

  /// Position of a vehicle at a time by searching all samples; nil where absent.
  func place(of name: String, at time: Double, maximumGap: Double) -> (x: Double, y: Double)? {
    let samples = steps.compactMap { step in
      step.rows.first { $0.name == name }.map { (time: step.time, row: $0) }
    }
    if let hit = samples.first(where: { abs($0.time - time) < 1e-7 }) {
      return (hit.row.x, hit.row.y)
    }
    guard let before = samples.last(where: { $0.time < time }),
      let after = samples.first(where: { $0.time > time }),
      after.time - before.time <= maximumGap + 1e-7
    else { return nil }
    let weight = (time - before.time) / (after.time - before.time)
    return (
      before.row.x * (1 - weight) + after.row.x * weight,
      before.row.y * (1 - weight) + after.row.y * weight
    )
  }
}

/// Runs a body with a folder of its own, removed at the end.
func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = "/tmp/veclab-trace-\(UInt64.random(in: 0 ... .max))"
  try Files.makeFolder(folder)
  defer { try? Files.remove(folder) }
  return try body(folder)
}
