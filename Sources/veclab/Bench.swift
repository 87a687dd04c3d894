import ArgumentParser
import Support

/// `veclab bench`: measurements of speed; never part of a test.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure the speed of the training, simulation and import code.",
    subcommands: [
      BenchTrain.self, BenchKernels.self, BenchStep.self, BenchTasks.self, BenchSAC.self,
      BenchAgent.self, BenchImport.self,
    ])
}

/// Does something with parameters that options have set; an error about one of them names its option.
func namingOptions<Result>(
  _ options: [String: String], _ body: () throws -> Result
) throws -> Result {
  do {
    return try body()
  } catch var error as InputError {
    error.key = error.key.map { options[$0] ?? $0 }
    throw error
  }
}

/// What was measured as one JSON object, with all digits.
func jsonLine(_ rows: KeyValuePairs<String, JSONValue>) -> String {
  JSONValue.object(Dictionary(uniqueKeysWithValues: rows.map { ($0.key, $0.value) })).serialised()
}

/// What was measured for people: `key: value`, one a line.
func lines(_ rows: KeyValuePairs<String, JSONValue>) -> String {
  rows.map { key, value in
    let text =
      if case .number(let number) = value {
        short(number, digits: 4)
      } else {
        value.textValue ?? value.serialised()
      }
    return "\(key): \(text)"
  }.joined(separator: "\n")
}
