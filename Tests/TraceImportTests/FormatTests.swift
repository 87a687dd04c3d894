import Glibc
import Support
import Testing
import Trace
import TraceImport

/// Formats besides XML, and writing a trace for other programs.
@Suite struct FormatTests {
  private static let xml = export(
    """
    <timestep time="0.00"/>
    <timestep time="2.00">
      <vehicle id="e1.0" x="4.70" y="-8.75" angle="90.00" type="car" speed="16.67" pos="4.70" lane="e1_0"/>
    </timestep>
    <timestep time="3.00">
      <vehicle id="e1.0" x="20.56" y="-8.75" angle="90.00" type="car" speed="15.86" pos="20.56" lane="e1_0"/>
      <vehicle id="b" x="520.56" y="-8.75" angle="90.00" type="van" speed="15.86" pos="20.56" lane="e1_0"/>
    </timestep>
    """)

  /// The same as `xml`: by SUMO 1.28, by its xml2csv.py, with plain names, and as pandas may write it.
  private static let tables = [
    """
    timestep_time;vehicle_id;vehicle_x;vehicle_y;vehicle_angle;vehicle_type;vehicle_speed;vehicle_pos;vehicle_lane;vehicle_edge;vehicle_slope
    0.00;;;;;;;;;;
    2.00;e1.0;4.70;-8.75;90.00;car;16.67;4.70;e1_0;;0.00
    3.00;e1.0;20.56;-8.75;90.00;car;15.86;20.56;e1_0;;0.00
    3.00;b;520.56;-8.75;90.00;van;15.86;20.56;e1_0;;0.00

    """,
    """
    timestep_time;vehicle_angle;vehicle_id;vehicle_pos;vehicle_speed;vehicle_type;vehicle_x;vehicle_y
    0.00;;;;;;;
    2.00;90.00;e1.0;4.70;16.67;car;4.70;-8.75
    3.00;90.00;e1.0;20.56;15.86;car;20.56;-8.75
    3.00;90.00;b;20.56;15.86;van;520.56;-8.75
    """,
    "time,id,x,y,speed,pos,type\r\n0,,,,,,\r\n2.0,\"e1.0\",4.7,-8.75,16.67,4.7,car\r\n"
      + "3.0,\"e1.0\",20.56,-8.75,15.86,20.56,car\r\n3.0,\"b\",520.56,-8.75,15.86,20.56,van\r\n",
  ]

  @Test(arguments: tables)
  func tablesAreTheSameAsXML(table: String) throws {
    let expected = try importText(FormatTests.xml)
    let plain = try importText(table)
    #expect(plain.rows == expected.rows)
    #expect(plain.summary.digest == expected.summary.digest)
    #expect(plain.summary.timesteps == 3 && plain.summary.emptyTimesteps == 1)
    let packed = try importBytes(gzip(Array(table.utf8), members: 3, seed: 4))
    #expect(packed.summary.digest == expected.summary.digest)
    var options = ImportOptions()
    options.types = ["van"]
    options.begin = 3
    #expect(try importText(table, options).rows == ["3.0 b 520.56 -8.75 15.86"])
    options.end = 2
    options.begin = nil
    #expect(try importText(table, options).trace.times == [0, 2])
  }

  @Test(arguments: [
    ("timestep_time;vehicle_id;vehicle_y\n", "1", "without the column vehicle_x"),
    ("timestep_time;vehicle_id;vehicle_x;vehicle_y\n1;a;2;3\n2;a;2\n", "3", "3 fields"),
    (
      "timestep_time;vehicle_id;vehicle_x;vehicle_y\n1;a;2;3\n2;a;2;1e999\n", "3",
      "no finite number"
    ),
    ("timestep_time;vehicle_id;vehicle_x;vehicle_y\n1;a;2;3\n1;a;2;3\n", "3", "twice"),
    (
      "timestep_time;vehicle_id;vehicle_x;vehicle_y\n1;a;2;3\n0.5;a;2;3\n", "3",
      "does not come after"
    ),
    ("timestep_time;vehicle_id;vehicle_x;vehicle_y\nx;a;2;3\n", "2", "is no time"),
    ("timestep_time;vehicle_id;vehicle_x;vehicle_y\n1;\"a;2;3\n", "2", "quotation marks"),
    ("timestep_time;vehicle_id;vehicle_x;vehicle_y\n", "1", "no timestep"),
    ("timestep_time;vehicle_id;vehicle_x;vehicle_x;vehicle_y\n", "1", "twice"),
    (
      "timestep_time;vehicle_id;vehicle_x;vehicle_y\n1;\(String(repeating: "a", count: 70_000));2;3\n",
      "2", "limit"
    ),
  ])
  func mistakesInTablesNameTheLine(text: String, line: String, says: String) {
    let error = #expect(throws: InputError.self) { try importText(text) }
    #expect(error?.description.contains(says) == true, "\(error.map { "\($0)" } ?? "")")
    if error?.line != nil { #expect(error?.line.map(String.init) == line) }
  }

  @Test func aTruncatedTableOfGzipIsAnError() throws {
    let packed = gzipMember(Array(FormatTests.tables[0].utf8))
    let error = #expect(throws: InputError.self) {
      try importBytes(Array(packed.dropLast(12)))
    }
    #expect(error?.problem.contains("truncated") == true)
  }

