import Foundation
import Support
import Trace

/// The map of `veclab inspect --plot`: the trace's own positions, the RSU and its coverage.
enum InspectMap {
  private static let highest = 560.0
  private static let lowest = 160.0

  /// What the map shows: the trace and the circle of coverage, with a margin.
  private static func view(_ report: InspectReport) -> TraceExtent {
    let (x, y, radius) = (report.place.x, report.place.y, report.coverage)
    var view = TraceExtent(x0: x - radius, y0: y - radius, x1: x + radius, y1: y + radius)
    if let extent = report.extent {
      view.x0 = min(view.x0, extent.x0)
      view.y0 = min(view.y0, extent.y0)
      view.x1 = max(view.x1, extent.x1)
      view.y1 = max(view.y1, extent.y1)
    }
    let margin = max(view.x1 - view.x0, view.y1 - view.y0) * 0.02
    return TraceExtent(
      x0: view.x0 - margin, y0: view.y0 - margin, x1: view.x1 + margin, y1: view.y1 + margin)
  }

  private static func pixelsPerMetre(_ view: TraceExtent) -> Double {
    min(
      (InspectPlot.width - InspectPlot.left - InspectPlot.right) / (view.x1 - view.x0),
      highest / (view.y1 - view.y0))
  }

  /// Pixels that the map takes, its title and axis included.
  static func height(of report: InspectReport) -> Double {
    let view = view(report)
    let picture = max(lowest, (view.y1 - view.y0) * pixelsPerMetre(view))
    return picture + InspectPlot.top + InspectPlot.bottom
  }

  static func svg(_ report: InspectReport) -> String {
    let view = view(report)
    let scale = pixelsPerMetre(view)
    let width = InspectPlot.width - InspectPlot.left - InspectPlot.right
    let height = height(of: report) - InspectPlot.top - InspectPlot.bottom
    // In the middle, where the picture is narrower or flatter than its frame.
    let shiftX = InspectPlot.left + (width - (view.x1 - view.x0) * scale) / 2
    let shiftY = InspectPlot.top + (height + (view.y1 - view.y0) * scale) / 2
    func px(_ x: Double) -> String { InspectPlot.number(shiftX + (x - view.x0) * scale) }
    func py(_ y: Double) -> String { InspectPlot.number(shiftY - (y - view.y0) * scale) }
    let number = InspectPlot.number

    var text = """
      <text x="\(number(InspectPlot.left))" y="24" font-size="14">Positions in the trace; RSU and its coverage, \
      \(number(report.coverage)) m</text>
      <g id="map">

      """
    let most = Double(report.map.cells.map(\.rows).max() ?? 1)
    let side = max(report.map.side * scale, 1)
    for cell in report.map.cells {
      let opacity = 0.35 + 0.65 * pow(Double(cell.rows) / most, 0.3)
      text += """
        <rect x="\(px(cell.x))" y="\(number(shiftY - (cell.y - view.y0) * scale - side))" width="\(number(side))" \
        height="\(number(side))" fill="#444" fill-opacity="\(number(opacity))"/>

        """
    }
    let (x, y) = (px(report.place.x), py(report.place.y))
    text += """
      </g>
      <circle cx="\(x)" cy="\(y)" r="\(number(report.coverage * scale))" fill="none" stroke="#d62728" \
      stroke-dasharray="6 4"/>
      <path d="M \(x) \(y) m 0 -7 l 6 12 h -12 z" fill="#d62728"/>

      """
    return text + axes(view, px, py, frameHeight: height)
  }

  private static func axes(
    _ view: TraceExtent, _ px: (Double) -> String, _ py: (Double) -> String, frameHeight: Double
  ) -> String {
    let number = InspectPlot.number
    let bottom = InspectPlot.top + frameHeight
    let right = InspectPlot.width - InspectPlot.right
    var text = ""
    let stepX = InspectPlot.roundStep(view.x1 - view.x0, atMost: 8)
    for tick in ticks(view.x0, view.x1, stepX) {
      text += """
        <text x="\(px(tick))" y="\(number(bottom + 18))" text-anchor="middle">\(number(tick))</text>

        """
    }
    let stepY = max(InspectPlot.roundStep(view.y1 - view.y0, atMost: 6), stepX / 5)
    for tick in ticks(view.y0, view.y1, stepY) {
      text += """
        <text x="\(number(InspectPlot.left - 8))" y="\(py(tick))" dy="4" text-anchor="end">\(number(tick))</text>

        """
    }
    return text + """
      <text x="\(number((InspectPlot.left + right) / 2))" y="\(number(bottom + 36))" text-anchor="middle">x (m)</text>
      <text transform="translate(18 \(number(InspectPlot.top + frameHeight / 2))) rotate(-90)" \
      text-anchor="middle">y (m)</text>
      <rect x="\(number(InspectPlot.left))" y="\(number(InspectPlot.top))" \
      width="\(number(right - InspectPlot.left))" height="\(number(frameHeight))" fill="none" stroke="#444"/>

      """
  }

  /// Multiples of a step between two ends.
  private static func ticks(_ first: Double, _ last: Double, _ step: Double) -> [Double] {
    let start = (first / step).rounded(.up)
    let count = max(0, Int(min(50, (last / step - start).rounded(.down) + 1)))
    return (0..<count).map { (start + Double($0)) * step }
  }

  /// The report with the squares of the map.
  static func json(_ report: InspectReport) -> JSONValue {
    guard case .object(var members) = report.json else { return report.json }
    let cells = report.map.cells
    members["map"] = .object([
      "side": .number(report.map.side), "x": .list(cells.map { .number($0.x) }),
      "y": .list(cells.map { .number($0.y) }), "rows": .list(cells.map { .integer($0.rows) }),
    ])
    return .object(members)
  }
}
