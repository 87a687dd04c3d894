/// One cell of a CSV row.
public enum CSVField: Sendable, Equatable {
  case text(String)
  case integer(Int)
  case number(Double)
  /// A value that does not exist: written as nothing.
  case missing
}

/// Writes CSV into memory: comma, LF, RFC 4180 quotation, shortest numbers that read back to the same bits.
public struct CSVWriter: Sendable {
  public private(set) var bytes: [UInt8] = []
  public let columns: [String]
  public private(set) var rows = 0

  public init(columns: [String]) {
    self.columns = columns
    write(columns.map { .text($0) })
    rows = 0
  }

  /// Goes on with a table of which header and `rows` rows are already written as `bytes`.
  public init(columns: [String], continuing bytes: [UInt8], rows: Int) {
    self.columns = columns
    self.bytes = bytes
    self.rows = rows
  }

  /// Appends a row; it must have a field for every column.
  public mutating func append(_ fields: [CSVField]) {
    precondition(fields.count == columns.count, "a CSV row needs \(columns.count) fields")
    write(fields)
  }

  private mutating func write(_ fields: [CSVField]) {
    for (i, field) in fields.enumerated() {
      if i > 0 { bytes.append(UInt8(ascii: ",")) }
      switch field {
      case .text(let text): appendQuoted(text)
      case .integer(let value): bytes.append(contentsOf: String(value).utf8)
      case .number(let value): bytes.append(contentsOf: CSVWriter.text(of: value).utf8)
      case .missing: break
      }
    }
    bytes.append(UInt8(ascii: "\n"))
    rows += 1
  }

  private mutating func appendQuoted(_ text: String) {
    let needsQuotes = text.utf8.contains { $0 == 44 || $0 == 34 || $0 == 10 || $0 == 13 }
    guard needsQuotes else {
      bytes.append(contentsOf: text.utf8)
      return
    }
    bytes.append(34)
    for byte in text.utf8 {
      if byte == 34 { bytes.append(34) }
      bytes.append(byte)
    }
    bytes.append(34)
  }

  /// The shortest text that reads back as the same Double; whole numbers without `.0`, NaN as nothing.
  public static func text(of value: Double) -> String {
    if value.isNaN { return "" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    if value == value.rounded(.towardZero), abs(value) < 1e15 {
      return value == 0 ? "0" : String(Int(value))
    }
    return value.description
  }
}

/// A CSV file read as a whole: RFC 4180 quotation, one header row, every row of equal length.
public struct CSVTable: Sendable {
  public let file: String
  public let columns: [String]
  public let rows: [[String]]
  /// Line in the file on which each row starts, counted from 1.
  public let lines: [Int]

  public init(path: String) throws {
    try self.init(text: Files.readText(path), file: path)
  }

  public init(text: String, file: String) throws {
    self.file = file
    var scan = CSVScan(file: file, bytes: Array(text.utf8))
    let records = try scan.split()
    guard let header = records.first else {
      throw InputError("is empty", file: file, advice: "Its first line must name the columns")
    }
    columns = header.fields
    for record in records.dropFirst() where record.fields.count != columns.count {
      throw InputError(
        "has \(record.fields.count) fields where the header names \(columns.count)", file: file,
        line: record.line)
    }
    rows = records.dropFirst().map(\.fields)
    lines = records.dropFirst().map(\.line)
  }

  /// Index of a column; an error that names the nearest one when there is none.
  public func index(of column: String) throws -> Int {
    if let index = columns.firstIndex(of: column) { return index }
    let nearest = nearestName(to: column, among: columns)
    throw InputError(
      "has no column '\(column)'", file: file, line: 1,
      advice: nearest.map { "Did you mean '\($0)'?" }
        ?? "Its columns are \(columns.joined(separator: ", "))")
  }

  /// All numbers of a column; empty cells are NaN.
  public func numbers(_ column: String) throws -> [Double] {
    let index = try index(of: column)
    return try rows.enumerated().map { row, fields in
      if fields[index].isEmpty { return .nan }
      guard let value = Double(fields[index]) else {
        throw InputError(
          "is not a number", file: file, line: lines[row], key: column, value: fields[index])
      }
      return value
    }
  }

  /// All texts of a column.
  public func texts(_ column: String) throws -> [String] {
    let index = try index(of: column)
    return rows.map { $0[index] }
  }
}

/// Splits the text of a table into records and fields.
private struct CSVScan {
  private let file: String
  private let bytes: [UInt8]
  private var position: Int
  private var records: [(line: Int, fields: [String])] = []
  private var fields: [String] = []
  private var field: [UInt8] = []
  private var line = 1
  private var recordLine = 1
  private var isQuoted = false
  private var wasQuoted = false

  init(file: String, bytes: [UInt8]) {
    self.file = file
    self.bytes = bytes
    position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
  }

  mutating func split() throws -> [(line: Int, fields: [String])] {
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if isQuoted { takeQuoted(byte) } else { try take(byte) }
    }
    if isQuoted {
      throw InputError(
        "a quoted field has no closing quotation mark", file: file, line: recordLine)
    }
    if !field.isEmpty || !fields.isEmpty || wasQuoted { endRecord() }
    return records
  }

  private mutating func takeQuoted(_ byte: UInt8) {
    guard byte == 34 else {
      if byte == 10 { line += 1 }
      field.append(byte)
      return
    }
    if position < bytes.count, bytes[position] == 34 {
      field.append(34)
      position += 1
    } else {
      isQuoted = false
    }
  }

  private mutating func take(_ byte: UInt8) throws {
    switch byte {
    case 34 where field.isEmpty && !wasQuoted:
      isQuoted = true
      wasQuoted = true
    case 34:
      throw InputError(
        "a quotation mark stands inside an unquoted field", file: file, line: line,
        advice: "Put the whole field in quotation marks and double those inside it")
    case 44:
      endField()
    case 13 where position < bytes.count && bytes[position] == 10:
      break
    case 10:
      endRecord()
      line += 1
      recordLine = line
    default:
      field.append(byte)
    }
  }

  private mutating func endField() {
    fields.append(String(decoding: field, as: UTF8.self))
    field = []
    wasQuoted = false
  }

  /// An empty line is no record.
  private mutating func endRecord() {
    let isEmpty = fields.isEmpty && field.isEmpty && !wasQuoted
    endField()
    if !isEmpty { records.append((recordLine, fields)) }
    fields = []
  }
}
