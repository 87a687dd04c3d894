internal import Support

/// What a checkpoint begins with: it tells whether the rest can be used here.
struct CheckpointHead {
  private static let version = 2

  /// Identity of the run.
  let id: String
  /// Instruction set that the run trains with; nil for algorithms that do not learn.
  let instructionSet: String?

  init(id: String, instructionSet: String?) {
    self.id = id
    self.instructionSet = instructionSet
  }

  /// Reads the head of a checkpoint.
  ///
  /// - Throws: `InputError` if it is damaged, of another run or of another version of the program.
  init(_ bytes: [UInt8], id: String) throws {
    var reader = StateReader(bytes)
    try self.init(from: &reader, id: id)
  }

  init(from reader: inout StateReader, id: String) throws {
    try reader.section("veclab-checkpoint")
    guard try reader.readInteger() == CheckpointHead.version, try reader.readText() == id else {
      throw InputError(
        "is of another run or another version of the program", key: "checkpoint",
        advice: "The run starts anew if there is no other")
    }
    self.id = id
    let name = try reader.readText()
    instructionSet = name.isEmpty ? nil : name
  }

  func write(to writer: inout StateWriter) {
    writer.section("veclab-checkpoint")
    writer.write(CheckpointHead.version)
    writer.write(id)
    writer.write(instructionSet ?? "")
  }
}
