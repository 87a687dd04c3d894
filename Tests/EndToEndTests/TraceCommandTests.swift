import Foundation
import Support
import Testing

/// `import`, `inspect`, `export` and traces of experiments, as a user meets them.
@Suite(.enabled(if: Program.canRun, "the program or the shipped trace is missing"))
final class TraceCommandTests {
  private let folder = NSTemporaryDirectory() + "veclab-\(UUID().uuidString.prefix(8))"

  init() throws { try Files.makeFolder(folder) }
  deinit { try? Files.remove(folder) }

  /// Runs a command line in which $V is the program and the working folder is the test's.
  private func shell(_ command: String) async throws -> Program.Outcome {
    try await Program.command(
      "/bin/bash", ["-c", "cd \(folder); V=\(Program.path); \(command)"])
  }

  /// Three vehicles at 10 m/s, sampled every `period` seconds, as XML.
  private func write(_ name: String, period: Int = 1, x: Double = 500, decimals: Int = 2) throws {
    var text = "<fcd-export>\n"
    for step in 0..<60 {
      text += "<timestep time=\"\(step * period)\">\n"
      for vehicle in 0..<3 {
        // At x = 0 they stand, so near each other that they may do so in degrees too.
        let moved = x == 0 ? 0.0002 * Double(vehicle) : Double(20 * vehicle + 10 * step * period)
        let place = x + moved
        text += String(
          format:
            "<vehicle id=\"\(vehicle)\" x=\"%.\(decimals)f\" y=\"%.\(decimals)f\" speed=\"%.2f\"/>\n",
          place, 5.0, x == 0 ? 0.0 : 10.0)
      }
      text += "</timestep>\n"
    }
    try Files.writeAtomically(text + "</fcd-export>\n", to: "\(folder)/\(name)")
  }

  @Test func inspectReadsPipesAndLeavesNothing() async throws {
    try write("a.xml")
    let options = "--slots 5 --vehicles 2 --json"
    let direct = try await shell("$V inspect a.xml \(options)")
    let wanted = try JSONValue(parsing: Array(direct.output.utf8))["rows"]
    #expect(wanted == .integer(180))
    let others = [
      "cat a.xml | $V inspect - \(options)", "cat a.xml | $V inspect /dev/stdin \(options)",
      "$V inspect - \(options) < a.xml", "$V inspect <(cat a.xml) \(options)",
      "mkfifo f; cat a.xml > f & $V inspect f \(options)",
      "$V import a.xml -o a.trace > /dev/null; $V inspect - \(options) < a.trace",
    ]
    for command in others {
      let outcome = try await shell("mkdir -p tmp; export TMPDIR=$PWD/tmp; \(command)")
      #expect(outcome.code == 0, "\(command): \(outcome.errors)")
      #expect(try JSONValue(parsing: Array(outcome.output.utf8))["rows"] == wanted, "\(command)")
      #expect(try Files.list(folder + "/tmp") == [], "\(command)")
    }
    let none = try await shell("export TMPDIR=$PWD/none; $V inspect a.xml \(options)")
    #expect(none.code == 1 && none.errors.contains("TMPDIR"))
  }

  @Test func inspectShowsSplitExtentAndMap() async throws {
    let outcome = try await shell(
      "$V inspect \(Program.trace) --json --train-share 0.5 --plot map.svg")
    let report = try JSONValue(parsing: Array(outcome.output.utf8))
    // 600 s from 240 s on: windows of 30 s that end by 539.5 s, and that start from there on.
    #expect(report["training"]?["windows"] == .integer(270))
    #expect(report["evaluation"]?["windows"] == .integer(271))
    #expect(report["samplingStep"] == .number(1) || report["samplingStep"] == .integer(1))
    guard case .list(let box)? = report["boundingBox"] else {
      Issue.record("no bounding box")
      return
    }
    #expect(box.count == 4)
    let picture = try Files.readText(folder + "/map.svg")
    #expect(picture.contains("<g id=\"map\">") && picture.contains("<circle"))
  }

  @Test func everyCommandSaysTheSameWarning() async throws {
    try write("still.xml", x: 0, decimals: 6)
    try Files.writeAtomically(
      """
      experiment: still
      model: road-rsu
      trace: still.xml
      parameters: {vehicles: 2, slots: 3, evaluationEpisodes: 1, rsuPositions: [[0, 5]]}
      grid: {product: {algorithm: [leo]}}

      """, to: folder + "/still.yaml")
    for command in [
      "import still.xml -o still.trace", "inspect still.xml --rsu 0m,0m --slots 3 --vehicles 2",
      "inspect still.trace --rsu 0m,0m --slots 3 --vehicles 2", "plan still.yaml", "run still.yaml",
      "plan still.yaml",
    ] {
      let outcome = try await shell("$V \(command)")
      #expect(
        outcome.errors.contains("by their decimals alone the coordinates were taken"),
        "\(command): \(outcome.errors)")
    }
    let told = try await shell("$V inspect still.xml --coordinates metres --rsu 0,0 --slots 3")
    #expect(!told.errors.contains("decimals alone"))
    let file = try Files.readText(folder + "/still.yaml")
    for (line, says) in [
      ("trace: {file: still.xml, coordinates: metres}", ""),
      ("trace: still.xml\ncoordinates: metres", ""),
      ("trace: {file: still.xml, coordinates: miles}", "coordinates: is not a kind"),
      ("trace: /dev/zero", "is not a regular file"), ("trace: /proc/kmsg", "the kernel's"),
    ] {
      try Files.writeAtomically(
        file.replacing("trace: still.xml", with: line), to: folder + "/other.yaml")
      let outcome = try await shell("timeout 20 $V plan other.yaml")
      #expect(!outcome.errors.contains("decimals alone"), "\(line)")
      #expect(says.isEmpty || outcome.errors.contains(says), "\(line): \(outcome.errors)")
    }
  }

  @Test func inputsAreNeverReplacedAndNamesMustBeUTF8() async throws {
    try write("a.xml")
    let before = try Files.read(folder + "/a.xml")
    let same = try await shell("$V import - -o a.xml < a.xml")
    #expect(same.code == 1 && same.errors.contains("is the input too"))
    #expect(try Files.read(folder + "/a.xml") == before)
    let latin = try await shell("cp a.xml $'caf\\xe9.xml'; $V import $'caf\\xe9.xml' -o b.trace")
    #expect(latin.code == 64 && latin.errors.contains("is not UTF-8"))
    #expect(!Files.exists(folder + "/b.trace"))
    for descriptors in [4, 5, 6, 7, 8] {
      let few = try await shell("ulimit -n \(descriptors); $V import a.xml -o c.trace")
      // The shell says 127 where not even the libraries can be opened, and more than 128 for a signal.
      #expect((0...127).contains(few.code), "\(descriptors): \(few.code)")
      #expect(few.code != 1 || few.errors.contains("Too many open files"), "\(few.errors)")
    }
  }

  @Test func exportsComeBack() async throws {
    try write("a.xml")
    let outcome = try await shell(
      """
      set -e; $V import a.xml -o a.trace > /dev/null
      for f in --csv --fcd; do $V export a.trace $f -o b; $V import b -o b.trace > /dev/null; cmp a.trace b.trace; done
      $V export a.xml --csv -o - | head -2
      """)
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(
      outcome.output
        == "timestep_time;vehicle_id;vehicle_x;vehicle_y;vehicle_speed;vehicle_pos\n0;0;500;5;10;\n"
    )
    let neither = try await shell("$V export a.trace -o b")
    #expect(neither.code == 64 && neither.errors.contains("--csv"))
  }
}
