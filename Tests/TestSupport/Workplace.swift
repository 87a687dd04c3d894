import Foundation
import Support

@testable import Plan
@testable import Runs

/// A temporary folder with a small FCD trace in it, removed at the end.
final class Workplace {
  let folder: String

  init() throws {
    folder = NSTemporaryDirectory() + "veclab-" + UUID().uuidString
    try Files.makeFolder(folder)
    try write("small.fcd.xml", Workplace.trace)
  }

  deinit { try? Files.remove(folder) }

  func path(_ name: String) -> String { folder + "/" + name }

  @discardableResult
  func write(_ name: String, _ text: String) throws -> String {
    try Files.writeAtomically(text, to: path(name))
    return path(name)
  }

  /// Vehicle a drives along x, b stands: 20 steps of 1 s.
  static let trace: String = {
    var text = "<fcd-export>\n"
    for step in 0..<20 {
      text += "<timestep time=\"\(step).00\">\n"
      text += "<vehicle id=\"a\" x=\"\(10 * step)\" y=\"0\" speed=\"10\"/>\n"
      text += "<vehicle id=\"b\" x=\"50\" y=\"5\" speed=\"0\"/>\n</timestep>\n"
    }
    return text + "</fcd-export>\n"
  }()

  /// An experiment file in the folder, its head written for it.
  func experiment(
    _ body: String, profile: String? = nil, trace: String = "small.fcd.xml"
  ) throws -> Experiment {
    let head = "experiment: test\nmodel: toy\ntrace: \(trace)\n"
    return try Experiment(
      path: write("test.yaml", head + body), profile: profile, models: ToyModel.models)
  }

  var results: String { path("Results") }

  func plan(_ body: String, only: [String] = [], record: [String] = []) throws -> Plan {
    try Plan(
      experiment(body), results: results, only: only.map { try PointFilter($0) }, record: record)
  }

  /// Executes every run of a plan and puts the results where a published run has them.
  func execute(_ plan: Plan, order: [Int]? = nil) throws {
    let experimentFolder = "\(results)/\(plan.experiment)"
    let sources = RunSources(experimentFolder: experimentFolder)
    for index in order ?? Array(plan.runs.indices) {
      let run = plan.runs[index]
      let result = "\(experimentFolder)/runs/\(run.specification.id)/result"
      try Files.makeFolder(result)
      let context = MemoryContext(folder: result)
      let end = try executeRun(run, sources: sources, context: context, models: ToyModel.models)
      guard end == .finished else { throw InputError("did not finish") }
      let manifest = try Manifest(specification: run.specification.document, folder: result)
      try Files.writeAtomically(manifest.text(), to: "\(result)/\(Manifest.fileName)")
    }
  }
}

/// Keeps checkpoints in memory and asks to stop when told so; used by one thread.
final class MemoryContext: RunContext, @unchecked Sendable {
  let folder: String
  var checkpoints: [[UInt8]] = []
  var reports: [RunProgress] = []
  var instructionSet: String?
  /// Stops at the end of this many episodes.
  var stopAfter = Int.max

  init(folder: String, checkpoint: [UInt8]? = nil) {
    self.folder = folder
    if let checkpoint { checkpoints = [checkpoint] }
  }

  func latestCheckpoint(passing check: ([UInt8]) throws -> Void) throws -> [UInt8]? {
    if let last = checkpoints.last { try check(last) }
    return checkpoints.last
  }
  func note(instructionSet: String) { self.instructionSet = instructionSet }
  func saveCheckpoint(_ bytes: [UInt8]) throws { checkpoints.append(bytes) }
  func report(_ progress: RunProgress) throws { reports.append(progress) }
  var shouldStop: Bool { reports.count >= stopAfter }
}

/// The error that an expression throws, as the sentence that users see.
func sentence(_ body: () throws -> Void) -> String {
  do {
    try body()
    return "no error"
  } catch {
    return "\(error)"
  }
}

/// Published results as they lie under `Results/<experiment>/runs`, taken on trust.
struct ResultFolders: RunStore {
  let experimentFolder: String

  func isComplete(_ run: String) -> Bool { Files.exists(resultFolder(run) + "/manifest.json") }
  func resultFolder(_ run: String) -> String { "\(experimentFolder)/runs/\(run)/result" }
  func verify(_ run: String) throws {}
}

/// Folders of the project.
enum Shipped {
  private static let project =
    "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
  static let experiments = project + "/Experiments"
  static let traces = project + "/Traces"
}
