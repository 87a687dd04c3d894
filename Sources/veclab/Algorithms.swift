import ArgumentParser
import Plan
import Support

struct AlgorithmsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "algorithms",
    abstract:
      "List models with their measures, algorithms, and all parameters with defaults and units.")

  @Argument(help: "Model or algorithm whose parameters to list (default: the names only).")
  var name: String?

  @Flag(help: "Print all of it as JSON: models, algorithms, parameters, measures, files of a run.")
  var json = false

  func run() throws {
    if json {
      print(AlgorithmsCommand.reference.readable, terminator: "")
      return
    }
    guard let name else {
      for model in Models.all {
        print("\(model.name)  (\(model.parameters.count) parameters)")
        for algorithm in model.algorithms {
          print("  \(AlgorithmsCommand.padded(algorithm.name, 24))  \(algorithm.summary)")
        }
      }
      return
    }
    var isFound = false
    for model in Models.all {
      if model.name == name {
        isFound = true
        print("Parameters of model \(name):")
        AlgorithmsCommand.list(model.parameters)
        print("Parameters of every run:")
        AlgorithmsCommand.list(RunParameters.all)
        print("Parameters of learners:")
        AlgorithmsCommand.list(RunParameters.learners + [RunParameters.checkpointEvery])
        print("Measures of an episode:")
        for measure in model.measures {
          let unit = measure.unit.isEmpty ? "" : "  [\(measure.unit)]"
          print("  \(measure.name)\(unit)\n      \(measure.summary)")
        }
      }
      if let algorithm = model.algorithm(name) {
        isFound = true
        print("\(name) (model \(model.name), version \(algorithm.version)): \(algorithm.summary)")
        AlgorithmsCommand.list(algorithm.parameters)
      }
    }
    if !isFound {
      let known = Models.all.flatMap { [$0.name] + $0.algorithms.map(\.name) }
      let advice =
        nearestName(to: name, among: known).map { "Did you mean '\($0)'?" }
        ?? "Known are \(known.joined(separator: ", "))."
      throw ValidationError("'\(name)' is neither a model nor an algorithm. \(advice)")
    }
  }

  private static func list(_ parameters: [Parameter]) {
    if parameters.isEmpty { print("  none of its own") }
    for parameter in parameters {
      let unit = parameter.unit.isEmpty ? "" : " \(parameter.unit)"
      print("  \(parameter.key) = \(parameter.defaultValue.text)\(unit)  [\(parameter.source)]")
      print("      \(parameter.summary) \(parameter.kind).")
    }
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}

extension AlgorithmsCommand {
  /// Everything that an experiment file may set and a run may show.
  private static var reference: JSONValue {
    .object([
      "models": .list(Models.all.map(json)),
      "everyRun": .list(RunParameters.all.map(json)),
      "learners": .list((RunParameters.learners + [RunParameters.checkpointEvery]).map(json)),
    ])
  }

  private static func json(_ model: AnyModel) -> JSONValue {
    .object([
      "name": .text(model.name), "version": .integer(model.version),
      "parameters": .list(model.parameters.map(json)),
      "algorithms": .list(
        model.algorithms.map { algorithm in
          .object([
            "name": .text(algorithm.name), "version": .integer(algorithm.version),
            "summary": .text(algorithm.summary), "learns": .flag(algorithm.isLearner),
            "parameters": .list(algorithm.parameters.map(json)),
          ])
        }),
      "measures": .list(
        model.measures.map { measure in
          .object([
            "name": .text(measure.name), "unit": .text(measure.unit),
            "summary": .text(measure.summary),
          ])
        }),
      "tables": .list(
        model.tables.map { table in
          .object([
            "file": .text(table.file), "columns": .list(table.columns.map { .text($0) }),
            "onlyRecorded": .flag(table.isRecorded),
          ])
        }),
    ])
  }

  private static func json(_ parameter: Parameter) -> JSONValue {
    .object([
      "key": .text(parameter.key), "kind": .text("\(parameter.kind)"),
      "default": .text(parameter.defaultValue.text), "unit": .text(parameter.unit),
      "source": .text(parameter.source), "summary": .text(parameter.summary),
    ])
  }
}
