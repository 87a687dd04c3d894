import Foundation
import Neural
import Support
import Testing

@testable import Plan
@testable import Runs
@testable import TestSupport

/// Results of a tiny fixed run of every algorithm, kept as data: a result that changes under the same version would
/// make published runs and new ones look alike.
///
/// The data lie in `Tests/Golden/MODEL/ALGORITHM.csv`, those of learners one for each instruction set. They are written
/// by `Scripts/test --renew-golden`, which refuses to replace those of the same version.
@Suite struct GoldenTests {
  struct Entry: CustomTestStringConvertible, Sendable {
    let model: String
    let algorithm: String
    /// Further settings, and the word that the file's name has for them.
    var variant: (name: String, settings: String)?
    /// nil where results do not depend on it.
    var instructionSet: String?

    var name: String {
      [algorithm + (variant.map { "+" + $0.name } ?? ""), instructionSet].compactMap(\.self)
        .joined(separator: ".")
    }
    var testDescription: String { "\(model) \(name)" }
    var path: String { "\(GoldenTests.folder)/\(model)/\(name).csv" }
  }

  static let folder =
    "/" + #filePath.split(separator: "/").dropLast(2).joined(separator: "/") + "/Golden"
  static let isRenewing = ProcessInfo.processInfo.environment["VECLAB_RENEW_GOLDEN"] == "1"

  /// Branches of the learners that their defaults leave out.
  static let variants: [String: [(name: String, settings: String)]] = [
    "single-rsu mad2rl": [
      ("printed", ", printed: true"), ("shared", ", shared: true, clip: 1, noiseOutput: tanh"),
    ],
    "single-rsu p-qmix": [("masked", ", v2vRange: 30, mixer: printed, discount: 0")],
  ]

  static let entries: [Entry] = Models.all.flatMap { model in
    model.algorithms.flatMap { algorithm in
      let variants = variants["\(model.name) \(algorithm.name)"] ?? []
      return ([nil] + variants.map(Optional.some)).flatMap { variant in
        (algorithm.isLearner ? Kernels.available.map(\.name) : [nil]).map {
          Entry(
            model: model.name, algorithm: algorithm.name, variant: variant, instructionSet: $0)
        }
      }
    }
  }

  /// What a file of `Tests/Golden` says.
  struct Golden: Equatable {
    static let shownRows = 4

    var version: String
    /// Of all rows; the file shows the first ones only.
    var digest: String
    var columns: [String]
    var rows: [[String]]

    init(_ table: CSVTable, columns: [String], version: String) throws {
      let places = try columns.map { try table.index(of: $0) }
      let all = table.rows.map { row in places.map { row[$0] } }
      self.version = version
      self.columns = columns
      digest = SHA256Digest.hex(
        of: Array(([columns] + all).map { $0.joined(separator: ",") + "\n" }.joined().utf8))
      rows = Array(all.prefix(Golden.shownRows))
    }

    init(path: String) throws {
      let lines = try Files.readText(path).split(separator: "\n").map(String.init)
      try #require(lines.count > 3, "\(path) is not whole: delete it and renew the golden rows")
      version = String(lines[0].dropFirst("# ".count))
      digest = String(lines[1].dropFirst("# sha256 ".count))
      func fields(_ line: String) -> [String] {
        line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      }
      columns = fields(lines[2])
      rows = lines[3...].map(fields)
    }

    var text: String {
      "# \(version)\n# sha256 \(digest)\n"
        + ([columns] + rows).map { $0.joined(separator: ",") + "\n" }.joined()
    }

    /// The first cell that differs, for people.
    func difference(from other: Golden) -> String {
      for (i, (mine, its)) in zip(rows, other.rows).enumerated() {
        for (c, (a, b)) in zip(mine, its).enumerated() where a != b {
          return "\(columns[c]) in row \(i + 1) was \(a) and is \(b)"
        }
      }
      return "the first \(rows.count) rows are equal, a later one is not"
    }
  }

  #if arch(x86_64)
    @Test(arguments: entries) func resultsAreThoseOfTheVersion(_ entry: Entry) throws {
      let place = try Workplace()
      let plan = try RegistryTests.plan(
        RegistryTests.Entry(model: entry.model, algorithm: entry.algorithm), in: place, episodes: 4,
        evaluationEpisodes: 3, more: entry.variant?.settings ?? "")
      let document = plan.runs[0].specification.document
      let version =
        "model version \(document["modelVersion"]?.integerValue ?? 0), "
        + "algorithm version \(document["algorithmVersion"]?.integerValue ?? 0)"
      let run = try RegistryTests.run(
        plan, place, "run", instructionSet: entry.instructionSet)
      let table = try CSVTable(path: run.context.folder + "/episodes.csv")
      let current = try Golden(table, columns: table.columns, version: version)
      if Files.exists(entry.path) {
        let golden = try Golden(path: entry.path)
        if golden.version == version {
          // A measure may be added under the same version; those that were there keep their values.
          let comparable = try Golden(table, columns: golden.columns, version: version)
          #expect(
            comparable == golden,
            """
            The results of \(entry.testDescription) changed although its version did not: \
            \(golden.difference(from: comparable)). Mend the change; or, if the new results are the right ones, raise \
            the version of the algorithm (or of the model) and run Scripts/test --renew-golden
            """)
          guard GoldenTests.isRenewing, comparable == golden, golden != current else { return }
        } else if !GoldenTests.isRenewing {
          Issue.record(
            """
            The golden rows of \(entry.testDescription) are of \(golden.version), the program has \(version): \
            run Scripts/test --renew-golden and look at what it changes
            """)
          return
        }
      } else if !GoldenTests.isRenewing {
        Issue.record(
          "\(entry.testDescription) has no golden rows: Scripts/test --renew-golden makes them")
        return
      }
      try Files.makeFolder(Files.folder(of: entry.path))
      try Files.writeAtomically(current.text, to: entry.path)
    }

    @Test func everyGoldenFileIsOfAnAlgorithm() throws {
      let names = Set(
        GoldenTests.entries.flatMap { entry in
          Kernels.names.map {
            var other = entry
            if entry.instructionSet != nil { other.instructionSet = $0 }
            return other.path
          }
        })
      for model in try Files.list(GoldenTests.folder) {
        for file in try Files.list("\(GoldenTests.folder)/\(model)") {
          let path = "\(GoldenTests.folder)/\(model)/\(file)"
          if GoldenTests.isRenewing, !names.contains(path) { try Files.remove(path) }
          #expect(
            GoldenTests.isRenewing || names.contains(path),
            "\(path) is of no algorithm of the registry: Scripts/test --renew-golden removes it")
        }
      }
    }
  #endif
}
