import Foundation
import Support
import Testing
import Trace
import TraceImport

/// Metres or degrees, and what is said of either.
@Suite struct CoordinateTests {
  /// One row of a vehicle.
  private struct Row {
    var id: String
    var x: Double
    var y: Double
    var speed: Double
  }

  private func text(_ steps: [(time: Double, rows: [Row])], decimals: Int) -> String {
    let body = steps.map { step in
      let rows = step.rows.map {
        String(
          format:
            "<vehicle id=\"\($0.id)\" x=\"%.\(decimals)f\" y=\"%.\(decimals)f\" speed=\"%.2f\"/>",
          $0.x, $0.y, $0.speed)
      }
      return "<timestep time=\"\(step.time)\">\(rows.joined())</timestep>\n"
    }
    return export(body.joined())
  }

  private func options(_ change: (inout ImportOptions) -> Void) -> ImportOptions {
    var options = ImportOptions()
    change(&options)
    return options
  }

  /// Three vehicles at 10 m/s to the east, 48.77 degrees north.
  private func eastbound(_ steps: Int = 40, parked: Row? = nil) -> String {
    let degree = 111_320 * cos(48.765432 * .pi / 180)
    return text(
      (0..<steps).map { step in
        let rows = (0..<3).map {
          Row(
            id: "v\($0)", x: 11.4 + 0.0005 * Double($0) + 10 * Double(step) / degree, y: 48.765432,
            speed: 10)
        }
        return (Double(step), (step < 3 ? [parked].compactMap { $0 } : []) + rows)
      }, decimals: 6)
  }

  @Test(arguments: [0.1, 1, 4])
  func positionsThatAreHeldAreNoEvidence(hold: Double) throws {
    // At 13.89 m/s, in degrees' range, x changes only every `hold` seconds or every 20 samples.
    let steps = (0..<80).map { step in
      let time = hold == 0.1 ? Double(step) / 10 : Double(step)
      let held = hold == 0.1 ? time.rounded(.down) : (time / hold).rounded(.down) * hold
      return (time, [Row(id: "a", x: -60 + min(13.89 * held, 120), y: -4.8, speed: 13.89)])
    }
    let imported = try importText(text(steps, decimals: 2))
    #expect(!imported.summary.isGeographic && imported.summary.vehicles == 80)
    #expect(imported.summary.warnings == [])
  }

  @Test func vehiclesThatNeverMoveAreMetresUnlessTheirTextSaysOtherwise() throws {
    let stuck = (0..<20).map { (Double($0), [Row(id: "a", x: 10, y: 2, speed: 8)]) }
    let metres = try importText(text(stuck, decimals: 2))
    #expect(!metres.summary.isGeographic)
    #expect(metres.summary.warnings.first?.contains("no position changes") == true)
    let parked = (0..<20).map { (Double($0), [Row(id: "a", x: 75.2, y: 49.85, speed: 0)]) }
    let degrees = try importText(text(parked, decimals: 6))
    #expect(degrees.summary.isGeographic)
    #expect(degrees.summary.warnings.first?.contains("nothing moves") == true)
    // The trace keeps it for whoever reads it.
    #expect(degrees.trace.notes == degrees.summary.warnings)
    let told = try importText(text(parked, decimals: 6), options { $0.coordinates = .metres })
    #expect(!told.summary.isGeographic && told.summary.warnings == [])
  }

