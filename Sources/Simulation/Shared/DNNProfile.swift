/// A DNN as a chain of layers with the work of each and the data at each cut.
public struct DNNProfile: Sendable {
  /// Name in files and logs, e.g. `vgg16`.
  public let name: String

  public init(name: String) { self.name = name }
}
