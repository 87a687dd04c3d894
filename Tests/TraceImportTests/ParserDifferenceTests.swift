import Support
import Testing
import Trace
import TraceImport

/// What an import of some bytes comes to, whatever reads it: the summary, or the sentence of the error.
private enum Outcome: Equatable {
  case imported(ImportSummary)
  case refused(String)
}

/// The same input through the scanner with blocks of several sizes, and through libxml2 alone.
@Suite struct ParserDifferenceTests {
  private func outcome(_ bytes: [UInt8], _ options: ImportOptions) throws -> Outcome {
    do {
      var summary = try importBytes(bytes, options).summary
      // Reading stops after the end, but blocks are read whole.
      if options.end != nil { summary.bytes = 0 }
      return .imported(summary)
    } catch let error as InputError {
      var error = error
      error.file = "input"
      // Of two faults in one tag libxml2 finds this or that first, by how much of it came at once.
      error.problem.replace(/is truncated or damaged XML \(.*\)/, with: "is no XML")
      if error.problem.hasPrefix("is no XML") { error.advice = nil }
      return .refused(error.description)
    }
  }

  private func expectSame(
    _ bytes: [UInt8], _ what: @autoclosure () -> String, blocks: [Int] = [64, 700, 256 * 1024],
    _ change: (inout ImportOptions) -> Void = { _ in }
  ) throws {
    var options = ImportOptions()
    change(&options)
    options.parser = .libxml2
    options.threads = 1
    let expected = try outcome(bytes, options)
    for size in blocks {
      options.blockBytes = size
      for parser in [ImportOptions.Parser.automatic, .scalar] {
        options.parser = parser
        options.threads = size % 2 + 1
        let found = try outcome(bytes, options)
        #expect(
          found == expected,
          "\(what()), \(parser), blocks of \(size): \(String(decoding: bytes, as: UTF8.self))")
      }
    }
  }

  @Test(arguments: UInt64(0)..<12)
  func generatedInputsAreTheSame(seed: UInt64) throws {
    let bytes = Array(GeneratedInput(seed: seed).text.utf8)
    try expectSame(bytes, "seed \(seed)", blocks: [16, 64, 333, 256 * 1024])
    try expectSame(bytes, "seed \(seed), a part") {
      $0.begin = 2
      $0.end = 7.5
      $0.step = 1
      $0.types = ["car"]
      $0.rectangle = .init(x0: 0, y0: 200, x1: 1000, y1: 700)
    }
  }

  /// Elements as SUMO writes them, and around them everything that the scanner must leave to libxml2.
  static let oddities = [
    "<vehicle id=\"a&amp;b\" x=\"1\" y=\"2\"/>", "<vehicle id='q' x='1' y='2'/>",
    "<vehicle id=\"c\" x=\"1\" y=\"2\"></vehicle>", "<vehicle id=\"d\"  x=\"1\" y=\"2\" />",
    "<vehicle\nid=\"e\" x=\"1\" y=\"2\"/>", "<vehicle id=\"f\tg\" x=\"1\" y=\"2\"/>",
    "<vehicle y=\"2\" x=\"1\" id=\"h\"/>", "<vehicle id=\"ü車\" x=\"1\" y=\"2\"/>",
    "<!-- <vehicle id=\"i\" x=\"1\" y=\"2\"/> -->", "<![CDATA[<vehicle id=\"i\"/>]]>", "text",
    "<other x=\"1\"/>", "<?pi <vehicle?>", "<vehicle id=\"j\" x=\"1e2\" y=\"+2\"/>",
    "<vehicle id=\"k\" x=\"12345678901234567890\" y=\".5\"/>",
    "<vehicle id=\"l\" x=\"-0\" y=\"123456789.123456\"/>",
    "<vehicle id=\"m\" x=\"1\" y=\"2\" a:b=\"3\" xmlns:a=\"urn:a\"/>",
    "<vehicle id=\"n\" x=\"1\" y=\"2\" xmlns=\"urn:a\"/>",
    "<vehicle id=\"o\" x=\"1\" y=\"2\" speed=\"3\" pos=\"4\"><person id=\"p\"/></vehicle>",
    "<person id=\"p\" x=\"1\"/>", "<container id=\"c\"/>", "&#32;", "\r\n",
    "<vehicle id=\"r\" x=\"1\" y=\"2\" signals=\"0\" type=\"car\" lane=\"a>b\"/>",
    "</timestep><timestep time=\"9e1\"><vehicle id=\"s\" x=\"1\" y=\"2\"/>",
    "</timestep>x<timestep time=\"00:01:40\">",
    "</timestep><q:b xmlns:q=\"u\"/><timestep time=\"100\">",
    "</timestep><timestep time=\"101\" a=\"b\">",
    "</timestep><timestep time=\"102\"/><timestep time=\"103\">",
    // Errors.
    "<vehicle id=\"a\" x=\"1\" y=\"2\"/>", "<vehicle id=\"z\" x=\"1\" y=\"2\" x=\"3\"/>",
    "<vehicle id=\"\" x=\"1\" y=\"2\"/>", "<vehicle id=\"z\" y=\"2\"/>",
    "<vehicle x=\"1\" y=\"2\"/>",
    "<vehicle id=\"z\" x=\"1.\" y=\"2..\"/>", "<vehicle id=\"z\" x=\"-\" y=\"2\"/>",
    "<vehicle id=\"z\" x=\"1\" y=\"2\" speed=\"\"/>", "<vehicle id=\"<\" x=\"1\" y=\"2\"/>",
    "<vehicle id=\"z\"x=\"1\" y=\"2\"/>", "<vehicle id=\"\u{1}\" x=\"1\" y=\"2\"/>", "]]>",
    "</timestep><timestep time=\"0\">", "</timestep><timestep time=\"x\">",
    "<timestep time=\"99\">",
    "</timestep></fcd-export>", "<vehicle id=\"&z;\" x=\"1\" y=\"2\"/>", "<vehicle", "</vehicle>",
    "<a:b/>", "<vehicle id=\"z\" a:b=\"1\" x=\"1\" y=\"2\"/>", "<!-- -- -->", "<",
  ]

  private static func document(with oddity: String) -> String {
    var body = ""
    for step in 0..<4 {
      body += "    <timestep time=\"\(step).00\">\n"
      for v in 0..<3 {
        body +=
          "        <vehicle id=\"\("abc".dropFirst(v).prefix(1))\" x=\"10.2\(v)\" y=\"-\(step).5\" angle=\"90.00\" "
          + "type=\"car\" speed=\"13.90\" pos=\"5.10\" lane=\"e_0\" slope=\"0.00\"/>\n"
        if step == 2, v == 0 { body += oddity + "\n" }
      }
      body += "    </timestep>\n"
    }
    return export(body)
  }

  @Test(arguments: oddities)
  func whateverStandsBetweenVehiclesIsReadTheSame(oddity: String) throws {
    try expectSame(Array(ParserDifferenceTests.document(with: oddity).utf8), oddity) {
      $0.coordinates = .metres
    }
  }

  @Test func charactersOutsideXMLAreTheSame() throws {
    for bytes: [UInt8] in [
      [0x80], [0xC3], [0xC3, 0xBC], [0xED, 0xA0, 0x80], [0xEF, 0xBF, 0xBE],
      [0xF4, 0x90, 0x80, 0x80],
      [0xF0, 0x9F, 0x9A, 0x97], [0xE0, 0x80, 0x80], [0xC0, 0x80], [0], [0x7F], [0x1F],
      [0xC2, 0x85],
    ] {
      let text = ParserDifferenceTests.document(with: "<vehicle id=\"~\" x=\"1\" y=\"2\"/>")
      let input = text.utf8.flatMap { $0 == UInt8(ascii: "~") ? bytes : [$0] }
      try expectSame(input, "\(bytes)", blocks: [64, 256 * 1024]) { $0.coordinates = .metres }
    }
  }

  @Test(arguments: UInt64(0)..<6)
  func damagedInputsAreTheSame(seed: UInt64) throws {
    var stream = RandomStream(seed: seed, .test)
    for round in 0..<60 {
      let oddities = ParserDifferenceTests.oddities
      let oddity = oddities[stream.index(below: oddities.count)]
      var bytes = Array(ParserDifferenceTests.document(with: oddity).utf8)
      for _ in 0...stream.index(below: 3) {
        let place = stream.index(below: bytes.count)
        switch stream.index(below: 4) {
        case 0: bytes[place] = UInt8(stream.index(below: 256))
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(Array("<>&\"'/= \n-;x0".utf8)[stream.index(below: 13)], at: place)
        default:
          let count = min(bytes.count - place, stream.index(below: 200))
          bytes.insert(
            contentsOf: bytes[place..<place + count], at: stream.index(below: bytes.count))
        }
      }
      try expectSame(bytes, "seed \(seed), round \(round)", blocks: [100, 256 * 1024]) {
        $0.coordinates = .metres
      }
    }
  }
}
