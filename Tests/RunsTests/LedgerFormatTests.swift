import Support
import Testing

@testable import Runs
@testable import TestSupport

/// The texts of the ledger's files are literals here: folders written before must stay readable.
@Suite struct LedgerFormatTests {
  @Test func aManifestIsThisText() throws {
    let scratch = try ScratchFolder()
    let folder = scratch.path + "/result"
    try Files.makeFolder(folder + "/notes")
    try Files.writeAtomically("a,b\n1,2\n3,4\n", to: folder + "/rows.csv")
    try Files.writeAtomically("x", to: folder + "/notes/x.json")
    let specification = JSONValue.object([
      "experiment": .text("e"), "number": .number(0.1), "whole": .number(10),
      "list": .list([.integer(1), .null, .flag(true)]),
    ])
    let manifest = try Manifest(specification: specification, folder: folder)
    let text = """
      {
        "digest": "a4fa1056ecc36b62a6e305b11241801e7d5401c45aaecf7a75f76f8934fb6b2a",
        "files": {
          "notes/x.json": {
            "bytes": 1,
            "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
          },
          "rows.csv": {
            "bytes": 12,
            "rows": 2,
            "sha256": "b9485148546419a0f6a85e8d708c923557c15d7f3c7d078ef1fa7f7c0f57d5a5"
          }
        },
        "format": 1,
        "run": "ae40fe287b082b3edea6c4a66c7b74b20f82f7d4a072497645c72308edff28a1",
        "specification": {
          "experiment": "e",
          "list": [
            1,
            null,
            true
          ],
          "number": 0.1,
          "whole": 10
        }
      }

      """
    #expect(try manifest.text() == text)
    try Files.writeAtomically(text, to: folder + "/" + Manifest.fileName)
    let found = try Manifest(folder: folder, run: manifest.run)
    #expect(found.files == manifest.files)
    try found.verify(folder: folder)

    func refuse(_ old: String, _ new: String, _ problem: String) throws {
      try Files.writeAtomically(
        text.replacing(old, with: new), to: folder + "/" + Manifest.fileName)
      let error = try #require(throws: InputError.self) {
        try Manifest(folder: folder, run: manifest.run)
      }
      #expect(error.problem.contains(problem), "\(error)")
    }
    try refuse("\"rows\": 2", "\"rows\": 3", "has been changed")
    try refuse("\"format\": 1", "\"format\": 2", "has been changed")
    try refuse("\"bytes\": 1,", "\"bytes\": \"1\",", "describes a file badly")
    try refuse("\"digest\"", "\"other\"", "has been changed")
    try refuse("\"run\"", "\"other\"", "is not a manifest of a run")
  }

  @Test func anEndIsThisText() throws {
    let end = AttemptEnd(.outOfMemory, "killed", hasAdvanced: true)
    let json = try JSONValue(encoding: end)
    #expect(json.canonical == #"{"advanced":true,"kind":"outOfMemory","message":"killed"}"#)
    #expect(try json.decoded(as: AttemptEnd.self) == end)
    let strange = JSONValue.object([
      "advanced": .flag(true), "kind": .text("bored"), "message": .text(""),
    ])
    #expect(throws: DecodingError.self) { try strange.decoded(as: AttemptEnd.self) }
  }

  @Test func aClaimIsThisText() throws {
    let text =
      #"{"boot":"b","host":"far","outOfMemoryKills":3,"process":1,"processNamespace":"x","startTicks":7}"#
    let owner: ClaimOwner = try JSONValue(parsing: Array(text.utf8)).decoded()
    #expect(owner.host == "far" && owner.process == 1 && !owner.isOnThisMachine)
    #expect(try JSONValue(encoding: owner).canonical == text)
  }

  @Test func aHeartbeatIsThisText() throws {
    func text(_ heartbeat: Heartbeat) -> String {
      String(decoding: heartbeat.record.prefix { $0 != 32 }, as: UTF8.self)
    }
    var heartbeat = Heartbeat()
    #expect(
      text(heartbeat)
        == #"{"beat":0,"elapsed":0,"firstElapsed":0,"firstEpisode":0,"memory":0,"quiet":0}"#)
    heartbeat.elapsed = 1.5
    heartbeat.progress = RunProgress(
      episode: 2, episodes: 9, stage: String(repeating: "s", count: 40))
    #expect(
      text(heartbeat)
        == #"{"beat":0,"elapsed":1.5,"episode":2,"episodes":9,"firstElapsed":0,"firstEpisode":0,"memory":0,"#
        + #""quiet":0,"stage":"ssssssssssssssssssssssssssssss"}"#)
    #expect(Heartbeat(record: heartbeat.record) == heartbeat)
  }
}
