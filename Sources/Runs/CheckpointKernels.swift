internal import Neural
internal import Support

extension Kernels {
  /// The set that a checkpoint was written with.
  ///
  /// - Throws: `InputError` when this processor lacks it.
  static func named(ofCheckpoint name: String) throws -> Kernels {
    if let kernels = available.first(where: { $0.name == name }) { return kernels }
    throw InputError(
      "was written with an instruction set that this processor lacks", key: "checkpoint",
      value: name, advice: "The run starts anew here if there is no other; it never mixes two sets")
  }
}