  @Test func parquetIsRefusedWithTheConversion() {
    let error = #expect(throws: InputError.self) { try importBytes(Array("PAR1\0\0".utf8)) }
    #expect(error?.problem.contains("Parquet") == true)
    #expect(error?.advice?.contains("read_parquet") == true)
  }

  @Test(arguments: [TraceExport.Format.fcd, .csv])
  func exportsOfMetresComeBackTheSame(format: TraceExport.Format) throws {
    try withFolder { folder in
      let input = export(
        """
        <timestep time="0.1"/>
        <timestep time="0.30">
          <vehicle id="b;&amp;&lt;c&quot; ü" x="1234.56" y="-7.125" speed="13.90" pos="0.1"/>
          <vehicle pos="3" y="2e2" x="+.5" id='ü'/>
        </timestep>
        <timestep time="1"><vehicle id="ü" x="0.1" y="1e-7" speed="0"/></timestep>
        """)
      var options = ImportOptions()
      options.coordinates = .metres
      let trace = try importText(input, options).trace
      for name in ["plain", "packed.gz"] {
        let path = "\(folder)/\(name)"
        try TraceExport.write(trace, as: format, to: path)
        let again = try importBytes(try Files.read(path), options)
        #expect(again.summary.digest == trace.digest, "\(name)")
        #expect(try Files.read(path).starts(with: [0x1F, 0x8B]) == name.hasSuffix(".gz"))
      }
    }
  }

  @Test func exportsOfDegreesComeBackAsDegrees() throws {
    var body = ""
    for step in 0..<20 {
      let x = 11.4 + Double(step) * 0.0001364
      body +=
        "<timestep time=\"\(step)\"><vehicle id=\"a\" x=\"\(x)\" y=\"48.765432\" speed=\"10\"/></timestep>"
    }
    let imported = try importText(export(body))
    try withFolder { folder in
      let path = folder + "/x.fcd.xml"
      try TraceExport.write(imported.trace, as: .fcd, to: path)
      let again = try importBytes(try Files.read(path))
      #expect(again.summary.isGeographic)
      #expect(abs(again.summary.sumX - imported.summary.sumX) < 1e-7)
      #expect(abs(again.summary.sumY - imported.summary.sumY) < 1e-7)
    }
  }

  @Test(arguments: [(11.4, 48.7), (-74.0, 40.7), (179.9, -33), (5, 0)])
  func positionsAreTheInverseOfTheProjection(longitude: Double, latitude: Double) {
    let plane = LocalPlane(longitude: longitude, latitude: latitude)
    for (x, y) in [(0.0, 0.0), (1500, -800), (-40_000, 90_000), (200_000, 5)] {
      let position = plane.position(x: x, y: y)
      let back = plane.project(longitude: position.longitude, latitude: position.latitude)
      #expect(abs(back.x - x) < 1e-6 && abs(back.y - y) < 1e-6)
      #expect(abs(position.longitude) <= 180)
    }
  }

  @Test func traceFilesAndInputsOpenAlike() throws {
    try withFolder { folder in
      let input = folder + "/x.fcd.xml"
      try Files.writeAtomically(FormatTests.xml, to: input)
      let summary = try TraceImporter.importTrace(from: input, to: folder + "/x.trace")
      let opened = try TraceImporter.open(folder + "/x.trace")
      let imported = try TraceImporter.open(input)
      #expect(opened.digest == summary.digest && imported.digest == summary.digest)
      #expect(imported.path == input && imported.notes == opened.notes)
      #expect(try Files.list(folder).sorted() == ["x.fcd.xml", "x.trace"])
      // A hard link is the same file too.
      #expect(link(input, folder + "/y") == 0)
      #expect(throws: InputError.self) {
        try TraceImporter.importTrace(from: input, to: folder + "/y")
      }
    }
  }
}
