import Support
import Trace

/// SUMO's floating-car data as a table: CSV of `--fcd-output x.csv`, of its `xml2csv.py`, and of `veclab export`.
///
/// The first line names the columns (`timestep_time`, `vehicle_id`, `vehicle_x`, `vehicle_y`; the prefixes may be
/// missing), separated by `;`, `,` or tabulators. Fields may stand in quotation marks. A row without a vehicle is an
/// empty timestep, or a person or container.
struct FCDTable: InputFormat {
  private enum Column: String, CaseIterable {
    case time = "timestep_time"
    case id = "vehicle_id"
    case x = "vehicle_x"
    case y = "vehicle_y"
    case speed = "vehicle_speed"
    case position = "vehicle_pos"
    case type = "vehicle_type"
    case person = "person_id"
    case container = "container_id"

    /// The name without its prefix; riders have none, as their columns could not be told from those of vehicles.
    var plain: String? {
      switch self {
      case .person, .container: nil
      default: String(rawValue.drop { $0 != "_" }.dropFirst())
      }
    }

    static let needed: [Column] = [.time, .id, .x, .y]
  }

  private static let separators = Array(";,\t".utf8)

  private let name: String
  private let limits: ImportLimits
  private var session: ImportSession
  private var separator = UInt8(ascii: ";")
  /// Places of the columns in a row; -1: there is none.
  private var places = [Int](repeating: -1, count: Column.allCases.count)
  private var columns = 0
  private var line = 0
  private var bytes = 0
  private var isAtEnd = false
  /// Fields of the row at hand, unquoted, one after another, and where each ends.
  private var fields: [UInt8] = []
  private var ends: [Int] = []

  static func recognises(_ start: [UInt8]) -> Bool {
    let line = start.drop { [0xEF, 0xBB, 0xBF].contains($0) }.prefix { $0 != 10 && $0 != 13 }
    guard let first = line.first, first != UInt8(ascii: "<"),
      line.contains(where: { separators.contains($0) })
    else { return false }
    let isText = line.allSatisfy { $0 >= 32 || $0 == 9 }
    let isHeader = Column.needed.contains { column in
      String(decoding: line, as: UTF8.self).contains(column.rawValue)
    }
    // Plain names are too common to tell a table by one of them.
    return isText && (isHeader || Set(names(in: line)).isSuperset(of: ["id", "x", "y"]))
  }

  private static func names(in line: ArraySlice<UInt8>) -> [String] {
    line.split(omittingEmptySubsequences: false) { separators.contains($0) }.map { field in
      String(decoding: field.filter { $0 > 32 && $0 != UInt8(ascii: "\"") }, as: UTF8.self)
    }
  }

  static func read(
    _ input: InputReader, into writer: TraceWriter, options: ImportOptions
  ) throws -> ImportSummary {
    var table = FCDTable(
      name: input.name, limits: options.limits,
      session: ImportSession(options: options, writer: writer))
    do {
      try table.readLines(of: input)
      return try table.finish()
    } catch var error as InputError {
      if error.file == nil {
        error.file = input.name
        error.line = table.line
      }
      throw error
    }
  }

  private init(name: String, limits: ImportLimits, session: ImportSession) {
    self.name = name
    self.limits = limits
    self.session = session
  }

  private mutating func readLines(of input: InputReader) throws {
    var buffer: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while !isAtEnd {
      var count = 0
      do {
        try piece.withUnsafeMutableBufferPointer { count = try input.read(into: $0) }
      } catch var error as InputError {
        error.problem += "; \(progress)"
        throw error
      }
      bytes += count
      buffer += piece[0..<count]
      var start = 0
      while !isAtEnd, let end = buffer[start...].firstIndex(of: 10) {
        try take(buffer[start..<end])
        start = end + 1
      }
      buffer.removeFirst(start)
      guard buffer.count <= limits.tag else {
        line += 1
        throw InputError(
          "is longer than the limit of \(limits.tag) bytes", key: "a row",
          advice: "If the input is sound, raise it: --limit tag=\(2 * limits.tag)")
      }
      if count == 0 {
        if !isAtEnd, !buffer.isEmpty { try take(buffer[...]) }
        return
      }
    }
  }

  private var progress: String {
    session.lastCompleteTime.map { "the last complete timestep is at \($0) s" }
      ?? "no timestep is complete"
  }

  private mutating func finish() throws -> ImportSummary {
    if session.isInStep { _ = try session.endStep() }
    guard session.summary.timesteps > 0 else {
      throw InputError(
        "has no timestep to import; \(progress)", file: name,
        advice: "Check --begin, --end and --step, or that SUMO ran longer than 0 s")
    }
    try session.finish()
    session.summary.bytes = bytes
    return session.summary
  }

