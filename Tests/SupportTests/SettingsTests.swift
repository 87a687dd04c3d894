import Support
import Testing

@Suite struct SettingsTests {
  enum Word: String, CaseIterable, DescribedSettingValue {
    case first
    case second = "zweite"
  }

  /// `auto`, or a place.
  enum Place: DescribedSettingValue, Equatable {
    case automatic
    case at(Double, Double)

    static let kind = Parameter.Kind.either([
      .choice(["auto"]), .list(of: .number(-10...10), count: 2...2),
    ])
    init?(_ value: ParameterValue) {
      if value == .text("auto") {
        self = .automatic
      } else if let numbers = [Double](value), numbers.count == 2 {
        self = .at(numbers[0], numbers[1])
      } else {
        return nil
      }
    }
    var parameterValue: ParameterValue {
      switch self {
      case .automatic: .text("auto")
      case .at(let x, let y): [x, y].parameterValue
      }
    }
  }

  struct Part: Settings, Equatable {
    @Setting(1...9, source: "ours", "A count.") var count = 3
    @Setting(source: "ours", "A word.") var word = Word.first
  }

  struct Whole: Settings, Equatable {
    @Setting(0...100, unit: "m", source: "P1 (2)", "A range.") var reach = 2.5
    @Setting(0...1, source: "ours", isImpliedAtDefault: true, "A bound.") var bound: Double? = nil
    var part = Part()
    @Setting(key: "V", source: "ours", "A flag.") var tradeOff = true
    @Setting(each: 1...5, count: 1...3, source: "ours", "Widths.") var widths = [1, 2]
    @Setting(source: "ours", "A place.") var place = Place.automatic
  }

  @Test func schemaFollowsFromTheFields() {
    let schema = Whole.parameters
    #expect(schema.map(\.key) == ["reach", "bound", "count", "word", "V", "widths", "place"])
    #expect(
      schema.map(\.defaultValue) == [
        .number(2.5), .none, .integer(3), .text("first"), .flag(true),
        .list([.integer(1), .integer(2)]), .text("auto"),
      ])
    #expect(
      schema.map(\.kind.description) == [
        "a number from 0 to 100", "a number from 0 to 1, or none", "a whole number from 1 to 9",
        "one of first, zweite", "true or false",
        "a list of 1 to 3, each a whole number from 1 to 5",
        "one of auto, or a list of 2 to 2, each a number from -10 to 10",
      ])
    #expect(schema.map(\.isImpliedAtDefault) == [false, true] + Array(repeating: false, count: 5))
    #expect(
      schema[0].unit == "m" && schema[0].source == "P1 (2)" && schema[0].summary == "A range.")
  }

  @Test func valuesAreDecodedAndWrittenBack() throws {
    var values = try ParameterValues(
      schema: Whole.parameters + [
        Parameter("other", .flag, default: .flag(false), source: "ours", "Of somebody else.")
      ],
      setting: [
        "reach": .integer(7), "bound": .number(0.5), "word": .text("zweite"), "V": .flag(false),
        "widths": .list([.integer(5)]), "place": .list([.number(1), .integer(2)]),
      ])
    var settings = Whole(values)
    var expected = Whole()
    expected.reach = 7
    expected.bound = 0.5
    expected.part.word = .second
    expected.tradeOff = false
    expected.widths = [5]
    expected.place = .at(1, 2)
    #expect(settings == expected && settings != Whole())
    // Messages name keys as experiment files do.
    #expect(settings.$tradeOff.key == "V" && settings.part.$count.key == "count")
    settings.bound = nil
    settings.part.count = 8
    values.set(settings)
    #expect(values["bound"] == .none && values["count"] == .integer(8))
    #expect(values["reach"] == .number(7) && values["other"] == .flag(false))
    #expect(Whole(values) == settings)
    #expect(Whole(try ParameterValues(schema: Whole.parameters)) == Whole())
  }
}
