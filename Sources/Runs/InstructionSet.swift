internal import Glibc
internal import Neural
internal import Support

/// The instruction set that a run's agent is made with.
enum InstructionSet {
  /// Makes an agent with the kernels of a set, whatever set this process would choose; nil: with that one.
  ///
  /// Agents choose their kernels by `VECLAB_ISA` at the moment when they are made. A worker makes one at a time, so
  /// the variable is set for that moment, and only when the choice would be another one.
  static func with<Result>(_ name: String?, _ body: () throws -> Result) rethrows -> Result {
    guard let name, (try? Kernels.selected().name) != name else { return try body() }
    let before = getenv(Kernels.environmentKey).map { String(cString: $0) }
    setenv(Kernels.environmentKey, name, 1)
    defer {
      if let before {
        setenv(Kernels.environmentKey, before, 1)
      } else {
        unsetenv(Kernels.environmentKey)
      }
    }
    return try body()
  }

  /// Throws an `InputError` when a checkpoint was written with a set that this processor lacks.
  static func check(ofCheckpoint name: String) throws {
    if Kernels.available.contains(where: { $0.name == name }) { return }
    throw InputError(
      "was written with an instruction set that this processor lacks", key: "checkpoint",
      value: name, advice: "The run starts anew here if there is no other; it never mixes two sets")
  }
}