  private mutating func take(_ text: ArraySlice<UInt8>) throws {
    line += 1
    var text = text
    if text.last == 13 { text = text.dropLast() }
    if line == 1 {
      try readHeader(text.starts(with: [0xEF, 0xBB, 0xBF]) ? text.dropFirst(3) : text)
      return
    }
    if text.isEmpty { return }
    try split(text)
    guard ends.count == columns else {
      throw InputError(
        "has \(ends.count) fields, the first line \(columns)", key: "the row",
        advice:
          "Is the file cut off, or does an id hold a '\(Character(Unicode.Scalar(separator)))'?")
    }
    try takeRow()
  }

  private mutating func readHeader(_ text: ArraySlice<UInt8>) throws {
    separator = FCDTable.separators.first { text.contains($0) } ?? separator
    let names = FCDTable.names(in: text)
    columns = names.count
    for (index, column) in Column.allCases.enumerated() {
      let found = names.indices.filter { names[$0] == column.rawValue || names[$0] == column.plain }
      guard found.count <= 1 else {
        throw InputError("is in the first line twice", key: column.rawValue)
      }
      places[index] = found.first ?? -1
      if found.isEmpty && Column.needed.contains(column) {
        throw InputError(
          "is a table (CSV) without the column \(column.rawValue)",
          value: names.joined(separator: ";"),
          advice: "SUMO's floating-car data as CSV have it: sumo --fcd-output FILE.csv")
      }
    }
  }

  /// Splits a row into `fields`.
  private mutating func split(_ text: ArraySlice<UInt8>) throws {
    let quote = UInt8(ascii: "\"")
    fields.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
    var isQuoted = false
    var i = text.startIndex
    var isAtStart = true
    while i < text.endIndex {
      let byte = text[i]
      if isQuoted {
        if byte != quote {
          fields.append(byte)
        } else if i + 1 < text.endIndex, text[i + 1] == quote {
          fields.append(quote)
          i += 1
        } else {
          isQuoted = false
        }
      } else if byte == separator {
        ends.append(fields.count)
        isAtStart = true
        i += 1
        continue
      } else if byte == quote && isAtStart {
        isQuoted = true
      } else {
        fields.append(byte)
      }
      isAtStart = false
      i += 1
    }
    if isQuoted {
      throw InputError("ends inside quotation marks", key: "the row")
    }
    ends.append(fields.count)
  }

  private func range(_ column: Column) -> Range<Int> {
    let place = places[Column.allCases.firstIndex(of: column)!]
    guard place >= 0 else { return 0..<0 }
    return (place == 0 ? 0 : ends[place - 1])..<ends[place]
  }

  private func text(_ column: Column) -> String {
    String(decoding: fields[range(column)].prefix(200), as: UTF8.self)
  }

  private func number(_ column: Column) throws -> Double {
    let range = range(column)
    let value = fields.withUnsafeBytes {
      DecimalText.number(UnsafeRawBufferPointer(rebasing: $0[range]))
    }
    guard let value else {
      throw InputError(
        "is no finite number", key: "vehicle \(text(.id)), \(column.rawValue)", value: text(column))
    }
    return value
  }

  private mutating func takeRow() throws {
    let timeRange = range(.time)
    let time = fields.withUnsafeBytes {
      DecimalText.time(UnsafeRawBufferPointer(rebasing: $0[timeRange]))
    }
    guard let time else {
      throw InputError(
        "is no time", key: Column.time.rawValue, value: text(.time),
        advice: "Times are seconds or HH:MM:SS")
    }
    if !session.isInStep || time != session.time {
      if session.isInStep, try !session.endStep() {
        isAtEnd = true
        return
      }
      guard try session.beginStep(time: time) else {
        isAtEnd = true
        return
      }
    }
    if range(.id).isEmpty {
      session.countRiders(
        persons: range(.person).isEmpty ? 0 : 1, containers: range(.container).isEmpty ? 0 : 1)
    } else {
      try takeVehicle()
    }
  }

  private mutating func takeVehicle() throws {
    var sample = VehicleSample(x: try number(.x), y: try number(.y))
    if !range(.speed).isEmpty { sample.speed = try number(.speed) }
    if !range(.position).isEmpty { sample.position = try number(.position) }
    func decimals(_ column: Column) -> Int {
      let text = fields[range(column)]
      return text.firstIndex(of: UInt8(ascii: ".")).map { text.endIndex - $0 - 1 } ?? 0
    }
    sample.decimals = min(decimals(.x), decimals(.y))
    let (id, type) = (range(.id), range(.type))
    guard id.count <= limits.id else {
      throw InputError(
        "an id is longer than the limit of \(limits.id) bytes",
        key: "vehicle \(text(.id).prefix(40))…",
        advice: "If the input is sound, raise it: --limit id=\(max(id.count, 2 * limits.id))")
    }
    guard String(validating: fields[id], as: UTF8.self) != nil else {
      throw InputError("is not UTF-8", key: Column.id.rawValue, value: text(.id))
    }
    try fields.withUnsafeBytes { bytes in
      try session.add(
        sample, id: UnsafeRawBufferPointer(rebasing: bytes[id]),
        type: type.isEmpty ? nil : UnsafeRawBufferPointer(rebasing: bytes[type]))
    }
  }
}
