import Support

/// What an input may cost: beyond that it is an error which names the limit, found before the cost arises.
public struct ImportLimits: Sendable, Equatable {
  /// Bytes of a tag, and of the id of a vehicle.
  public var tag = 64 << 10
  public var id = 1 << 10
  /// Attributes of a tag, elements inside one another, distinct names of elements and attributes in all.
  public var attributes = 256
  public var depth = 64
  public var names = 4096
  /// Bytes of a comment or a processing instruction.
  public var comment = 1 << 20
  /// Bytes of the input that a timestep's rows take.
  public var step = 64 << 20
  /// Bytes for the ids of all vehicles, 24 for each and its text.
  public var ids = 32 << 20

  public init() {}

  private static var fields: [(name: String, path: WritableKeyPath<ImportLimits, Int>)] {
    [
      ("tag", \.tag), ("id", \.id), ("attributes", \.attributes), ("depth", \.depth),
      ("names", \.names), ("comment", \.comment), ("step", \.step), ("ids", \.ids),
    ]
  }

  /// Sets limits from `name=number,...`.
  ///
  /// - Throws: `InputError` for an unknown name, or a number that is not from 1 to 2^40.
  public mutating func set(_ text: String) throws {
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let halves = part.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
      guard let field = ImportLimits.fields.first(where: { $0.name == halves[0] }) else {
        let names = ImportLimits.fields.map(\.name).joined(separator: ", ")
        throw InputError(
          "has no limit '\(halves[0])'", key: "--limit", value: text, advice: "There are \(names)")
      }
      guard halves.count == 2, let number = Int(halves[1]), number >= 1, number <= 1 << 40 else {
        throw InputError("needs numbers as NAME=NUMBER", key: "--limit", value: text)
      }
      self[keyPath: field.path] = number
    }
  }
}
