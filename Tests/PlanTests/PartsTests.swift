import Support
import Testing

@testable import Plan
@testable import TestSupport

/// Parameters of several named parts, written as a mapping.
@Suite struct PartsTests {
  private func value(_ text: String) throws -> ParameterValue? {
    let experiment = try Experiment(
      text:
        "experiment: test\nmodel: single-rsu\ntrace: t.xml\ngrid: {product: {algorithm: [exact]}}\n\(text)\n",
      file: "x.yaml",
      profile: nil, models: Models.all)
    return experiment.parameters.first { $0.key == "backgroundLoad" }?.value
  }

  @Test func partsAreReadInAnyOrderAndAsAList() throws {
    let expected = ParameterValue.list([.number(0.1), .number(10)])
    for text in ["{probability: 0.1, mean: 10}", "{mean: 10, probability: 0.1}", "[0.1, 10]"] {
      #expect(try value("parameters: {backgroundLoad: \(text)}") == expected, "\(text)")
    }
  }

  @Test(arguments: [
    ("{probability: 0.1}", "x.yaml:5:30"), ("{probability: 0.1, maen: 10}", "Did you mean 'mean'"),
    ("{probability: 2, mean: 10}", "{probability: a number from 0 to 1, mean"),
    ("[0.1]", "{probability: a number from 0 to 1, mean"),
  ])
  func mistakesNamePlaceAndRemedy(_ text: String, _ says: String) {
    let message = sentence { _ = try value("parameters: {backgroundLoad: \(text)}") }
    #expect(message.contains(says), "\(message)")
    #expect(message.contains("x.yaml:5:"), "\(message)")
  }
}