  @Test func placeholdersAreLeftOutAndCounted() throws {
    let none = Row(id: "parked", x: -1_073_741_824, y: -1_073_741_824, speed: 0)
    for change in [
      { _ in }, { $0.rectangle = .init(x0: 11, y0: 48, x1: 12, y1: 49) },
      {
        $0.coordinates = .geo
        $0.rectangle = .init(x0: 11, y0: 48, x1: 12, y1: 49)
      },
      { $0.circle = .init(x: 11.4, y: 48.765432, radius: 5000) },
    ] as [(inout ImportOptions) -> Void] {
      let imported = try importText(eastbound(parked: none), options(change))
      #expect(imported.summary.isGeographic && imported.summary.vehicles == 120)
      #expect(imported.summary.ids == 3 && imported.summary.rowsWithoutPosition == 3)
      #expect(imported.summary.warnings.contains { $0.hasPrefix("3 rows were left out") })
      #expect(
        imported.trace.header.projection == .localPlane(longitude: 11.4, latitude: 48.765432))
    }
    // In metres too.
    let metric = (0..<5).map {
      (Double($0), [none, Row(id: "a", x: 300 + 10 * Double($0), y: 5, speed: 10)])
    }
    let imported = try importText(text(metric, decimals: 2))
    #expect(!imported.summary.isGeographic && imported.summary.vehicles == 5)
    #expect(imported.summary.rowsWithoutPosition == 5)
  }

  @Test func impossibleValuesDoNotVote() throws {
    let lost = Row(id: "lost", x: 99_999, y: -99_999, speed: 0)
    #expect(throws: InputError.self) { try importText(eastbound(parked: lost)) }
    let imported = try importText(
      eastbound(parked: lost), options { $0.rectangle = .init(x0: 11, y0: 48, x1: 12, y1: 49) })
    #expect(imported.summary.isGeographic && imported.summary.vehicles == 120)
    #expect(
      imported.summary.warnings == ["3 rows outside --rect are no longitude and latitude at all"])
  }

  @Test func exchangedCoordinatesAreAnError() throws {
    let steps = (0..<20).map { step in
      (
        Double(step),
        [Row(id: "a", x: 39.9042, y: 116.4 + 10 * Double(step) / 85_400, speed: 10)]
      )
    }
    let error = #expect(throws: InputError.self) { try importText(text(steps, decimals: 6)) }
    #expect(error?.problem.contains("latitude and longitude exchanged") == true)
    let told = try importText(text(steps, decimals: 6), options { $0.coordinates = .metres })
    #expect(told.summary.warnings.first?.contains("exchanged") == true)
    let parked = (0..<3).map { (Double($0), [Row(id: "a", x: 39.9042, y: 116.4, speed: 0)]) }
    let still = try importText(text(parked, decimals: 6))
    #expect(still.summary.warnings.first?.contains("exchanged") == true)
  }

  @Test func motionThatContradictsWhatWasSaidIsTold() throws {
    let forced = try importText(eastbound(), options { $0.coordinates = .metres })
    #expect(forced.summary.warnings.first?.contains("longitude and latitude") == true)
    let metric = (0..<20).map {
      (Double($0), [Row(id: "a", x: 10 + 2 * Double($0), y: 5, speed: 2)])
    }
    let geo = try importText(
      text(metric, decimals: 2),
      options {
        $0.coordinates = .geo
        $0.circle = nil
        $0.rectangle = .init(x0: 0, y0: 0, x1: 12, y1: 90)
      })
    #expect(geo.summary.warnings.first?.contains("only if they are metres") == true)
    let jumping = (0..<20).map {
      (Double($0), [Row(id: "a", x: Double($0 % 2) * 5000, y: 500, speed: 2)])
    }
    let odd = try importText(text(jumping, decimals: 2))
    #expect(odd.summary.warnings.first?.contains("neither in metres nor in degrees") == true)
  }

  @Test func theNetworksLocationSettlesIt() throws {
    try withFolder { folder in
      func network(_ attributes: String) throws -> NetworkLocation {
        let path = folder + "/a.net.xml"
        try Files.writeAtomically(
          "<?xml version=\"1.0\"?>\n<!-- <location convBoundary=\"1\"/> -->\n<net>\n  <location \(attributes)/>\n</net>\n",
          to: path)
        return try NetworkLocation(path: path)
      }
      let projected = try network(
        "netOffset=\"-676000.00,-5404000.00\" convBoundary=\"0.00,0.00,2000.00,1000.00\" origBoundary=\"11.390000,48.760000,11.420000,48.770000\" projParameter=\"+proj=utm +zone=32\""
      )
      #expect(projected.metres == [0, 0, 2000, 1000])
      #expect(projected.degrees == [11.39, 48.76, 11.42, 48.77])
      // Parked, with few or many decimals: only the network tells.
      let inDegrees = (0..<3).map { (Double($0), [Row(id: "a", x: 11.4, y: 48.765, speed: 0)]) }
      let inMetres = (0..<3).map { (Double($0), [Row(id: "a", x: 60, y: 80, speed: 0)]) }
      // 11.4, 48.765 lies in the network's metres too; 60, 80 only there.
      let metres = try importText(text(inMetres, decimals: 6), options { $0.network = projected })
      #expect(!metres.summary.isGeographic && metres.summary.warnings == [])
      let shifted = try network(
        "netOffset=\"0,0\" convBoundary=\"676000.00,5404000.00,678000.00,5405000.00\" origBoundary=\"11.390000,48.760000,11.420000,48.770000\" projParameter=\"+proj=utm +zone=32\""
      )
      let degrees = try importText(text(inDegrees, decimals: 2), options { $0.network = shifted })
      #expect(degrees.summary.isGeographic && degrees.summary.warnings == [])
      let elsewhere = try importText(text(inMetres, decimals: 2), options { $0.network = shifted })
      #expect(elsewhere.summary.warnings.first?.contains("fit neither") == true)
      #expect(throws: InputError.self) { try network("convBoundary=\"1,2\"") }
    }
  }

  @Test func typesOfSingleVehiclesBelongToTheirType() throws {
    let rows = ["car", "car@B", "truck", "cargo", "a&amp;b", "a&lt;b"]
    let body = rows.enumerated().map {
      "<vehicle id=\"\($0.offset)\" x=\"200\" y=\"300\" speed=\"0\" type=\"\($0.element)\"/>"
    }
    let input = export(
      "<timestep time=\"0\">\(body.joined())<vehicle id=\"n\" x=\"1\" y=\"300\" speed=\"0\"/></timestep>"
    )
    func kept(_ types: String) throws -> ImportSummary {
      let names = try ImportOptions.types(types)
      return try importText(input, options { $0.types = names }).summary
    }
    #expect(try kept("car,truck").vehicles == 3)
    #expect(try kept(" car , truck ").vehicles == 3)
    #expect(try kept("car@B").vehicles == 1)
    #expect(try kept("a&b").vehicles == 1 && kept("a&amp;b,a&lt;b").vehicles == 2)
    let missing = try kept("bus,car")
    #expect(missing.vehicles == 2)
    #expect(
      missing.warnings == [
        "1 rows have no type, so that --types left them out",
        "the type 'bus' of --types never occurs; the input has car (1 rows), car@B (1 rows), "
          + "truck (1 rows), cargo (1 rows), a&b (1 rows), a<b (1 rows)",
      ])
    #expect(throws: InputError.self) { try ImportOptions.types("car, ,bus") }
  }

  @Test func sumsBeyondTheLargestNumberAreKept() throws {
    let imported = try importText(
      export(
        "<timestep time=\"0\"><vehicle id=\"a\" x=\"1e308\" y=\"1e308\" speed=\"1\"/></timestep><timestep time=\"1\"><vehicle id=\"a\" x=\"-1e308\" y=\"1e308\" speed=\"1\"/></timestep>"
      ))
    #expect(imported.summary.sumX == 0 && imported.summary.sumY == .infinity)
  }
}
