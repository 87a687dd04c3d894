internal import Glibc
internal import Simulation
public import Support
internal import Trace

extension Plan {
  /// What is allowed but hardly meant: parameters that nothing reads, conditions that hold nowhere, magnitudes far
  /// from the defaults, RSUs far from every road, slots shorter than the trace's sampling.
  ///
  /// - Parameter results: folder of all experiments' results, with the plan's traces.
  /// - Returns: each with the place in the experiment file.
  public func doubts(_ experiment: Experiment, results: String) -> [InputError] {
    var warnings = InputErrors()
    let algorithms = Set(
      runs.map(\.specification.algorithm))
    for warning in experiment.idleWarnings { warnings.add(warning) }
    for warning in experiment.unreadWarnings(algorithms) { warnings.add(warning) }
    for warning in experiment.magnitudeWarnings { warnings.add(warning) }
    let sources = RunSources(experimentFolder: "\(results)/\(experiment.name)")
    for warning in experiment.traceWarnings(runs, sources) { warnings.add(warning) }
    return warnings.errors
  }
}

extension Experiment {
  /// Settings of the file, each key and value once.
  private var distinctSettings: [Setting] {
    var seen: Set<String> = []
    return (parameters + points.flatMap(\.settings)).filter {
      seen.insert("\($0.key)=\($0.value.json.canonical)").inserted
    }
  }

  fileprivate var idleWarnings: [InputError] {
    // A profile may leave out what conditions of the file are for.
    guard profile == nil || profile == profiles.first else { return [] }
    return idleConditions.compactMap { condition in
      condition.tests.first?.location.error(
        "the condition holds at no point of the grid",
        value: condition.tests.map { test in
          "\(test.key): \(test.values.map(\.text).joined(separator: ", "))"
        }.joined(separator: ", "), advice: "Check its keys and values, or take it out")
    }
  }

  fileprivate func unreadWarnings(_ names: Set<String>) -> [InputError] {
    let schema = names.sorted().compactMap { model.algorithm($0) }.flatMap { model.schema(of: $0) }
    let read = Set(schema.map(\.key) + AnyModel.selectors)
    var seen: Set<String> = []
    return distinctSettings.filter { !read.contains($0.key) && seen.insert($0.key).inserted }.map {
      let key = $0.key
      let readers = model.algorithms.filter { algorithm in
        model.schema(of: algorithm).contains { $0.key == key }
      }.map(\.name)
      return $0.location.error(
        "is read by no algorithm of the grid",
        advice: readers.isEmpty
          ? "Take it out"
          : "It is for \(readers.joined(separator: ", ")); take it out, or add one of them")
    }
  }

  // MARK: Magnitudes

  /// Units of quantities that differ from their defaults by a factor, and how large a factor is likely an error.
  private static let units: Set<String> = [
    "Hz", "bit", "bit/s", "W", "J", "kWh", "s", "m", "m/s", "GFLOP", "GFLOP/s", "FLOP/s",
    "FLOP/cycle",
  ]
  private static let largestFactor = 1000.0
  private static let largestDecibels = 60.0

  fileprivate var magnitudeWarnings: [InputError] {
    distinctSettings.compactMap { setting in
      guard let parameter = model.definitions(of: setting.key).first,
        let usual = parameter.defaultValue.numbers.first
      else { return nil }
      for value in setting.value.numbers {
        guard let problem = Experiment.doubt(value, usual: usual, unit: parameter.unit) else {
          continue
        }
        return setting.location.error(
          problem, value: CSVWriter.text(of: value),
          advice: "Check the unit: it is \(parameter.unit)")
      }
      return nil
    }
  }

  private static func doubt(_ value: Double, usual: Double, unit: String) -> String? {
    let shown = "\(CSVWriter.text(of: usual)) \(unit)"
    if ["dB", "dBm"].contains(unit) {
      return abs(value - usual) > largestDecibels
        ? "is more than \(Int(largestDecibels)) dB from the default of \(shown)" : nil
    }
    guard units.contains(unit), value > 0, usual > 0 else { return nil }
    let factor = max(value / usual, usual / value)
    if factor <= largestFactor { return nil }
    let size = factor < 1e15 ? CSVWriter.text(of: factor.rounded()) : "very many"
    return "is \(size) times \(value < usual ? "below" : "above") the default of \(shown)"
  }

