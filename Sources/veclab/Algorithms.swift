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

  func run() throws {
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
