import Support
import Testing

@Suite struct CSVTests {
  @Test func numbersAreShortestAndReadBack() {
    #expect(CSVWriter.text(of: 10) == "10")
    #expect(CSVWriter.text(of: -0.0) == "0")
    #expect(CSVWriter.text(of: 0.1) == "0.1")
    #expect(CSVWriter.text(of: .nan) == "")
    var stream = RandomStream(seed: 1, .test)
    for i in 0..<2000 {
      let value = Double(bitPattern: stream.next())
      if !value.isFinite { continue }
      #expect(Double(CSVWriter.text(of: value)) == value, "draw \(i)")
    }
  }

  @Test func writtenTableReadsBack() throws {
    var writer = CSVWriter(columns: ["name", "value_s"])
    writer.append([.text("a,\"b\"\nc"), .number(1.5)])
    writer.append([.text("ü"), .missing])
    writer.append([.text(""), .integer(3)])
    #expect(writer.rows == 3)
    let text = String(decoding: writer.bytes, as: UTF8.self)
    let table = try CSVTable(text: text, file: "x.csv")
    #expect(try table.texts("name") == ["a,\"b\"\nc", "ü", ""])
    let numbers = try table.numbers("value_s")
    #expect(numbers[0] == 1.5 && numbers[1].isNaN && numbers[2] == 3)
    #expect(table.lines == [2, 4, 5])
  }

  @Test func errorsNameFileLineAndAdvice() throws {
    #expect(
      throws: InputError(
        "has 1 fields where the header names 2", file: "x.csv", line: 3)
    ) { try CSVTable(text: "a,b\n1,2\n3\n", file: "x.csv") }
    let table = try CSVTable(text: "mean_delay_s\n1\nx\n", file: "x.csv")
    #expect(
      throws: InputError(
        "has no column 'mean_dealy_s'", file: "x.csv", line: 1,
        advice: "Did you mean 'mean_delay_s'?")
    ) { try table.index(of: "mean_dealy_s") }
    #expect(
      throws: InputError(
        "is not a number", file: "x.csv", line: 3, key: "mean_delay_s", value: "x")
    ) { try table.numbers("mean_delay_s") }
    #expect(throws: InputError.self) { try CSVTable(text: "a\n\"b\n", file: "x.csv") }
    #expect(throws: InputError.self) { try CSVTable(text: "", file: "x.csv") }
  }
}

@Suite struct JSONTests {
  @Test func canonicalTextSortsKeysAndShortensNumbers() {
    let value = JSONValue.object([
      "b": .list([.integer(1), .number(2), .number(0.5), .null, .flag(true)]),
      "a": .text("q\"\\\n\u{1}ü"),
    ])
    #expect(value.canonical == #"{"a":"q\"\\\n\u0001ü","b":[1,2,0.5,null,true]}"#)
  }

  @Test func textReadsBack() throws {
    let texts = [
      #"{"a":[1,-2.5,1e300,true,false,null,"x"],"b":{}}"#, "[]", "\"\\ud83d\\ude00\"", "0",
    ]
    for text in texts {
      let value = try JSONValue(parsing: Array(text.utf8))
      #expect(try JSONValue(parsing: Array(value.canonical.utf8)) == value)
      #expect(try JSONValue(parsing: Array(value.readable.utf8)) == value)
    }
  }

  @Test(arguments: [
    "", "{", "{\"a\":1,}", "[1,]", "{\"a\":1,\"a\":2}", "nul", "1 2", "\"\u{1}\"", "-", "1e999",
    "\"\\ud83d\"", "[1", "+1", ".5",
  ])
  func damagedTextIsAnError(text: String) {
    #expect(throws: InputError.self) { try JSONValue(parsing: Array(text.utf8)) }
  }

  @Test func everyTruncationIsAnErrorAndNeverACrash() throws {
    let bytes = Array(#"{"a":[1,{"b":"ü\n"}],"c":-1.5e3}"#.utf8)
    for count in 0..<bytes.count {
      #expect(throws: InputError.self) { try JSONValue(parsing: Array(bytes.prefix(count))) }
    }
    let deep = Array(String(repeating: "[", count: 100_000).utf8)
    #expect(throws: InputError.self) { try JSONValue(parsing: deep) }
  }
}

@Suite struct DigestTests {
  /// Test vectors of FIPS 180-2.
  @Test func sha256() {
    #expect(
      SHA256Digest.hex(of: "abc")
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      SHA256Digest.hex(of: "")
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  }
}

@Suite struct InputErrorTests {
  @Test func sentenceNamesPlaceKeyValueProblemAndAdvice() {
    let error = InputError(
      "must be a whole number of at least 1", file: "a.yaml", line: 3, column: 5, key: "clients",
      value: "x\ny", advice: "The default is 5")
    #expect(
      error.description
        == "a.yaml:3:5: clients: must be a whole number of at least 1 (got 'x\\ny'). The default is 5."
    )
  }

  @Test func nearestNames() {
    #expect(nearestName(to: "clinets", among: ["V", "clients", "seed"]) == "clients")
    #expect(nearestName(to: "greddy", among: ["greedy", "genetic"]) == "greedy")
    #expect(nearestName(to: "batch", among: ["beta", "batchSize"]) == "batchSize")
    #expect(nearestName(to: "zzzzzz", among: ["greedy", "genetic"]) == nil)
    #expect(nearestName(to: "", among: ["V"]) != nil)
  }
}
