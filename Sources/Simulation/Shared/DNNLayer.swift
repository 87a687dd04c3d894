public import Support

/// Which formula counts the floating-point operations of a layer; the papers differ.
public enum Workload: String, Sendable, CaseIterable, DescribedSettingValue {
  /// P1 eq (6): convolutions and pools by the layer's input height and width.
  case p1
  /// P2 eq (4) and (6): convolutions and pools by the layer's output height and width.
  case p2
  /// What a plain implementation executes: multiply and add of every weight, k² operations a pool output.
  case physical
}

/// One layer of a DNN: its shapes, its work and the data that enters it.
public struct DNNLayer: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    case convolution = "conv"
    case pooling = "pool"
    case fullyConnected = "fc"
    /// A convolution beside the chain (the downsampling of a residual block): it counts towards MACs and
    /// parameters, but no cut stands before it and the chain's work leaves it out.
    case sideConvolution = "side-conv"
  }

  public let name: String
  public let kind: Kind
  /// Input shape; a fully connected layer has height and width 1 and its features as channels.
  public let inputHeight, inputWidth, inputChannels: Int
  /// Edge of the square window; 1 for a fully connected layer.
  public let kernel: Int
  public let stride: Int
  /// Rows (columns) of padding before the first one, and after the last one.
  public let padding, paddingEnd: Int
  /// Whether a last, incomplete window counts (`ceil_mode`).
  public let roundsUp: Bool
  public let outputChannels: Int
  /// Parameters per output channel besides the weights: 1 for a bias, 2 for batch normalisation.
  public let channelParameters: Int
  /// Elements of the skip connection that must travel too when the chain is cut before this layer.
  public let skipElements: Int

  public var outputHeight: Int { outputLength(inputHeight) }
  public var outputWidth: Int { outputLength(inputWidth) }
  public var inputElements: Int { inputHeight * inputWidth * inputChannels }
  public var outputElements: Int { outputHeight * outputWidth * outputChannels }

  private func outputLength(_ length: Int) -> Int {
    let room = length + padding + paddingEnd - kernel
    if room < 0 { return 0 }
    if !roundsUp { return room / stride + 1 }
    let count = (room + stride - 1) / stride + 1
    // The last window must start inside the input or the padding before it.
    return (count - 1) * stride >= length + padding ? count - 1 : count
  }

  /// Multiply-accumulate operations; pools have none.
  public var macs: Int {
    switch kind {
    case .pooling: 0
    case .fullyConnected: inputChannels * outputChannels
    case .convolution, .sideConvolution: outputElements * inputChannels * kernel * kernel
    }
  }

  /// Trained parameters.
  public var parameterCount: Int {
    kind == .pooling ? 0 : outputChannels * (inputChannels * kernel * kernel + channelParameters)
  }

  /// Work in FLOP, a whole number.
  public func flop(_ workload: Workload) -> Double {
    let window = Double(kernel * kernel)
    let channelsIn = Double(inputChannels)
    let channelsOut = Double(outputChannels)
    let inputArea = Double(inputHeight) * Double(inputWidth)
    let outputArea = Double(outputHeight) * Double(outputWidth)
    if kind == .fullyConnected { return (2 * channelsIn - 1) * channelsOut }
    switch workload {
    case .p1: return 2 * inputArea * (channelsIn * window + 1) * channelsOut
    case .p2: return channelsIn * (2 * window - 1) * outputArea * channelsOut
    case .physical:
      if kind == .pooling { return window * outputArea * channelsIn }
      return 2 * outputArea * (channelsIn * window + 1) * channelsOut
    }
  }

  /// The values as text in a fixed order, for the profile's digest.
  var canonical: String {
    var numbers = [inputHeight, inputWidth, inputChannels, kernel, stride, padding, paddingEnd]
    numbers += [roundsUp ? 1 : 0, outputChannels, channelParameters, skipElements]
    return "\(name.utf8.count):\(name) \(kind.rawValue) "
      + numbers.map { "\($0)" }.joined(separator: " ")
  }
}

extension DNNLayer {
  /// Columns of a layer table; those after `output_c` may be left out.
  static let columns = [
    "name", "kind", "input_h", "input_w", "input_c", "kernel", "stride", "padding", "padding_end",
    "rounding", "output_c", "in_features", "out_features", "channel_parameters", "skip_elements",
  ]

  /// Largest number that a cell may hold: far beyond any DNN, far below overflow of the counts.
  private static let largest = 1 << 20
  /// Largest number of elements, weights or operations that a layer may have.
  private static let largestCount = 0x1p50

