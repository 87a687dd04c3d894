import Support
import Testing
import Trace
import TraceImport

/// Inputs that would cost far more than their size, and what is lost in other parsers without a word.
@Suite struct BoundedCostTests {
  private func step(_ content: String) -> String { "<timestep time=\"0\">\(content)</timestep>" }

  private func expectLimit(
    _ name: String, _ content: String, number: Int, _ change: (inout ImportLimits) -> Void
  ) throws {
    for parser in ImportOptions.Parser.allCases {
      var options = ImportOptions()
      options.coordinates = .metres
      options.parser = parser
      let error = #expect(throws: InputError.self, "\(name), \(parser)") {
        try importText(export(content), options)
      }
      #expect(
        error?.description.contains("limit of \(number)") == true, "\(String(describing: error))")
      #expect(error?.advice?.contains("--limit \(name)=") == true, "\(String(describing: error))")
      change(&options.limits)
      let raised = try importText(export(content), options)
      #expect(raised.summary.timesteps > 0, "\(name), \(parser)")
    }
  }

  @Test func everyLimitIsAnErrorThatNamesItAndCanBeRaised() throws {
    let vehicle = "<vehicle id=\"a\" x=\"1\" y=\"2\""
    try expectLimit(
      "tag", step(vehicle + " lane=\"\(String(repeating: "x", count: 65_536))\"/>"),
      number: 65_536
    ) { $0.tag = 100_000 }
    try expectLimit(
      "id", step("<vehicle id=\"\(String(repeating: "x", count: 1025))\" x=\"1\" y=\"2\"/>"),
      number: 1024
    ) { $0.id = 2000 }
    let many = (0..<254).map { " a\($0)=\"\"" }.joined()
    try expectLimit("attributes", step(vehicle + many + "/>"), number: 256) {
      $0.attributes = 1000
    }
    let nested =
      String(repeating: "<a>", count: 64) + String(repeating: "</a>", count: 64)
    try expectLimit("depth", step("") + nested, number: 64) { $0.depth = 100 }
    // Unlike names on elements of every kind, each of which the scanner would accept.
    let names = (0..<4100).map { "<person id=\"p\" n\($0)=\"1\"/>" }.joined(separator: "\n")
    try expectLimit("names", step(names), number: 4096) { $0.names = 5000 }
    let namespaces = (0..<4100).map { "<q:p xmlns:q=\"u\($0)\"/>" }.joined()
    try expectLimit("names", step("") + namespaces, number: 4096) { $0.names = 5000 }
    try expectLimit(
      "comment", "<!--" + String(repeating: " ", count: 1 << 20) + "-->" + step(""),
      number: 1 << 20
    ) { $0.comment = 2 << 20 }
  }

  @Test func rowsOfAStepAndIdsAreBounded() throws {
    let rows = (0..<40).map { "<vehicle id=\"v\($0)\" x=\"1\" y=\"2\"/>\n" }.joined()
    for parser in ImportOptions.Parser.allCases {
      var options = ImportOptions()
      options.coordinates = .metres
      options.parser = parser
      options.limits.step = 500
      let long = #expect(throws: InputError.self) { try importText(export(step(rows)), options) }
      #expect(long?.advice?.contains("--limit step=1000") == true, "\(String(describing: long))")
      // The line of the row that is too much, from 5 lines before the first.
      #expect(long?.line == 22, "\(String(describing: long))")
      options.limits.step = 1 << 20
      options.limits.ids = 39 * 26
      let many = #expect(throws: InputError.self) { try importText(export(step(rows)), options) }
      #expect(many?.advice?.contains("--limit ids=") == true, "\(String(describing: many))")
    }
  }

  @Test func limitsAreSetByName() throws {
    var limits = ImportLimits()
    try limits.set("tag=70000,depth=9")
    #expect(limits.tag == 70_000 && limits.depth == 9 && limits.names == 4096)
    for wrong in ["tag", "tag=", "tag=0", "tags=1", "", "tag=1,", "tag=-1", "tag=1e3"] {
      #expect(throws: InputError.self, "\(wrong)") { try limits.set(wrong) }
    }
  }

  @Test func limitsHoldInTwoByteEncodings() throws {
    let text =
      "<?xml version=\"1.0\" encoding=\"UTF-16\"?><fcd-export><timestep time=\"0\"><vehicle id=\"ü\" x=\"1\" y=\"2\"/>"
      + "</timestep>"
    for isBig in [false, true] {
      func encoded(_ text: String) -> [UInt8] {
        (isBig ? [0xFE, 0xFF] : [0xFF, 0xFE])
          + text.utf16.flatMap {
            isBig
              ? [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)]
              : [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)]
          }
      }
      #expect(try importBytes(encoded(text + "</fcd-export>")).trace.vehicleName(0) == "ü")
      let error = #expect(throws: InputError.self) {
        try importBytes(encoded(text + String(repeating: "<a>", count: 100)))
      }
      #expect(error?.advice?.contains("--limit depth=") == true, "\(String(describing: error))")
    }
    #expect(throws: InputError.self) {
      try importText("<?xml version=\"1.0\" encoding=\"UTF-7\"?><fcd-export/>")
    }
  }

  @Test func aStepLargerThanMemoryIsWrittenInPieces() throws {
    // 5 MB of rows in one step, more than the writer keeps, between small ones.
    var body = "<timestep time=\"0\"><vehicle id=\"v3\" x=\"7\" y=\"2\"/></timestep>\n"
    body += "<timestep time=\"1\">\n"
    for v in 0..<130_000 { body += "<vehicle id=\"v\(v)\" x=\"\(v)\" y=\"2\"/>\n" }
    body += "</timestep>\n<timestep time=\"2\"><vehicle id=\"v9\" x=\"8\" y=\"2\"/></timestep>\n"
    var options = ImportOptions()
    options.coordinates = .metres
    let imported = try importText(export(body), options)
    #expect(imported.summary.vehicles == 130_002 && imported.trace.header.rows == 130_002)
    var sums: [Double] = []
    imported.trace.forEachStep { _, rows in
      var sum = 0.0
      for i in rows.indices { sum += rows[i].x }
      sums.append(sum)
    }
    #expect(sums == [7, 129_999 * 130_000 / 2, 8])
    #expect(imported.trace.vehicleName(0) == "v3" && imported.trace.vehicleName(9) == "v9")
  }

  // MARK: - Nothing lost in silence

  @Test(arguments: [
    ("vehicle id=\"b\" x=\"1\" y=\"2\"/>", "text in a timestep", 1),
    ("<vehjcle id=\"b\" x=\"1\" y=\"2\"/>", "<vehjcle> in a timestep", 1),
    ("</timestep>x<timestep time=\"1\">", "text between timesteps", 1),
    ("<![CDATA[x]]>", "text in a timestep", 1),
    (
      "</timestep><timeztep time=\"1\"><vehicle id=\"b\" x=\"1\" y=\"2\"/></timeztep><timestep time=\"2\">",
      "<vehicle> inside <timeztep>", 2
    ),
  ])
  func whatIsLeftOutIsSaid(content: String, what: String, kinds: Int) throws {
    let row = "<vehicle id=\"a\" x=\"200\" y=\"300\"/>"
    let summary = try importText(export(step(row + content))).summary
    #expect(summary.vehicles == 1)
    #expect(summary.leftOut.count == kinds && summary.leftOut.allSatisfy { $0.count == 1 })
    #expect(summary.leftOut.last?.what == what && summary.leftOut.last?.line == 6)
    #expect(summary.warnings.contains { $0.contains(what) && $0.contains("line 6") })
    let sound = try importText(export("<metadata><a>x</a></metadata>" + step(row))).summary
    #expect(sound.leftOut.isEmpty)
  }

  @Test func controlCharactersOfIdsAreEscaped() throws {
    let row = "<vehicle id=\"a&#10;b&#x9b;31m&#x202e;\" x=\"1\" y=\"2\"/>"
    let error = #expect(throws: InputError.self) { try importText(export(step(row + row))) }
    let text = error?.description ?? ""
    #expect(text.contains("a\\nb\\u{9b}31m\\u{202e}"), "\(text)")
    #expect(!text.unicodeScalars.contains { $0.value < 32 || (0x7F..<0xA0).contains($0.value) })
  }

  @Test(arguments: [
    ("<fcd-export>\n<timestep time=\"0\"/></fcd-export>\n<a/>", "byte 47", "follows </fcd-export>"),
    ("<fcd-export>\n<timestep time=\"0\"/></fcd-export>\nx", "byte 47", "follows </fcd-export>"),
    ("<!-- a -- b --><fcd-export/>", "Double hyphen", "'--'"),
    ("<fcd-export><timestep time=\"a & b\"/></fcd-export>", "byte", "&amp;"),
    ("<fcd-export><timestep time=\"a&b\"/></fcd-export>", "byte", "&amp;"),
    ("<fcd-export><timestep time=\"<\"/></fcd-export>", "byte", "&lt;"),
    ("<?xml version=\"1.0\" encoding=\"xyz\"?><fcd-export/>", "xyz", "encoding"),
  ])
  func adviceFitsTheCause(text: String, place: String, advice: String) {
    let error = #expect(throws: InputError.self) { try importText(text) }
    #expect(error?.description.contains(place) == true, "\(String(describing: error))")
    #expect(error?.advice?.contains(advice) == true, "\(String(describing: error))")
  }

  @Test func bytesOfAnotherEncodingAreNamed() {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><fcd-export a=\"~n\"/>"
    let error = #expect(throws: InputError.self) {
      try importBytes(text.utf8.map { $0 == UInt8(ascii: "~") ? 0xE4 : $0 })
    }
    #expect(error?.advice?.contains("iconv") == true, "\(String(describing: error))")
  }
}
