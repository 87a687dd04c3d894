import Foundation
import Subprocess
import Support
import Trace

/// The picture of `veclab inspect`: map, vehicles in range, qualifying vehicles, dwell times.
enum InspectPlot {
  private struct Panel {
    var title: String
    var xLabel: String
    var yLabel: String
    /// A line, or bars of one width.
    var points: [(x: Double, y: Double)]
    var barWidth: Double?
    /// A dashed horizontal line.
    var level: Double?
  }

  // MARK: - SVG

  static let width = 900.0
  private static let panelHeight = 260.0
  static let left = 70.0
  static let right = 20.0
  static let top = 40.0
  static let bottom = 45.0

  static func svg(_ report: InspectReport) -> String {
    let panels = panels(of: report)
    let mapHeight = InspectMap.height(of: report)
    let height = mapHeight + panelHeight * Double(panels.count)
    var text = """
      <svg xmlns="http://www.w3.org/2000/svg" width="\(number(width))" height="\(number(height))" \
      viewBox="0 0 \(number(width)) \(number(height))" font-family="sans-serif" font-size="12">
      <rect width="100%" height="100%" fill="white"/>

      """
    text += InspectMap.svg(report)
    for (index, panel) in panels.enumerated() {
      text += "<g transform=\"translate(0 \(number(mapHeight + panelHeight * Double(index))))\">\n"
      text += draw(panel)
      text += "</g>\n"
    }
    return text + "</svg>\n"
  }

  private static func panels(of report: InspectReport) -> [Panel] {
    let place = String(
      format: "RSU at (%.1f, %.1f), %.0f m", report.place.x, report.place.y, report.coverage)
    let (binWidth, bins) = histogram(report.dwells)
    return [
      Panel(
        title: "Vehicles in range (\(place))", xLabel: "time (s)", yLabel: "vehicles",
        points: zip(report.slotTimes, report.inRange).map { ($0, Double($1)) }),
      Panel(
        title: "Qualifying vehicles (windows of \(report.slots) slots of "
          + "\(number(report.slotLength)) s; dashed: \(report.needed) needed)",
        xLabel: "start of the window (s)", yLabel: "vehicles",
        points: report.candidates.map { ($0.startTime, Double($0.vehicles)) },
        level: Double(report.needed)),
      Panel(
        title: "Dwell times", xLabel: "time in range (s)", yLabel: "stays",
        points: bins.enumerated().map { (Double($0) * binWidth, Double($1)) },
        barWidth: binWidth),
    ]
  }

  /// At most 40 bins of a round width, from 0.
  private static func histogram(_ values: [Double]) -> (width: Double, counts: [Int]) {
    guard let largest = values.last, largest > 0 else { return (1, [0]) }
    let width = roundStep(largest, atMost: 40)
    var counts = [Int](repeating: 0, count: Int((largest / width).rounded(.down)) + 1)
    for value in values { counts[Int((value / width).rounded(.down))] += 1 }
    return (width, counts)
  }

  /// The least 1, 2 or 5 times a power of ten that divides a span into at most so many parts.
  static func roundStep(_ span: Double, atMost parts: Double) -> Double {
    guard span > 0 else { return 1 }
    let power = pow(10, (log10(span / parts)).rounded(.down))
    for factor in [1.0, 2, 5] where span / (factor * power) <= parts { return factor * power }
    return 10 * power
  }

  /// Where the values of a panel stand in its drawing.
  private struct Scale {
    let plotWidth = width - left - right
    let plotHeight = panelHeight - top - bottom
    let firstX: Double
    let lastX: Double
    let lastY: Double
    let xStep: Double
    let yStep: Double

    init(_ panel: Panel) {
      firstX = panel.points.first?.x ?? 0
      lastX = max((panel.points.last?.x ?? 1) + (panel.barWidth ?? 0), firstX + 1e-9)
      let highest = max(panel.points.map(\.y).max() ?? 1, panel.level ?? 0, 1)
      yStep = max(roundStep(highest, atMost: 5), 1)
      lastY = (highest / yStep).rounded(.up) * yStep
      xStep = roundStep(lastX - firstX, atMost: 10)
    }

    func px(_ x: Double) -> String {
      number(left + (x - firstX) / (lastX - firstX) * plotWidth)
    }
    func py(_ y: Double) -> String { number(top + plotHeight - y / lastY * plotHeight) }
  }

  /// Lines across the panel, and the numbers on both axes.
  private static func gridLines(_ scale: Scale) -> String {
    var text = ""
    var y = 0.0
    while y <= scale.lastY {
      text += """
        <line x1="\(number(left))" y1="\(scale.py(y))" x2="\(number(width - right))" y2="\(scale.py(y))" stroke="#ddd"/>
        <text x="\(number(left - 8))" y="\(scale.py(y))" dy="4" text-anchor="end">\(number(y))</text>

        """
      y += scale.yStep
    }
    var tick = (scale.firstX / scale.xStep).rounded(.up)
    while tick * scale.xStep <= scale.lastX {
      text += """
        <text x="\(scale.px(tick * scale.xStep))" y="\(number(top + scale.plotHeight + 18))" text-anchor="middle">\
        \(number(tick * scale.xStep))</text>

        """
      tick += 1
    }
    return text
  }

