public import Support

/// One run, from the plan to its result: everything that decides the result, and nothing else.
///
/// `document` is its form in files; the digest of that text is the run's identity.
public struct RunSpecification: Sendable, Equatable {
  public let model: String
  public let modelVersion: Int
  public let algorithm: String
  public let algorithmVersion: Int
  /// Values of the parameters, those left out that their defaults imply (`Parameter.isImpliedAtDefault`).
  public let parameters: [String: ParameterValue]
  /// SHA-256 of the trace's content.
  public let trace: String
  /// Digests of the DNN tables by the names that the parameters use.
  public let profiles: [String: String]
  /// What is recorded besides the measures.
  public let record: [String]
  /// The program outside that the algorithm is; nil for those of the registry.
  package let agent: ExternalAlgorithm?
  /// SHA-256 (64 hexadecimal digits) of the canonical text of `document`.
  public let id: String

  private static let format = 1

  package init(
    model: String, modelVersion: Int, algorithm: String, algorithmVersion: Int,
    parameters: [String: ParameterValue], trace: String, profiles: [String: String] = [:],
    record: [String] = [], agent: ExternalAlgorithm? = nil
  ) {
    self.model = model
    self.modelVersion = modelVersion
    self.algorithm = algorithm
    self.algorithmVersion = algorithmVersion
    self.parameters = parameters
    self.trace = trace
    self.profiles = profiles
    self.record = record
    self.agent = agent
    id = SHA256Digest.hex(
      of: RunSpecification.document(
        model, modelVersion, algorithm, algorithmVersion, parameters, trace, profiles, record, agent
      ).canonical)
  }

  /// Reads a document.
  ///
  /// - Throws: `InputError` if it is not one that this program writes.
  public init(document: JSONValue) throws {
    guard document["format"]?.integerValue == RunSpecification.format,
      let model = document["model"]?.textValue,
      let modelVersion = document["modelVersion"]?.integerValue,
      let algorithm = document["algorithm"]?.textValue,
      let algorithmVersion = document["algorithmVersion"]?.integerValue,
      let parameters = document["parameters"]?.objectValue,
      let trace = document["trace"]?.textValue,
      let profiles = document["profiles"]?.objectValue,
      let record = document["record"]?.listValue
    else { throw RunDocument.damaged("a member is missing or its format differs") }
    self.init(
      model: model, modelVersion: modelVersion, algorithm: algorithm,
      algorithmVersion: algorithmVersion, parameters: parameters.mapValues(ParameterValue.init),
      trace: trace, profiles: profiles.compactMapValues(\.textValue),
      record: record.compactMap(\.textValue),
      agent: try document["agent"].map { try ExternalAlgorithm(json: $0, name: algorithm) })
    guard self.document.canonical == document.canonical else {
      throw RunDocument.damaged("it has members that this program does not know")
    }
  }

  /// As files have it; equal runs have equal canonical texts.
  public var document: JSONValue {
    RunSpecification.document(
      model, modelVersion, algorithm, algorithmVersion, parameters, trace, profiles, record, agent)
  }

  private static func document(
    _ model: String, _ modelVersion: Int, _ algorithm: String, _ algorithmVersion: Int,
    _ parameters: [String: ParameterValue], _ trace: String, _ profiles: [String: String],
    _ record: [String], _ agent: ExternalAlgorithm?
  ) -> JSONValue {
    var members: [String: JSONValue] = [
      "format": .integer(format),
      "model": .text(model),
      "modelVersion": .integer(modelVersion),
      "algorithm": .text(algorithm),
      "algorithmVersion": .integer(algorithmVersion),
      "parameters": .object(parameters.mapValues(\.json)),
      "trace": .text(trace),
      "profiles": .object(profiles.mapValues { .text($0) }),
      "record": .list(record.map { .text($0) }),
    ]
    members["agent"] = agent?.json
    return .object(members)
  }

  /// The first digits of the identity, for people.
  public var shortID: String { String(id.prefix(12)) }

  /// A whole-number parameter; nil when the run does not state it.
  package func integer(_ key: String) -> Int? {
    if case .integer(let value)? = parameters[key] { return value }
    return nil
  }

  /// The run with some of what it states replaced.
  package func with(
    parameters: [String: ParameterValue]? = nil, trace: String? = nil,
    profiles: [String: String]? = nil, record: [String]? = nil
  ) -> RunSpecification {
    RunSpecification(
      model: model, modelVersion: modelVersion, algorithm: algorithm,
      algorithmVersion: algorithmVersion, parameters: parameters ?? self.parameters,
      trace: trace ?? self.trace, profiles: profiles ?? self.profiles,
      record: record ?? self.record, agent: agent)
  }
}
