/// The smallest rectangle along the axes that holds all positions of a trace, metres.
public struct TraceExtent: Sendable, Equatable {
  public var x0, y0, x1, y1: Double

  public init(x0: Double, y0: Double, x1: Double, y1: Double) {
    self.x0 = x0
    self.y0 = y0
    self.x1 = x1
    self.y1 = y1
  }
}

/// A square of a map and how many rows of the trace lie in it.
public struct MapCell: Sendable, Equatable {
  /// Lower left corner, metres.
  public var x, y: Double
  public var rows: Int
}

extension TraceFile {
  /// - Returns: Nil for a trace without rows.
  public func extent() -> TraceExtent? {
    var extent = TraceExtent(x0: .infinity, y0: .infinity, x1: -.infinity, y1: -.infinity)
    forEachStep { _, rows in
      for i in rows.indices {
        extent.x0 = min(extent.x0, rows[i].x)
        extent.x1 = max(extent.x1, rows[i].x)
        extent.y0 = min(extent.y0, rows[i].y)
        extent.y1 = max(extent.y1, rows[i].y)
      }
    }
    return extent.x0 <= extent.x1 ? extent : nil
  }

  /// A picture of the roads from the positions alone: the squares that vehicles were in, by row and column.
  ///
  /// - Parameters:
  ///   - extent: What the map shows.
  ///   - cells: Squares along the longer side.
  public func map(of extent: TraceExtent, cells: Int) -> (side: Double, cells: [MapCell]) {
    precondition(cells >= 1)
    let longer = max(extent.x1 - extent.x0, extent.y1 - extent.y0)
    let side = longer > 0 && longer.isFinite ? longer / Double(cells) : 1
    let columns = cells + 1
    var counts = [Int](repeating: 0, count: columns * columns)
    func index(_ distance: Double) -> Int { Int(max(0, min(Double(cells), distance / side))) }
    forEachStep { _, rows in
      for i in rows.indices {
        counts[index(rows[i].y - extent.y0) * columns + index(rows[i].x - extent.x0)] += 1
      }
    }
    let occupied = counts.indices.filter { counts[$0] > 0 }.map { cell in
      MapCell(
        x: extent.x0 + Double(cell % columns) * side, y: extent.y0 + Double(cell / columns) * side,
        rows: counts[cell])
    }
    return (side, occupied)
  }
}