  // MARK: Traces

  fileprivate func traceWarnings(_ runs: [PlannedRun], _ sources: RunSources) -> [InputError] {
    var warnings: [InputError] = []
    var seen: Set<String> = []
    for run in runs {
      let given = run.specification.parameters
      func value(_ key: String) -> ParameterValue? {
        given[key]
          ?? model.parameters.first { $0.key == key }?.defaultValue
      }
      let sites = value("rsuPositions")?.pairs ?? value("rsu")?.pairs ?? []
      let range = (value("rsuRange") ?? value("coverage"))?.numbers.first
      let slot = value("slotLength")?.numbers.first ?? 1
      let key = "\(run.tracePath) \(sites) \(range ?? 0) \(slot)"
      guard seen.insert(key).inserted, seen.count <= 20,
        let trace = try? sources.trace(run.tracePath)
      else { continue }
      if let step = trace.samplingStep, step > slot * 1.5 {
        warnings.append(
          place(of: "slotLength").error(
            "the trace is sampled every \(CSVWriter.text(of: step)) s, which is coarser than the slot of "
              + "\(CSVWriter.text(of: slot)) s: positions between samples are interpolated",
            advice:
              "Where that matters run SUMO with a --step-length of \(CSVWriter.text(of: slot))"))
      }
      guard let range, !sites.isEmpty else { continue }
      let distances = trace.nearestDistances(to: sites)
      for (site, distance) in zip(sites, distances) where distance > 3 * range {
        warnings.append(
          place(of: value("rsuPositions")?.pairs.isEmpty == false ? "rsuPositions" : "rsu").error(
            "no vehicle comes near the RSU at [\(short(site.x, digits: 6)), \(short(site.y, digits: 6))]: the "
              + "nearest is about \(Int(distance)) m away, its range is \(CSVWriter.text(of: range)) m",
            advice:
              "Give positions in the trace's coordinates; 'veclab inspect' shows where its roads are"
          ))
      }
    }
    return warnings
  }

  private func place(of key: String) -> SourceLocation {
    distinctSettings.first { $0.key == key }?.location
      ?? traces.first?.location ?? location
  }
}

extension ParameterValue {
  /// The number that it is, or those of a list.
  fileprivate var numbers: [Double] {
    switch self {
    case .integer(let value): [Double(value)]
    case .number(let value): [value]
    case .list(let values): values.flatMap(\.numbers)
    default: []
    }
  }

  /// A position, or a list of positions.
  fileprivate var pairs: [(x: Double, y: Double)] {
    guard case .list(let values) = self else { return [] }
    if values.count == 2, case let own = numbers, own.count == 2,
      values.allSatisfy({ $0.numbers.count == 1 && !$0.isList })
    {
      return [(own[0], own[1])]
    }
    return values.flatMap(\.pairs)
  }

  private var isList: Bool { if case .list = self { true } else { false } }
}

extension TraceFile {
  /// Median time between two steps, from some of them; nil for a trace of one step.
  fileprivate var samplingStep: Double? {
    guard times.count > 1 else { return nil }
    let stride = max((times.count - 1) / 1000, 1)
    let steps = Swift.stride(from: 0, to: times.count - 1, by: stride).map {
      times[$0 + 1] - times[$0]
    }
    return Statistics.quantile(steps, 0.5)
  }

  /// Distance of the nearest vehicle to each place, over some of the trace's steps.
  fileprivate func nearestDistances(to sites: [(x: Double, y: Double)]) -> [Double] {
    var nearest = sites.map { _ in Double.infinity }
    let stride = max(times.count / 200, 1)
    for index in Swift.stride(from: 0, to: times.count, by: stride) {
      forEachStep(from: times[index], to: times[index]) { _, rows in
        for row in rows.indices {
          for (site, place) in sites.enumerated() {
            nearest[site] = min(nearest[site], hypot(rows[row].x - place.x, rows[row].y - place.y))
          }
        }
      }
    }
    return nearest
  }
}
