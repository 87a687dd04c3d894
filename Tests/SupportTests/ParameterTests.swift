import Support
import Testing

@Suite struct ParameterTests {
  let schema = [
    Parameter("clients", .integer(1...64), default: .integer(5), source: "ours", "Clients."),
    Parameter("V", .number(0...1e6), default: .number(10), source: "P1 §8", "Weight of delay."),
    Parameter(
      "workload", .choice(["p1", "p2", "physical"]), default: .text("p1"), source: "P1 (6)",
      "Reading."),
    Parameter(
      "v2vRange", .optional(.number(0...1e5)), default: .none, unit: "m", source: "ours", "Range."),
    Parameter(
      "rsu", .either([.choice(["auto"]), .list(of: .number(-1e9...1e9), count: 2...2)]),
      default: .text("auto"), source: "ours", "Position."),
  ]

  @Test func defaultsAndConversions() throws {
    let values = try ParameterValues(
      schema: schema, setting: ["V": .integer(50), "rsu": .list([.integer(1), .number(2.5)])])
    #expect(values.integer("clients") == 5)
    #expect(values["V"] == .number(50))
    #expect(values.optionalNumber("v2vRange") == nil)
    #expect(values["rsu"] == .list([.number(1), .number(2.5)]))
    #expect(
      values.json.canonical
        == #"{"V":50,"clients":5,"rsu":[1,2.5],"v2vRange":null,"workload":"p1"}"#)
  }

  @Test func wrongValuesNameWhatIsAllowed() {
    #expect(
      throws: InputError(
        "must be a whole number from 1 to 64", key: "clients", value: "0",
        advice: "The default is 5")
    ) { try ParameterValues(schema: schema, setting: ["clients": .integer(0)]) }
    #expect(
      throws: InputError(
        "must be one of p1, p2, physical", key: "workload", value: "phisical",
        advice: "Did you mean 'physical'?")
    ) { try ParameterValues(schema: schema, setting: ["workload": .text("phisical")]) }
    #expect(
      throws: InputError(
        "is not a known parameter", key: "cleints", advice: "Did you mean 'clients'?")
    ) { try ParameterValues(schema: schema, setting: ["cleints": .integer(0)]) }
    for bad: ParameterValue in [.number(.infinity), .number(.nan), .flag(true), .list([])] {
      #expect(throws: InputError.self) { try ParameterValues(schema: schema, setting: ["V": bad]) }
    }
    #expect(throws: InputError.self) {
      try ParameterValues(schema: schema, setting: ["rsu": .list([.number(1)])])
    }
  }
}