  private static func draw(_ panel: Panel) -> String {
    let scale = Scale(panel)
    var text =
      "<text x=\"\(number(left))\" y=\"24\" font-size=\"14\">\(escaped(panel.title))</text>\n"
    text += gridLines(scale)
    text += """
      <text x="\(number(left + scale.plotWidth / 2))" y="\(number(panelHeight - 8))" text-anchor="middle">\
      \(escaped(panel.xLabel))</text>
      <text transform="translate(18 \(number(top + scale.plotHeight / 2))) rotate(-90)" text-anchor="middle">\
      \(escaped(panel.yLabel))</text>

      """
    if let barWidth = panel.barWidth {
      for point in panel.points where point.y > 0 {
        let barPixels = barWidth / (scale.lastX - scale.firstX) * scale.plotWidth
        text += """
          <rect x="\(scale.px(point.x))" y="\(scale.py(point.y))" width="\(number(max(barPixels - 1, 0.5)))" \
          height="\(number(point.y / scale.lastY * scale.plotHeight))" fill="#1f77b4"/>

          """
      }
    } else if !panel.points.isEmpty {
      let path = panel.points.map { "\(scale.px($0.x)),\(scale.py($0.y))" }.joined(separator: " ")
      text +=
        "<polyline points=\"\(path)\" fill=\"none\" stroke=\"#1f77b4\" stroke-width=\"1.5\"/>\n"
    }
    if let level = panel.level {
      text += """
        <line x1="\(number(left))" y1="\(scale.py(level))" x2="\(number(width - right))" y2="\(scale.py(level))" \
        stroke="#d62728" stroke-dasharray="6 4"/>

        """
    }
    return text + """
      <rect x="\(number(left))" y="\(number(top))" width="\(number(scale.plotWidth))" \
      height="\(number(scale.plotHeight))" fill="none" stroke="#444"/>

      """
  }

  /// At most two decimals.
  static func number(_ value: Double) -> String {
    CSVWriter.text(of: (value * 100).rounded() / 100)
  }

  static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }

  // MARK: - PNG

  private static let program = """
    import json, os, sys
    try:
        import matplotlib
    except ImportError:
        sys.exit(42)
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    report = json.load(sys.stdin)
    figure = plt.figure(figsize=(9, 12), layout="constrained")
    ground, *panels = figure.subplots(4, 1, height_ratios=[1.6, 1, 1, 1])
    picture = report["map"]
    rows = picture["rows"]
    most = max(rows, default=1)
    ground.scatter([x + picture["side"] / 2 for x in picture["x"]],
                   [y + picture["side"] / 2 for y in picture["y"]], s=2, marker="s", lw=0,
                   c=[(n / most) ** 0.3 for n in rows], cmap="Greys", vmin=-0.5, vmax=1)
    ground.add_patch(plt.Circle((report["rsuX"], report["rsuY"]), report["coverage"],
                                color="tab:red", fill=False, ls="--"))
    ground.plot(report["rsuX"], report["rsuY"], marker="^", color="tab:red", ls="none")
    ground.set(title="Positions in the trace; RSU and its coverage", xlabel="x (m)",
               ylabel="y (m)", aspect="equal")
    in_range = report["vehiclesInRange"]
    panels[0].plot(in_range["times"], in_range["counts"], lw=1.5)
    panels[0].set(title="Vehicles in range (RSU at (%.1f, %.1f), %.0f m)"
                  % (report["rsuX"], report["rsuY"], report["coverage"]),
                  xlabel="time (s)", ylabel="vehicles")
    windows = report["qualifyingVehicles"]
    panels[1].plot(windows["startTimes"], windows["counts"], lw=1.5)
    panels[1].axhline(report["vehiclesNeeded"], color="tab:red", ls="--")
    panels[1].set(title="Qualifying vehicles (windows of %d slots of %g s; dashed: %d needed)"
                  % (report["slots"], report["slotLength"], report["vehiclesNeeded"]),
                  xlabel="start of the window (s)", ylabel="vehicles")
    panels[2].hist(report["dwell"]["seconds"], bins=40)
    panels[2].set(title="Dwell times", xlabel="time in range (s)", ylabel="stays")
    for panel in panels:
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    temporary = "%s.%d.tmp" % (sys.argv[1], os.getpid())
    try:
        figure.savefig(temporary, format="png", dpi=110)
        os.replace(temporary, sys.argv[1])
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
    """

  /// Draws the same with matplotlib, of the first Python that has it.
  static func writePNG(_ report: InspectReport, to path: String) async throws {
    let advice = "Install matplotlib (apt-get install python3-matplotlib), or ask for a .svg file"
    // The system's Python is where the package manager puts matplotlib; another may come first in PATH.
    for python in ["python3", "/usr/bin/python3"] {
      let result = try await run(
        .name("env"), arguments: [python, "-B", "-c", program, path],
        input: .string(InspectMap.json(report).serialised()), output: .string(limit: 1 << 16),
        error: .string(limit: 1 << 16))
      switch result.terminationStatus {
      case .exited(0): return
      // 42: no matplotlib; 127: no such Python.
      case .exited(42), .exited(127): continue
      default:
        let message = result.standardError.split(separator: "\n").last ?? "no message"
        throw InputError("cannot be drawn by matplotlib: \(message)", file: path, advice: advice)
      }
    }
    throw InputError(
      "cannot be drawn: no python3 with matplotlib was found", file: path, advice: advice)
  }
}
