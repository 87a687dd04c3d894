import Foundation
import Support
import Testing
import Trace
import TraceImport

@Suite struct ImportTests {
  private let vehicle = "<vehicle id=\"a\" x=\"200\" y=\"300\" speed=\"1\" pos=\"2\"/>"

  @Test(arguments: UInt64(0)..<20)
  func countsAndSumsAreExact(seed: UInt64) throws {
    let input = GeneratedInput(seed: seed)
    let plain = try importText(input.text)
    #expect(input.equals(plain.summary), "seed \(seed): \(plain.summary)")
    #expect(plain.trace.header.rows == input.expected.vehicles)
    #expect(plain.trace.header.vehicles == input.expected.ids)
    #expect(plain.trace.digest == plain.summary.digest)
    for members in [1, 2, 7] {
      let packed = gzip(Array(input.text.utf8), members: members, seed: seed)
      let unpacked = try importBytes(packed)
      #expect(input.equals(unpacked.summary), "seed \(seed), \(members) members")
      #expect(unpacked.summary.digest == plain.summary.digest)
    }
  }

  @Test func rowsArriveAsTheyStand() throws {
    let imported = try importText(
      export(
        """
        <timestep time="0.00"/>
        <timestep time="1.00">
          <vehicle id="b&amp;&lt;c&#38;&#252;&quot;" x="1234.56" y="-7.25" speed="13.90" pos="0.1"/>
          <vehicle pos="3" y="2e2" type='bus' x="+.5" id='ü'/>
        </timestep>
        """))
    #expect(
      imported.rows == ["0.0", "1.0 b&<c&ü\" 1234.56 -7.25 13.9", "1.0 ü 0.5 200.0 nan"])
    #expect(imported.summary.timesteps == 2 && imported.summary.emptyTimesteps == 1)
    #expect(imported.summary.rowsWithoutSpeed == 1)
    imported.trace.forEachStep(from: 1) { _, rows in
      #expect(rows[0].position == 0.1 && rows[1].position == 3)
    }
  }

  @Test func metadataUnknownElementsAndNamespacesAreSkipped() throws {
    let imported = try importText(
      export(
        """
        <metadata><vehicle id="no" x="1"/><timestep time="9"/><person/>
          <sumoConfiguration xmlns:xsi="http://x"><input><net-file value="n"/></input></sumoConfiguration>
        </metadata>
        <timestep time="0"><future a="1"><b/></future>
          <vehicle id="a" x="200" y="3" speed="1" xsi:x="9" acceleration="garbage"><param key="k"/></vehicle>
        </timestep>
        """))
    #expect(imported.rows == ["0.0 a 200.0 3.0 1.0"])
    #expect(imported.summary.persons == 0)
  }

  @Test(arguments: [
    ("0", 0.0), ("12.30", 12.3), ("00:00:12.30", 12.3), ("01:02:03", 3723),
    ("1:00:00:00.5", 86400.5),
    ("27:00:01", 97201), ("-1.00", -1), ("86399.90", 86399.9), ("23:59:59.90", 86399.9),
    ("2:03:04:05.25", 183845.25), ("1e3", 1000),
    // SUMO up to 1.8: the fraction follows the seconds with its own zero.
    ("00:00:000.0", 0), ("00:00:000.10", 0.1), ("00:00:010.10", 1.1), ("00:01:590.90", 119.9),
  ])
  func timesParse(text: String, seconds: Double) throws {
    let imported = try importText(export("<timestep time=\"\(text)\">\(vehicle)</timestep>"))
    #expect(imported.trace.times == [seconds])
    #expect(ImportOptions.time(text) == seconds)
  }

  @Test(arguments: [
    "", "x", "1:2", "00:60:00", "00:00:60", "1:24:00:00", "00:00:01.", "::", "1:2:3:4:5", "nan",
    "0x10", "1 2", "inf", "1e999", "00:00:1e1",
    "00:00:010", "00:00:011.10", "00:00:600.10", "00:00:0010.1",
  ])
  func badTimesAreErrors(text: String) {
    #expect(throws: InputError.self) {
      try importText(export("<timestep time=\"\(text)\">\(vehicle)</timestep>"))
    }
    #expect(ImportOptions.time(text) == nil)
  }

  @Test func numbersAreCorrectlyRounded() throws {
    var stream = RandomStream(seed: 11, .test)
    var texts = [
      "0.1", "123456.789", "-0", "1e22", "1e-22", "1e23", "9007199254740993",
      "1.7976931348623157e308",
      "5e-324", "123456789012345", "1234567890123456", "0.000000000000000000000000000001",
      "00000000000000000000012.50", "72057594037927945", "1e-400", "-74.010612",
    ]
    for _ in 0..<2000 {
      let digits = 1 + stream.index(below: 19)
      var text = stream.index(below: 2) == 0 ? "-" : ""
      let point = stream.index(below: digits + 1)
      for i in 0..<digits {
        if i == point { text += i == 0 ? "0." : "." }
        text += "\(stream.index(below: 10))"
      }
      if stream.index(below: 4) == 0 { text += "e\(stream.index(below: 60) - 30)" }
      texts.append(text)
    }
    var body = ""
    for (i, text) in texts.enumerated() {
      body += "<vehicle id=\"\(i)\" x=\"\(text)\" y=\"500\" speed=\"0\"/>\n"
    }
    let imported = try importText(export("<timestep time=\"0\">\(body)</timestep>"))
    imported.trace.forEachStep { _, rows in
      for i in rows.indices {
        #expect(rows[i].x.bitPattern == Double(texts[i])?.bitPattern, "\(texts[i])")
      }
    }
  }

  @Test(arguments: [
    "nan", "inf", "-inf", "", " 1", "1 ", "1,5", "0x1p3", "1e999", "--1", "1.2.3", ".", "e5", "1e",
  ])
  func badNumbersAreErrorsWithLineAndValue(text: String) {
    for attribute in ["x", "y", "speed", "pos"] {
      let good = ["x": "1", "y": "2", "speed": "3", "pos": "4"]
      let attributes = good.merging([attribute: text]) { $1 }.sorted { $0.key < $1.key }
        .map { "\($0.key)=\"\($0.value)\"" }.joined(separator: " ")
      let error = #expect(throws: InputError.self) {
        try importText(
          "<fcd-export>\n<timestep time=\"0\">\n<vehicle id=\"a\" \(attributes)/></timestep></fcd-export>"
        )
      }
      #expect(error?.line == 3 && error?.value == text)
      #expect(error?.key?.contains(attribute) == true, "\(String(describing: error))")
    }
  }

  @Test(arguments: [
    ("<timestep time=\"1\"/><timestep time=\"0\"/>", "before it"),
    ("<timestep time=\"1\"/><timestep time=\"1\"/>", "before it"),
    ("<timestep/>", "no time"),
    ("<vehicle id=\"a\" x=\"1\" y=\"2\"/>", "outside a timestep"),
    ("<person id=\"a\" x=\"1\" y=\"2\"/>", "outside a timestep"),
    ("<timestep time=\"0\"><timestep time=\"1\"/></timestep>", "inside a timestep"),
    (
      "<timestep time=\"0\"><person><vehicle id=\"a\" x=\"1\" y=\"2\"/></person></timestep>",
      "inside another"
    ),
    ("<timestep time=\"0\"><vehicle x=\"1\" y=\"2\"/></timestep>", "no id"),
    ("<timestep time=\"0\"><vehicle id=\"\" x=\"1\" y=\"2\"/></timestep>", "no id"),
    ("<timestep time=\"0\"><vehicle id=\"a\" y=\"2\"/></timestep>", "no x"),
    ("<timestep time=\"0\"><vehicle id=\"a\" x=\"2\"/></timestep>", "fcd-output.attributes"),
    (
      "<timestep time=\"0\"><vehicle id=\"a\" x=\"1\" y=\"2\"/><vehicle id=\"a\" x=\"1\" y=\"2\"/></timestep>",
      "twice"
    ),
    ("<timestep time=\"0\"><vehicle id=\"a\" id=\"b\" x=\"1\" y=\"2\"/></timestep>", "redefined"),
    ("<timestep time=\"0\"><vehicle id=\"&none;\" x=\"1\" y=\"2\"/></timestep>", "none"),
    ("<timestep time=\"0\"></step>", "mismatch"),
    ("", "no timestep"),
    ("<metadata/>", "no timestep"),
  ])
  func wrongStructureIsAnError(content: String, expected: String) {
    let error = #expect(throws: InputError.self) { try importText(export(content)) }
    #expect(error?.description.contains(expected) == true, "\(String(describing: error))")
    #expect(error?.file?.hasSuffix("/input") == true)
  }

  @Test func otherFormatsAreNamed() {
    let cases: [([UInt8], String)] = [
      ([], "empty"),
      (Array("timestep_time;vehicle_id;vehicle_x\n0.00;a;1\n".utf8), "CSV"),
      (Array("PAR1\u{15}".utf8), "Parquet"),
      ([0x28, 0xB5, 0x2F, 0xFD, 0], "Zstandard"),
      (Array("<netstate><timestep time=\"0\"/></netstate>".utf8), "netstate-dump"),
      (Array("<emission-export/>".utf8), "emission-output"),
      (Array("hello".utf8), "something else"),
      (Array(" \n ".utf8), "XML"),
      (gzipMember([]), "empty"),
      (gzipMember(Array("a;b\n".utf8)), "CSV"),
      (gzipMember(gzipMember(Array("<fcd-export/>".utf8))), "gzip data inside"),
    ]
    for (bytes, expected) in cases {
      let error = #expect(throws: InputError.self) { try importBytes(bytes) }
      #expect(error?.description.contains(expected) == true, "\(String(describing: error))")
    }
    #expect(throws: InputError.self) { try TraceImporter.importTrace(from: "/tmp", to: "/tmp/x") }
    #expect(throws: InputError.self) {
      try TraceImporter.importTrace(from: "/missing", to: "/tmp/x")
    }
  }

  @Test func doctypeAndEntitiesAreRefused() throws {
    let attacks = [
      "<!DOCTYPE fcd-export SYSTEM \"file:///etc/passwd\">",
      "<!DOCTYPE fcd-export [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>",
      "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>",
    ]
    for attack in attacks {
      let error = #expect(throws: InputError.self) {
        try importText(
          "<?xml version=\"1.0\"?>\(attack)<fcd-export><timestep time=\"0\"><vehicle id=\"&a;\" x=\"1\" y=\"1\"/></timestep></fcd-export>"
        )
      }
      #expect(error?.description.contains("DOCTYPE") == true, "\(String(describing: error))")
    }
  }

  @Test func latin1AndByteOrderMarkAreRead() throws {
    let text =
      "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><fcd-export><timestep time=\"0\"><vehicle id=\"~\" x=\"1\" y=\"200\"/></timestep></fcd-export>"
    let bytes = Array(text.utf8).map { $0 == UInt8(ascii: "~") ? 0xFC : $0 }
    #expect(try importBytes(bytes).trace.vehicleName(0) == "ü")
    let invalid = text.replacing("ISO-8859-1", with: "UTF-8")
    #expect(throws: InputError.self) {
      try importBytes(Array(invalid.utf8).map { $0 == UInt8(ascii: "~") ? 0xFC : $0 })
    }
    let marked = [0xEF, 0xBB, 0xBF] + Array(export("<timestep time=\"0\"/>").utf8)
    #expect(try importBytes(marked).summary.timesteps == 1)
  }

  // MARK: - Filters

  private func filtered(_ change: (inout ImportOptions) -> Void) throws -> Imported {
    var body = ""
    for step in 0..<40 {
      body += "<timestep time=\"\(Double(step) / 10)\">"
      for v in 0..<4 where step % 10 != 9 {
        body +=
          "<vehicle id=\"\(v)\" type=\"\(v % 2 == 0 ? "car" : "bus")\" x=\"\(100 * v)\" y=\"\(step)\" speed=\"1\"/>"
      }
      body += "<person id=\"p\" x=\"0\" y=\"0\"/></timestep>"
    }
    var options = ImportOptions()
    options.coordinates = .metres
    change(&options)
    return try importText(export(body), options)
  }

  @Test func timeWindowStepAndPlaceSelect() throws {
    let all = try filtered { _ in }
    #expect(all.summary.timesteps == 40 && all.summary.emptyTimesteps == 4)
    #expect(all.summary.vehicles == 144 && all.summary.persons == 40)

    let window = try filtered {
      $0.begin = 0.5
      $0.end = 1.9
    }
    #expect(window.summary.timesteps == 15 && window.summary.emptyTimesteps == 2)
    #expect(window.summary.firstTime == 0.5 && window.summary.lastTime == 1.9)
    #expect(window.summary.persons == 15 && window.summary.vehicles == 13 * 4)

    let thinned = try filtered { $0.step = 0.3 }
    #expect(thinned.summary.timesteps == 14)
    #expect(thinned.trace.times == (0..<14).map { Double(3 * $0) / 10 })

    let rectangle = try filtered {
      $0.rectangle = .init(x0: 250, y0: 30, x1: 100, y1: 10)
    }
    #expect(rectangle.summary.timesteps == 40 && rectangle.summary.emptyTimesteps == 4)
    // x 100 and 200; y 10 to 30 without 19 and 29.
    #expect(rectangle.summary.vehicles == 2 * 19 && rectangle.summary.ids == 2)

    let circle = try filtered { $0.circle = .init(x: 100, y: 0, radius: 5) }
    #expect(circle.summary.vehicles == 6 && circle.trace.vehicleName(0) == "1")

    let types = try filtered { $0.types = ["bus", "tram"] }
    #expect(types.summary.vehicles == 72 && types.summary.ids == 2)
    #expect(types.summary.emptyTimesteps == 4)

    let error = #expect(throws: InputError.self) { try filtered { $0.begin = 100 } }
    #expect(error?.description.contains("3.9 s") == true)
  }

  @Test func theEndStopsReadingBeforeDamage() throws {
    let sound = GeneratedInput(seed: 4).text
    let cut = String(sound.utf8.prefix(sound.utf8.count * 3 / 4))!
    let error = #expect(throws: InputError.self) { try importText(cut) }
    #expect(error?.description.contains("truncated") == true)
    let last = try #require(
      error?.advice?.split(separator: " ").last.flatMap { Double($0) })
    var options = ImportOptions()
    options.end = last
    let rescued = try importText(cut, options)
    #expect(rescued.summary.lastTime == last)
    let whole = try importText(sound, options)
    #expect(rescued.summary.digest == whole.summary.digest)
  }

  // MARK: - Coordinates

  private func geographic(speeds: Bool = true, decimals: Int = 6) -> String {
    var body = ""
    for step in 0..<20 {
      body += "<timestep time=\"\(step)\">"
      for v in 0..<3 {
        // 20 m/s north and 15 m/s east at 40.7 degrees.
        let longitude = -74.01 + Double(v) * 0.001 + Double(step) * 15 / 84_480
        let latitude = 40.71 + Double(step) * 20 / 111_048
        let x = String(format: "%.\(decimals)f", longitude)
        let y = String(format: "%.\(decimals)f", latitude)
        body += "<vehicle id=\"\(v)\" x=\"\(x)\" y=\"\(y)\"\(speeds ? " speed=\"25.00\"" : "")/>"
      }
      body += "</timestep>"
    }
    return export(body)
  }

  @Test func longitudeAndLatitudeAreRecognisedAndProjected() throws {
    for text in [geographic(), geographic(speeds: false)] {
      let imported = try importText(text)
      #expect(imported.summary.isGeographic)
      #expect(
        imported.trace.header.projection == .localPlane(longitude: -74.01, latitude: 40.71))
      // Sums are of the values in the file.
      #expect(abs(imported.summary.sumX / 60 + 74.007) < 0.01)
      let window = imported.trace.window(startTime: 0, slots: 20, slotLength: 1)
      #expect(window.x[0] == 0 && abs(window.y[0]) < 1e-6)
      #expect(abs(window.x[19 * 3] - 285) < 0.3 && abs(window.y[19 * 3] - 380) < 0.3)
    }
  }

  @Test func projectionAgreesWithKnownLengths() throws {
    // WGS84 (e.g. Rapp 1991): at 45 degrees 1 minute of latitude (to the north) is 1852.199 m, 1 of longitude 1314.2 m (78 846.8 m a
    // degree); a degree of latitude from the equator is 110 574.4 m, of longitude there 111 319.5 m.
    let cases: [(Double, Double, Double, Double, Double)] = [
      (10, 45, 10 + 1 / 60.0, 45, 1314.11), (10, 45, 10, 45 + 1 / 60.0, 1852.199),
      (0, 0, 0, 1, 110_574.39), (0, 0, 0.01, 0, 1113.195), (179.999, 0, -179.999, 0, 222.639),
    ]
    for (x0, y0, x1, y1, metres) in cases {
      var options = ImportOptions()
      options.coordinates = .geo
      let imported = try importText(
        export(
          "<timestep time=\"0\"><vehicle id=\"a\" x=\"\(x0)\" y=\"\(y0)\"/><vehicle id=\"b\" x=\"\(x1)\" y=\"\(y1)\"/></timestep>"
        ), options)
      let window = imported.trace.window(startTime: 0, slots: 1, slotLength: 1)
      let length = (window.x[1] * window.x[1] + window.y[1] * window.y[1]).squareRoot()
      #expect(abs(length - metres) < metres * 2e-5, "\(x0), \(y0): \(length)")
    }
  }

  @Test func smallMetricTracesStayMetres() throws {
    // All coordinates fit longitude and latitude, but vehicles move as far as their speeds say.
    var moving = ""
    var still = ""
    for step in 0..<50 {
      moving +=
        "<timestep time=\"\(step)\"><vehicle id=\"a\" x=\"\(step).123456\" y=\"5.123456\" speed=\"1.0\"/></timestep>"
      still +=
        "<timestep time=\"\(step)\"><vehicle id=\"a\" x=\"7.25\" y=\"5.12\" speed=\"0.0\"/></timestep>"
    }
    #expect(try !importText(export(moving)).summary.isGeographic)
    #expect(try !importText(export(still)).summary.isGeographic)
    var options = ImportOptions()
    options.coordinates = .metres
    let forced = try importText(geographic(), options)
    #expect(!forced.summary.isGeographic && forced.trace.header.projection == .none)
  }

  @Test func geographicFiltersUseTheInputsCoordinates() throws {
    var options = ImportOptions()
    options.circle = .init(x: -74.01, y: 40.71, radius: 51)
    // Vehicle 0 is within 51 m for three steps of 25 m; vehicle 1 starts 84 m away.
    #expect(try importText(geographic(), options).summary.vehicles == 3)
    options.circle = nil
    options.rectangle = .init(x0: -74.02, y0: 40.70, x1: -74.0095, y1: 40.72)
    let kept = try importText(geographic(), options)
    #expect(kept.summary.ids == 1 && kept.summary.vehicles == 3)
  }

  @Test func motionDecidesWithoutSpeeds() throws {
    // Six decimals and small coordinates, but no vehicle moves 5 degrees in a second.
    var body = ""
    for step in 0..<10 {
      body +=
        "<timestep time=\"\(step)\"><vehicle id=\"a\" x=\"\(5 * step).123456\" y=\"5.123456\"/></timestep>"
    }
    #expect(try !importText(export(body)).summary.isGeographic)
  }

  @Test func placesBeyondThePlaneAreErrorsNotCrashes() throws {
    func far(_ x: String, _ y: String) -> String {
      export(
        "<timestep time=\"0\"><vehicle id=\"a\" x=\"0\" y=\"0\"/><vehicle id=\"b\" x=\"\(x)\" y=\"\(y)\"/></timestep>"
      )
    }
    var options = ImportOptions()
    options.coordinates = .geo
    for (x, y) in [
      ("90", "0"), ("-90", "0"), ("180", "0"), ("0", "90"), ("0", "-90"), ("20", "30"),
    ] {
      let error = #expect(throws: InputError.self, "\(x), \(y)") {
        try importText(far(x, y), options)
      }
      #expect(error?.description.contains("--rect") == true)
    }
    options.circle = .init(x: 0, y: 0, radius: 100)
    #expect(try importText(far("90", "0"), options).summary.vehicles == 1)
  }

  @Test func theInputIsNeverReplaced() throws {
    try withFolder { folder in
      let path = folder + "/x"
      try Files.writeAtomically(export("<timestep time=\"0\"/>"), to: path)
      #expect(throws: InputError.self) { try TraceImporter.importTrace(from: path, to: path) }
      #expect(try Files.readText(path).contains("timestep"))
    }
  }

  @Test func geographicOutOfRangeIsAnError() {
    var options = ImportOptions()
    options.coordinates = .geo
    let error = #expect(throws: InputError.self) {
      try importText(export("<timestep time=\"0\">\(vehicle)</timestep>"), options)
    }
    #expect(error?.description.contains("--coordinates metres") == true)
    #expect(error?.line != nil)
  }

  @Test func detectionEndsWithBoundedWaiting() throws {
    // Standing vehicles without many decimals, more rows than may wait.
    var body = ""
    for step in 0..<30 {
      body += "<timestep time=\"\(step)\">"
      for v in 0..<1000 { body += "<vehicle id=\"\(v)\" x=\"1.5\" y=\"2.5\" speed=\"0\"/>" }
      body += "</timestep>"
    }
    let imported = try importText(export(body))
    #expect(imported.summary.vehicles == 30_000 && imported.trace.header.rows == 30_000)
    #expect(!imported.summary.isGeographic)
  }
}