  /// Reads one row of a layer table.
  ///
  /// - Throws: `InputError` with file, line, column's name and value.
  init(row: Int, of table: CSVTable) throws {
    let cells = table.rows[row]
    let line = table.lines[row]
    func failure(
      _ problem: String, _ key: String? = nil, _ value: String? = nil, advice: String? = nil
    ) -> InputError {
      let column = key.flatMap { table.columns.firstIndex(of: $0) }
        .map { cells[..<$0].reduce(1) { $0 + $1.unicodeScalars.count + 1 } }
      return InputError(
        problem, file: table.file, line: line, column: column, key: key, value: value,
        advice: advice)
    }
    func cell(_ key: String) -> String {
      table.columns.firstIndex(of: key).map { cells[$0] } ?? ""
    }
    func integer(_ key: String, atLeast low: Int, default preset: Int? = nil) throws -> Int {
      let text = cell(key)
      if text.isEmpty, let preset { return preset }
      guard text.utf8.allSatisfy({ (48...57).contains($0) }), let value = Int(text),
        value >= low, value <= DNNLayer.largest
      else {
        throw failure(
          "must be a whole number from \(low) to \(DNNLayer.largest)", key, text,
          advice: text.isEmpty ? "This kind of layer needs it" : nil)
      }
      return value
    }
    func refuse(_ keys: [String], _ reason: String) throws {
      for key in keys where !cell(key).isEmpty {
        throw failure("must be empty: \(reason)", key, cell(key))
      }
    }

    name = cell("name")
    if name.isEmpty { throw failure("must name the layer", "name", "") }
    guard let kind = Kind(rawValue: cell("kind")) else {
      let words = Kind.allCases.map(\.rawValue)
      throw failure(
        "must be one of \(words.joined(separator: ", "))", "kind", cell("kind"),
        advice: nearestName(to: cell("kind"), among: words).map { "Did you mean '\($0)'?" })
    }
    self.kind = kind
    channelParameters = try integer(
      "channel_parameters", atLeast: 0, default: kind == .pooling ? 0 : 1)
    skipElements = try integer("skip_elements", atLeast: 0, default: 0)
    if kind == .fullyConnected {
      try refuse(
        [
          "input_h", "input_w", "input_c", "kernel", "stride", "padding", "padding_end",
          "rounding", "output_c",
        ], "a fully connected layer has in_features and out_features")
      (inputHeight, inputWidth, kernel, stride) = (1, 1, 1, 1)
      (padding, paddingEnd, roundsUp) = (0, 0, false)
      inputChannels = try integer("in_features", atLeast: 1)
      outputChannels = try integer("out_features", atLeast: 1)
    } else {
      try refuse(
        ["in_features", "out_features"], "only fully connected layers have features")
      inputHeight = try integer("input_h", atLeast: 1)
      inputWidth = try integer("input_w", atLeast: 1)
      inputChannels = try integer("input_c", atLeast: 1)
      kernel = try integer("kernel", atLeast: 1)
      stride = try integer("stride", atLeast: 1)
      padding = try integer("padding", atLeast: 0)
      paddingEnd = try integer("padding_end", atLeast: 0, default: padding)
      outputChannels = try integer("output_c", atLeast: 1)
      switch cell("rounding") {
      case "", "down": roundsUp = false
      case "up": roundsUp = true
      default:
        throw failure(
          "must be up or down", "rounding", cell("rounding"),
          advice: "Pools with ceil_mode round up")
      }
      if outputHeight < 1 || outputWidth < 1 {
        throw failure(
          "does not fit into the padded input of \(inputHeight) x \(inputWidth)", "kernel",
          cell("kernel"))
      }
    }
    if kind == .pooling {
      if outputChannels != inputChannels {
        throw failure(
          "a pool keeps the number of its input's channels, \(inputChannels)", "output_c",
          cell("output_c"))
      }
      if channelParameters != 0 {
        throw failure("a pool has no parameters", "channel_parameters", "\(channelParameters)")
      }
    }
    let inputCount = Double(inputHeight) * Double(inputWidth) * Double(inputChannels)
    let outputCount = Double(outputHeight) * Double(outputWidth) * Double(outputChannels)
    let weights = Double(kernel) * Double(kernel) * Double(inputChannels)
    let counts =
      [inputCount * weights, outputCount * weights, inputCount, outputCount]
      + Workload.allCases.map { flop($0) }
    if counts.contains(where: { $0 > DNNLayer.largestCount }) {
      throw failure("the layer '\(name)' is larger than 2^50 operations")
    }
  }
}
