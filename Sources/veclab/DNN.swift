import ArgumentParser
import Simulation
import Support

/// `veclab dnn`: the layer table of a DNN with work and cut data, and the figure of it.
struct DNN: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dnn",
    abstract: "Show a DNN's layers, their work and the data at each cut.",
    discussion: """
      Without a name: the totals of every shipped network. Shipped networks go by name (vgg16), tables of your \
      own by path.
      """)

  @Argument(
    help: ArgumentHelp("Name of a shipped network or path of a table.", valueName: "name|file"))
  var network: String?

  @Option(
    help: ArgumentHelp("Formula that counts the work: p1, p2 or physical.", valueName: "formula"),
    transform: { text in
      guard let workload = Workload(rawValue: text) else {
        let words = Workload.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("'\(text)' is none of \(words).")
      }
      return workload
    })
  var workload = Workload.p1

  @Flag(help: "Count the skip connection's tensor where a cut is inside a residual block.")
  var skipAware = false

  @Flag(help: "Print the table as CSV.")
  var csv = false

  @Option(
    help: ArgumentHelp(
      "Write work and cut data per layer as a figure's CSV (p1-fig1); without a network: of all.",
      valueName: "file"))
  var figure: String?

  func validate() throws { try refuseEmpty(["The network": network, "--figure": figure]) }

  func run() throws {
    let names = network.map { [$0] } ?? DNNProfile.shippedNames(relativeTo: ".")
    if names.isEmpty {
      throw InputError(
        "no folder dnn or Experiments/dnn with tables was found", key: "dnn",
        advice: DNNProfile.adviceWithoutTables)
    }
    let profiles = try names.map { try DNNProfile.load($0, relativeTo: ".") }
    if let figure { try Files.writeAtomically(figureCSV(profiles), to: figure) }
    if network == nil {
      let rows = profiles.map { profile in
        [
          profile.name, "\(profile.layers.count)", "\(profile.macs)", "\(profile.parameterCount)",
        ] + Workload.allCases.map { gflop(profile.flop($0).reduce(0, +)) }
      }
      output(
        ["dnn", "layers", "macs", "parameters"] + Workload.allCases.map { "\($0.rawValue)_gflop" },
        rows)
      return
    }
    for profile in profiles { output(DNN.columns, rows(profile)) }
  }

  private static let columns = [
    "layer", "name", "kind", "input", "output", "workload_gflop", "cut_bits", "macs", "parameters",
  ]

  private func rows(_ profile: DNNProfile) -> [[String]] {
    let work = profile.flop(workload)
    let bits = profile.cutBits(skipAware: skipAware)
    func row(_ number: String, _ layer: DNNLayer, _ work: String, _ bits: String) -> [String] {
      [
        number, layer.name, layer.kind.rawValue,
        shape(layer.inputHeight, layer.inputWidth, layer.inputChannels),
        shape(layer.outputHeight, layer.outputWidth, layer.outputChannels), work, bits,
        "\(layer.macs)", "\(layer.parameterCount)",
      ]
    }
    var rows = profile.layers.enumerated().map { i, layer in
      row("\(i + 1)", layer, gflop(work[i]), CSVWriter.text(of: bits[i]))
    }
    // Beside the chain: neither work nor cuts.
    rows += profile.sideLayers.map { row("", $0, "", "") }
    if !csv {
      rows.append([
        "", "sum", "", "", "", gflop(work.reduce(0, +)), "", "\(profile.macs)",
        "\(profile.parameterCount)",
      ])
    }
    return rows
  }

  /// All digits where a program reads them.
  private func gflop(_ flop: Double) -> String {
    csv ? CSVWriter.text(of: flop / 1e9) : short(flop / 1e9, digits: 5)
  }

  private func shape(_ height: Int, _ width: Int, _ channels: Int) -> String {
    "\(height)x\(width)x\(channels)"
  }

  private func output(_ columns: [String], _ rows: [[String]]) {
    if csv {
      var writer = CSVWriter(columns: columns)
      for row in rows { writer.append(row.map { .text($0) }) }
      print(String(decoding: writer.bytes, as: UTF8.self), terminator: "")
      return
    }
    let widths = columns.indices.map { i in
      ([columns] + rows).map { $0[i].count }.max() ?? 0
    }
    for row in [columns] + rows {
      let cells = row.indices.map { i in
        let space = String(repeating: " ", count: widths[i] - row[i].count)
        // Numbers to the right, words to the left.
        return columns[i] == "name" || columns[i] == "kind" || columns[i] == "dnn"
          ? row[i] + space : space + row[i]
      }
      print(cells.joined(separator: "  "))
    }
  }

  /// The columns of every figure; there is nothing random here, so no seeds and no intervals.
  private func figureCSV(_ profiles: [DNNProfile]) -> [UInt8] {
    var writer = CSVWriter(columns: [
      "figure", "series", "x", "metric", "n_seeds", "mean", "ci95_low", "ci95_high", "iqm",
      "pooled_over",
    ])
    for profile in profiles {
      let metrics = [
        ("workload_gflop", profile.flop(workload).map { $0 / 1e9 }),
        ("cut_mbit", profile.cutBits(skipAware: skipAware).map { $0 / 1e6 }),
      ]
      for (metric, values) in metrics {
        for (i, value) in values.enumerated() {
          writer.append([
            .text("p1-fig1"), .text(profile.name), .integer(i + 1), .text(metric), .integer(1),
            .number(value), .missing, .missing, .number(value), .missing,
          ])
        }
      }
    }
    return writer.bytes
  }
}
