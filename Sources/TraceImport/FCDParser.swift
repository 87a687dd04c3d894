import CLibXML2
import CScanner
import Glibc
import Support

/// SUMO floating-car data as blocks of XML.
///
/// What the scanner proves to be elements as SUMO writes them is taken from its arrays; everything else goes
/// through libxml2's push parser with its SAX2 callbacks, which is told of what it does not see: it stands between
/// two elements inside the root whenever scanned rows are taken in, and an open timestep is opened for it when it
/// goes on. So the result is that of libxml2 alone.
///
/// Names are compared by address (libxml2 interns them in its dictionary), values are read in place, no String
/// is made unless there is an error. A DOCTYPE is refused, entities but the five predefined ones are errors, and
/// the parser's limits stay on. Before libxml2 sees a tag, a guard has looked at what it would cost.
final class FCDParser {
  /// Thrown where the rest of the input is not wanted.
  private struct Finished: Error {}

  /// What libxml2 said of an error, and where it stood then.
  private struct SyntaxError {
    var message: String
    var line: Int
    var code: Int32
    var byte: Int
  }

  /// Pieces of a block that libxml2 gets by themselves, before it gets the rest of the block at once.
  private static let mostPieces = 64

  private let name: String
  private let limits: ImportLimits
  private let scanner: VLScanFunction?
  private var session: ImportSession
  private var context: xmlParserCtxtPtr?
  private var guardian = VLGuard()
  private var failure: (any Error)?
  private var syntaxError: SyntaxError?
  /// At the end of a truncated input libxml2 reports half a tag as an element: then the parser goes on, so that
  /// the truncation is what is reported.
  private var isFinishing = false
  /// Bytes of the input so far.
  private(set) var bytesSeen = 0

  private let fcdExport, timestep, vehicle, person, container: UnsafePointer<xmlChar>
  private let metadata: UnsafePointer<xmlChar>
  private let idName, xName, yName, typeName, timeName: UnsafePointer<xmlChar>
  private let speedName, positionName: UnsafePointer<xmlChar>

  /// Elements that are open.
  private var depth = 0
  /// Open elements inside one that is skipped, itself included.
  private var skipped = 0
  /// The element in the root that is skipped, unless SUMO writes it.
  private var strangeElement: String?
  /// Timesteps begun so far; the one that libxml2 has open, and whether that one has a prefix.
  private var stepNumber = 0
  private var openForXML: Int?
  private var isStepPrefixed = false
  /// Whether the callbacks are for tags that the input does not have.
  private var isMuted = false
  /// Where the step at hand began, in bytes and as a line.
  private var stepStart = 0
  private var stepLine = 1
  private var idBuffer: [UInt8] = []
  private var typeBuffer: [UInt8] = []

  /// - Parameters:
  ///   - name: What errors call the input.
  ///   - scanner: Nil: libxml2 reads everything.
  init(
    name: String, limits: ImportLimits, scanner: VLScanFunction?, session: consuming ImportSession
  ) throws {
    self.name = name
    self.limits = limits
    self.scanner = scanner
    self.session = session
    vl_guard_init(&guardian)
    guardian.tag_bytes = UInt64(limits.tag)
    guardian.attributes = UInt64(limits.attributes)
    guardian.depth = UInt64(limits.depth)
    guardian.names = UInt64(limits.names)
    guardian.comment_bytes = UInt64(limits.comment)
    var handler = xmlSAXHandler()
    handler.initialized = UInt32(XML_SAX2_MAGIC)
    handler.startElementNs = elementStarts
    handler.endElementNs = elementEnds
    handler.internalSubset = doctypeStarts
    handler.characters = textComes
    handler.cdataBlock = textComes
    handler.serror = errorComes
    let created = xmlCreatePushParserCtxt(&handler, nil, nil, 0, nil)
    guard let context = created else {
      throw InputError("libxml2 does not start", file: name)
    }
    func intern(_ text: String) -> UnsafePointer<xmlChar> {
      xmlDictLookup(context.pointee.dict, text, -1)
    }
    fcdExport = intern("fcd-export")
    timestep = intern("timestep")
    vehicle = intern("vehicle")
    person = intern("person")
    container = intern("container")
    metadata = intern("metadata")
    idName = intern("id")
    xName = intern("x")
    yName = intern("y")
    speedName = intern("speed")
    positionName = intern("pos")
    typeName = intern("type")
    timeName = intern("time")
    self.context = context
    xmlCtxtUseOptions(context, Int32(XML_PARSE_NONET.rawValue | XML_PARSE_NOERROR.rawValue))
    context.pointee.userData = Unmanaged.passUnretained(self).toOpaque()
  }

  deinit {
    vl_guard_free(&guardian)
    if let context { xmlFreeParserCtxt(context) }
  }

  // MARK: - Blocks

  /// Takes in the next block.
  ///
  /// - Returns: False if the rest of the input is not wanted.
  func parse(_ block: TextBlock) throws -> Bool {
    if bytesSeen == 0, block.count > 0 {
      try checkBeginning(UnsafeRawBufferPointer(start: block.bytes, count: block.count))
    }
    do {
      try take(block)
      if block.isLast {
        if let failure = block.failure { throw failure.adding(progress, advice: rescueAdvice) }
        try finish()
      }
    } catch is Finished {
      return false
    }
    return true
  }

  /// Ends the import of rows: what is left to do is to finish the writer.
  func finishSession() throws -> ImportSummary {
    guard session.summary.timesteps > 0 else {
      throw InputError(
        "has no timestep to import; \(progress)", file: name,
        advice: "Check --begin, --end and --step, or that SUMO ran longer than 0 s")
    }
    do {
      try session.finish()
    } catch let error as InputError {
      throw error.inFile(name)
    }
    session.summary.bytes = bytesSeen
    return session.summary
  }

  private func take(_ block: TextBlock) throws {
    var start = 0
    if block.isScanned, isScannable, block.scan.pointee.begins_in_step == (session.isInStep ? 1 : 0)
    {
      start = try takeScanned(block, from: 0)
    }
    var pieces = 0
    while start < block.count {
      let rest = UnsafeRawBufferPointer(start: block.bytes + start, count: block.count - start)
      let isPiecewise = scanner != nil && pieces < FCDParser.mostPieces
      let count = isPiecewise ? FCDParser.piece(rest) : rest.count
      try feed(UnsafeRawBufferPointer(rebasing: rest[0..<count]))
      start += count
      pieces += 1
      if let scanner, start < block.count, isScannable {
        let left = UInt32(block.count - start)
        scanner(block.bytes + start, left, session.isInStep ? 1 : 0, block.scan)
        start += try takeScanned(block, from: start)
      }
    }
  }

  /// Bytes up to the end of the first line that ends with a tag, or all.
  private static func piece(_ text: UnsafeRawBufferPointer) -> Int {
    let end: StaticString = ">\n"
    let found = vl_first(
      text.baseAddress!.assumingMemoryBound(to: UInt8.self), text.count, end.utf8Start, 2)
    return found < 0 ? text.count : found + 1
  }

  /// Whether libxml2 stands between two elements where timesteps or vehicles are, in text that the scanner reads
  /// as it does.
  private var isScannable: Bool {
    guard scanner != nil, let context, let input = context.pointee.input else { return false }
    return depth == (session.isInStep ? 2 : 1) && skipped == 0 && !isStepPrefixed
      && guardian.state == 0 && guardian.unit == 1
      && context.pointee.instate == XML_PARSER_CONTENT
      && input.pointee.cur == input.pointee.end && input.pointee.buf?.pointee.encoder == nil
  }

  /// Takes in what a scan of a block, from some place of it, has accepted.
  ///
  /// - Returns: How many bytes that is.
  private func takeScanned(_ block: TextBlock, from start: Int) throws -> Int {
    let scan = block.scan
    let text = block.bytes + start
    let base = bytesSeen
    var accepted = Int(scan.pointee.end)
    var lines = Int(scan.pointee.lines)
    // Then libxml2 and its guard see the same names, and say so.
    guard takeNames(block) else { return 0 }
    var row = 0
    var (persons, containers) = (0, 0)
    var place = 0
    var current = 0
    var isInRow = false
    do {
      for i in 0...Int(scan.pointee.mark_count) {
        let isLast = i == Int(scan.pointee.mark_count)
        let mark = isLast ? VLScanMark() : scan.pointee.marks[i]
        let rows = Int(isLast ? scan.pointee.row_count : mark.rows)
        let allPersons = Int(isLast ? scan.pointee.persons : mark.persons)
        let allContainers = Int(isLast ? scan.pointee.containers : mark.containers)
        if rows > row {
          isInRow = true
          current = row
          let found = UnsafeBufferPointer(start: scan.pointee.rows + row, count: rows - row)
          try add(found, text, base, &current, row)
          isInRow = false
        }
        session.countRiders(persons: allPersons - persons, containers: allContainers - containers)
        row = rows
        persons = allPersons
        containers = allContainers
        if isLast { break }
        place = Int(mark.end)
        if mark.is_end != 0 {
          if try !session.endStep() { throw Finished() }
          depth = 1
        } else {
          let time = UnsafeRawBufferPointer(
            start: text + Int(mark.time), count: Int(mark.time_length))
          guard let seconds = DecimalText.time(time) else {
            // libxml2 comes to the same tag, and says what is wrong with it.
            accepted = Int(mark.start)
            lines = Int(mark.start_lines)
            break
          }
          try beginStep(seconds, time, at: base + place)
          stepLine =
            Int(guardian.lines) + Int(mark.start_lines) + 1
            + Int(vl_lines(text + Int(mark.start), place - Int(mark.start)))
          depth = 2
        }
      }
    } catch var error as InputError {
      if isInRow { place = Int(scan.pointee.rows[current].end) }
      error.line = Int(guardian.lines) + Int(vl_lines(text, place)) + 1
      throw located(error, byte: base + place)
    }
    skip(accepted, lines: lines)
    return accepted
  }

  /// Whether the guard allows the names that a scan of a block has met.
  private func takeNames(_ block: TextBlock) -> Bool {
    let scan = block.scan
    return (0..<Int(scan.pointee.name_count)).allSatisfy { i in
      let hash = withUnsafePointer(to: &scan.pointee.names) {
        UnsafeRawPointer($0).load(fromByteOffset: 8 * i, as: UInt64.self)
      }
      return vl_guard_add_name(&guardian, hash) == VL_GUARD_OK
    }
  }

  /// Adds rows that the scanner found to the step.
  private func add(
    _ rows: UnsafeBufferPointer<VLScanRow>, _ text: UnsafePointer<UInt8>, _ base: Int,
    _ current: inout Int, _ first: Int
  ) throws {
    var index = 0
    defer { current = first + index }
    // The last row is the farthest from where the step began.
    if base + Int(rows[rows.count - 1].end) - stepStart > limits.step {
      index = rows.firstIndex { base + Int($0.end) - stepStart > limits.step } ?? 0
      let tooLong = index
      try session.add(UnsafeBufferPointer(rebasing: rows[0..<index]), text: text, current: &index)
      index = tooLong
      throw stepTooLong
    }
    try session.add(rows, text: text, current: &index)
  }

  /// Tells libxml2 of bytes that it does not see.
  private func skip(_ count: Int, lines: Int) {
    guard let input = context?.pointee.input else { return }
    bytesSeen += count
    guardian.lines += UInt64(lines)
    guardian.open = UInt64(depth)
    input.pointee.consumed &+= UInt(count)
    input.pointee.line += Int32(truncatingIfNeeded: lines)
  }

  /// Gives bytes to libxml2.
  private func feed(_ bytes: UnsafeRawBufferPointer) throws {
    synchronise()
    let text = bytes.assumingMemoryBound(to: UInt8.self)
    var at = 0
    let verdict = vl_guard_check(&guardian, text.baseAddress, text.count, &at)
    if verdict != VL_GUARD_OK {
      // What stands before it may be wrong in another way, and is reported first.
      try push(UnsafeRawBufferPointer(rebasing: bytes[0..<beforeTag(text, at)]))
      throw tooMuch(verdict, at: bytesSeen)
    }
    try push(bytes)
  }

  /// Where the tag begins in which some byte stands.
  private func beforeTag(_ text: UnsafeBufferPointer<UInt8>, _ at: Int) -> Int {
    max(0, vl_last(text.baseAddress, at, UInt8(ascii: "<")))
  }

  private func push(_ bytes: UnsafeRawBufferPointer) throws {
    let piece = 32 * 1024
    var start = 0
    while start < bytes.count {
      let count = min(piece, bytes.count - start)
      bytesSeen += count
      let text = (bytes.baseAddress! + start).assumingMemoryBound(to: CChar.self)
      let status = xmlParseChunk(context, text, Int32(count), 0)
      if let failure { throw failure }
      if status != 0 { throw notWellFormed(status) }
      start += count
    }
  }

  /// Ends the step that libxml2 has open and begins the one that is, if it has not seen those tags.
  private func synchronise() {
    let wanted = session.isInStep ? stepNumber : nil
    guard openForXML != wanted, let input = context?.pointee.input else { return }
    var tags: [UInt8] = []
    if openForXML != nil { tags += Array("</timestep>".utf8) }
    if wanted != nil { tags += Array("<timestep>".utf8) }
    let line = input.pointee.line
    // libxml2 remembers where an element begins, and says so if it does not end.
    if wanted != nil { input.pointee.line = Int32(truncatingIfNeeded: stepLine) }
    isMuted = true
    tags.withUnsafeBytes {
      let text = $0.baseAddress!.assumingMemoryBound(to: CChar.self)
      _ = xmlParseChunk(context, text, Int32($0.count), 0)
    }
    isMuted = false
    input.pointee.line = line
    input.pointee.consumed &-= UInt(tags.count)
    openForXML = wanted
  }

  /// Says that the input is at its end.
  private func finish() throws {
    if bytesSeen == 0 {
      throw InputError(
        "is empty", file: name, advice: "Check that SUMO wrote it (sumo --fcd-output FILE)")
    }
    synchronise()
    isFinishing = true
    let status = xmlParseChunk(context, nil, 0, 1)
    if status != 0 { throw notWellFormed(status) }
    if let failure { throw failure }
  }

  /// What is known about where reading stopped.
  private var progress: String {
    if let time = session.lastCompleteTime { return "the last complete timestep is at \(time) s" }
    return "no timestep is complete"
  }

  /// Advice that lets the intact part be used.
  private var rescueAdvice: String? {
    session.lastCompleteTime.map { "The part before the damage can be imported with --end \($0)" }
  }

  // MARK: - Errors

  /// Where libxml2 stands, in bytes of the input.
  private var position: Int {
    let consumed = context.map { Int(xmlByteConsumed($0)) } ?? -1
    return consumed >= 0 ? consumed : bytesSeen
  }

  private var line: Int? {
    let line = context.map { Int(xmlSAX2GetLineNumber($0)) } ?? 0
    return line > 0 ? line : nil
  }

  /// An error with file, place and what is intact.
  private func located(_ error: InputError, byte: Int) -> InputError {
    var error = error
    error.file = name
    error.problem += ", at byte \(byte) of the XML; \(progress)"
    return error
  }

  private func error(
    _ problem: String, key: String? = nil, value: String? = nil, advice: String? = nil
  ) -> InputError {
    located(
      InputError(problem, line: line, key: key, value: value, advice: advice), byte: position)
  }

  private var stepTooLong: InputError {
    InputError(
      "the rows of the timestep of \(session.time) s pass the limit of \(limits.step) bytes",
      advice: "If the input is sound, raise it: --limit step=\(2 * limits.step)")
  }

  private func tooMuch(_ verdict: Int32, at byte: Int) -> InputError {
    let limit: (what: String, name: String, number: Int) =
      switch Int(verdict) {
      case VL_GUARD_TAG: ("a tag is longer than the limit of", "tag", limits.tag)
      case VL_GUARD_ATTRIBUTES:
        ("a tag has more attributes than the limit of", "attributes", limits.attributes)
      case VL_GUARD_DEPTH:
        ("elements are nested deeper than the limit of", "depth", limits.depth)
      case VL_GUARD_NAMES:
        ("there are more distinct names than the limit of", "names", limits.names)
      default: ("a comment or instruction is longer than the limit of", "comment", limits.comment)
      }
    let unit = ["tag", "comment"].contains(limit.name) ? " bytes" : ""
    return located(
      InputError(
        "\(limit.what) \(limit.number)\(unit)", line: Int(guardian.lines) + 1,
        advice: "If the input is sound, raise it: --limit \(limit.name)=\(2 * limit.number)"),
      byte: byte)
  }

  private func notWellFormed(_ code: Int32) -> InputError {
    // An error of an encoding comes without the parser, and without words.
    let syntaxError =
      self.syntaxError
      ?? SyntaxError(
        message: code == Int32(XML_I18N_CONV_FAILED.rawValue)
          ? "bytes that are none of its encoding" : "error \(code) of libxml2", line: line ?? 0,
        code: code, byte: position)
    return located(
      InputError(
        "is truncated or damaged XML (\(syntaxError.message))",
        line: syntaxError.line > 0 ? syntaxError.line : nil, advice: advice(syntaxError)),
      byte: syntaxError.byte)
  }

  /// What helps, by the cause.
  private func advice(_ error: SyntaxError) -> String {
    let encoding =
      "Name the true encoding in the first line (encoding=\"ISO-8859-1\"), or convert the file with iconv"
    if error.message.contains("not proper UTF-8") { return encoding }
    switch UInt32(bitPattern: error.code) {
    case XML_ERR_INVALID_ENCODING.rawValue, XML_ERR_UNKNOWN_ENCODING.rawValue,
      XML_ERR_UNSUPPORTED_ENCODING.rawValue, XML_I18N_CONV_FAILED.rawValue:
      return encoding
    case XML_ERR_HYPHEN_IN_COMMENT.rawValue: return "A comment must not hold '--': remove it there"
    case XML_ERR_NAME_REQUIRED.rawValue where error.message.contains("EntityRef"),
      XML_ERR_ENTITYREF_SEMICOL_MISSING.rawValue, XML_ERR_UNDECLARED_ENTITY.rawValue:
      return "Write & as &amp; in ids and other values"
    case XML_ERR_LT_IN_ATTRIBUTE.rawValue where !isFinishing:
      return "Write < as &lt; in ids and other values"
    case XML_ERR_DOCUMENT_END.rawValue where session.lastCompleteTime != nil:
      return "Remove what follows </fcd-export>"
    case XML_ERR_INTERNAL_ERROR.rawValue where error.message.contains("Huge"):
      return "libxml2 reads no text, comment or value over 10,000,000 bytes: shorten it"
    default: return rescueAdvice ?? "Run SUMO again and let it end by itself"
    }
  }

  /// Recognises what is not XML by its first bytes.
  private func checkBeginning(_ bytes: UnsafeRawBufferPointer) throws {
    try chooseUnit(bytes)
    let advice =
      "Run 'sumo --fcd-output FILE.fcd.xml.gz' (the name's ending chooses XML), or convert the file to that"
    func refuse(_ kind: String) -> InputError {
      // SUMO's Parquet has the columns of its CSV, which is read.
      let conversion =
        "Convert it: python3 -c \"import pandas; pandas.read_parquet('FILE').to_csv('FILE.csv', sep=';', "
        + "index=False)\" (needs pandas and pyarrow); or run SUMO with '--fcd-output FILE.fcd.xml.gz'"
      return InputError(
        "is \(kind), not XML floating-car data", file: name,
        advice: kind == "Parquet" ? conversion : advice)
    }
    let signatures: [([UInt8], String)] = [
      (Array("PAR1".utf8), "Parquet"), ([0x28, 0xB5, 0x2F, 0xFD], "Zstandard data"),
      (Array("BZh".utf8), "bzip2 data"), ([0xFD, 0x37, 0x7A, 0x58], "xz data"),
      ([0x50, 0x4B, 3, 4], "a zip archive"), ([0x1F, 0x8B], "gzip data inside gzip data"),
      (Array("VECTRACE".utf8), "a trace file, imported already"),
    ]
    for (signature, kind) in signatures where bytes.starts(with: signature) {
      throw refuse(kind)
    }
    let head = bytes.prefix(4096)
    guard let first = head.first(where: { ![9, 10, 13, 32].contains($0) }) else { return }
    // '<', or the byte-order marks of UTF-8 and UTF-16, or UTF-16 without one.
    if [0x3C, 0xEF, 0xFE, 0xFF, 0x00].contains(first) { return }
    let line = head.prefix { $0 != 10 && $0 != 13 }
    let isTable = line.contains(UInt8(ascii: ";")) || line.contains(UInt8(ascii: ","))
    throw refuse(isTable ? "a table (CSV)" : "something else")
  }

  /// Finds out how wide characters are; encodings in which markup cannot be told byte by byte are refused.
  private func chooseUnit(_ bytes: UnsafeRawBufferPointer) throws {
    func refuse(_ encoding: String) -> InputError {
      InputError(
        "is in the encoding \(encoding), which is not read", file: name,
        advice: "Convert it to UTF-8 with iconv")
    }
    let first = Array(bytes.prefix(4))
    let wide: [[UInt8]] = [
      [0xFF, 0xFE, 0, 0], [0, 0, 0xFE, 0xFF], [0, 0, 0, 0x3C], [0x3C, 0, 0, 0],
    ]
    if wide.contains(first) { throw refuse("UTF-32") }
    let start = Array(first.prefix(2))
    if start == [0xFF, 0xFE] || start == [0x3C, 0] { guardian.unit = 2 }
    if start == [0xFE, 0xFF] || start == [0, 0x3C] {
      guardian.unit = 2
      guardian.big_endian = 1
    }
    guard guardian.unit == 1 else { return }
    let head = String(decoding: bytes.prefix(512), as: UTF8.self)
    guard let declaration = head.firstRange(of: "<?xml"), let end = head.firstRange(of: "?>"),
      declaration.upperBound <= end.lowerBound,
      let key = head[declaration.upperBound..<end.lowerBound].firstRange(of: "encoding")
    else { return }
    let value = head[key.upperBound..<end.lowerBound].drop { " \t\r\n=".contains($0) }
    let encoding = value.dropFirst().prefix { $0 != "\"" && $0 != "'" }.uppercased()
    let shifting = [
      "UTF-7", "UTF7", "UCS", "UTF-32", "UTF32", "ISO-2022", "HZ", "ISO-10646", "EBCDIC",
    ]
    if shifting.contains(where: { encoding.hasPrefix($0) }) || encoding.hasPrefix("IBM") {
      throw refuse(String(encoding.prefix(40)))
    }
  }

  // MARK: - Elements

  private func begin(
    _ element: UnsafePointer<xmlChar>, _ prefix: UnsafePointer<xmlChar>?, _ count: Int,
    _ attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
  ) throws {
    depth += 1
    if skipped > 0 {
      skipped += 1
      try beginSkipped(element)
    } else if session.isInStep {
      try beginInStep(element, count, attributes)
      skipped = 1
    } else if depth == 1 {
      guard element == fcdExport else { throw wrongRoot(String(cString: element)) }
    } else if element == timestep {
      try beginStep(count, attributes)
      isStepPrefixed = prefix != nil
    } else if element == vehicle || element == person || element == container {
      throw error("<\(String(cString: element))> outside a timestep")
    } else {
      skipped = 1
      if element != metadata {
        strangeElement = "<\(String(cString: element).prefix(80))>"
        leaveOut("\(strangeElement!) between timesteps")
      }
    }
  }

  private func beginInStep(
    _ element: UnsafePointer<xmlChar>, _ count: Int,
    _ attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
  ) throws {
    if element == vehicle {
      try addVehicle(count, attributes)
    } else if element == person || element == container {
      countRider(element)
    } else if element == timestep {
      throw error("<timestep> inside a timestep")
    } else {
      leaveOut("<\(String(cString: element).prefix(80))> in a timestep")
    }
  }

  /// An element inside one that is skipped.
  private func beginSkipped(_ element: UnsafePointer<xmlChar>) throws {
    if session.isInStep {
      if element == person || element == container { countRider(element) }
      if element == vehicle || element == timestep {
        throw error("<\(String(cString: element))> inside another element of a timestep")
      }
    } else if let strangeElement, element == vehicle || element == timestep {
      leaveOut("<\(String(cString: element))> inside \(strangeElement)")
    }
  }

  private func leaveOut(_ what: String) {
    session.summary.leaveOut(what, line: line ?? 0)
  }

  private func end() throws {
    depth -= 1
    if skipped > 0 {
      skipped -= 1
      if skipped == 0 { strangeElement = nil }
    } else if session.isInStep {
      openForXML = nil
      isStepPrefixed = false
      if try !session.endStep() { throw Finished() }
    }
  }

  private func countRider(_ element: UnsafePointer<xmlChar>) {
    let isPerson = element == person
    session.countRiders(persons: isPerson ? 1 : 0, containers: isPerson ? 0 : 1)
  }

  /// Text where only elements belong.
  private func addText(_ text: UnsafeRawBufferPointer) {
    guard skipped == 0, depth > 0 else { return }
    if text.contains(where: { ![9, 10, 13, 32].contains($0) }) {
      leaveOut("text \(session.isInStep ? "in a timestep" : "between timesteps")")
    }
  }

  private func wrongRoot(_ root: String) -> InputError {
    let what =
      switch root {
      case "netstate", "sumo-netstate": ", which is SUMO's --netstate-dump"
      case "emission-export": ", which is SUMO's --emission-output"
      case "routes": ", which holds routes"
      case "net": ", which is a road network"
      case "configuration", "sumoConfiguration": ", which is a SUMO configuration"
      default: ""
      }
    return error(
      "the root is <\(root.prefix(80))>\(what), <fcd-export> expected",
      advice: "Run 'sumo --fcd-output FILE.fcd.xml.gz'")
  }

  private func beginStep(
    _ count: Int, _ attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
  ) throws {
    var value: UnsafeRawBufferPointer?
    for i in 0..<count {
      let attribute = attributes! + 5 * i
      if attribute[0] == timeName, attribute[1] == nil { value = bytes(attribute) }
    }
    guard let value else { throw error("<timestep> has no time") }
    guard let time = DecimalText.time(value) else {
      throw error(
        "is no time", key: "timestep time", value: text(value),
        advice: "Times are seconds or HH:MM:SS")
    }
    try beginStep(time, value, at: position)
    stepLine = line ?? 1
    openForXML = stepNumber
  }

  private func beginStep(_ time: Double, _ value: UnsafeRawBufferPointer, at byte: Int) throws {
    do {
      if try !session.beginStep(time: time) { throw Finished() }
    } catch var error as InputError {
      error.value = text(value)
      throw error
    }
    stepNumber += 1
    stepStart = byte
  }

  private func addVehicle(
    _ count: Int, _ attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
  ) throws {
    guard session.isSelected else {
      session.countVehicle()
      return
    }
    var id: UnsafeRawBufferPointer?
    var type: UnsafeRawBufferPointer?
    var xText: UnsafeRawBufferPointer?
    var yText: UnsafeRawBufferPointer?
    var sample = VehicleSample(x: 0, y: 0)
    for i in 0..<count {
      let attribute = attributes! + 5 * i
      guard let key = attribute[0], attribute[1] == nil else { continue }
      if key == idName {
        id = bytes(attribute)
      } else if key == xName {
        xText = bytes(attribute)
      } else if key == yName {
        yText = bytes(attribute)
      } else if key == speedName {
        sample.speed = try number(bytes(attribute), "speed", id)
      } else if key == positionName {
        sample.position = try number(bytes(attribute), "pos", id)
      } else if key == typeName {
        type = bytes(attribute)
      }
    }
    guard let id, !id.isEmpty else { throw error("<vehicle> has no id") }
    guard let xText, let yText else {
      throw error(
        "has no \(xText == nil ? "x" : "y")", key: "vehicle \(text(id))",
        advice: "If --fcd-output.attributes was given to SUMO, it must name x and y")
    }
    sample.x = try number(xText, "x", id)
    sample.y = try number(yText, "y", id)
    sample.decimals = min(FCDParser.decimals(xText), FCDParser.decimals(yText))
    if id.count > limits.id { throw idTooLong(id) }
    if position - stepStart > limits.step { throw stepTooLong }
    try FCDParser.decoded(id, &idBuffer) { id in
      try FCDParser.decoded(type, &typeBuffer) { type in
        try session.add(sample, id: id!, type: type)
      }
    }
  }

  private func idTooLong(_ id: UnsafeRawBufferPointer) -> InputError {
    InputError(
      "an id is longer than the limit of \(limits.id) bytes",
      key: "vehicle \(text(id).prefix(40))…",
      advice: "If the input is sound, raise it: --limit id=\(max(id.count, 2 * limits.id))")
  }

  /// libxml2 leaves a literal ampersand of an attribute as `&#38;` unless it builds a tree.
  private static func decoded(
    _ value: UnsafeRawBufferPointer?, _ buffer: inout [UInt8],
    _ body: (UnsafeRawBufferPointer?) throws -> Void
  ) throws {
    guard let value, let start = value.baseAddress, memchr(start, 0x26, value.count) != nil else {
      return try body(value)
    }
    let reference = Array("&#38;".utf8)
    buffer.removeAll(keepingCapacity: true)
    var i = 0
    while i < value.count {
      buffer.append(value[i])
      i += value[i...].starts(with: reference) ? reference.count : 1
    }
    try buffer.withUnsafeBytes { try body($0) }
  }

  /// Digits after the decimal point.
  private static func decimals(_ value: UnsafeRawBufferPointer) -> Int {
    guard let point = value.firstIndex(of: UInt8(ascii: ".")) else { return 0 }
    return value.count - point - 1
  }

  private func number(
    _ value: UnsafeRawBufferPointer, _ attribute: String, _ id: UnsafeRawBufferPointer?
  ) throws -> Double {
    if let number = DecimalText.number(value) { return number }
    let owner = id.map { "vehicle \(text($0))" } ?? "vehicle"
    throw error("is no finite number", key: "\(owner), \(attribute)", value: text(value))
  }

  /// The value of an attribute, in place.
  private func bytes(
    _ attribute: UnsafeMutablePointer<UnsafePointer<xmlChar>?>
  ) -> UnsafeRawBufferPointer {
    guard let start = attribute[3], let end = attribute[4] else {
      return UnsafeRawBufferPointer(start: nil, count: 0)
    }
    return UnsafeRawBufferPointer(start: start, count: end - start)
  }

  private func text(_ value: UnsafeRawBufferPointer) -> String {
    String(decoding: value.prefix(200), as: UTF8.self)
  }

  // MARK: - Callbacks

  private func fail(_ error: any Error) {
    if failure == nil {
      failure = error
      if var error = error as? InputError, error.file == nil {
        error.line = line
        failure = located(error, byte: position)
      }
    }
    if !isFinishing { xmlStopParser(context) }
  }

  fileprivate func start(
    _ element: UnsafePointer<xmlChar>, _ prefix: UnsafePointer<xmlChar>?, _ count: Int,
    _ attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
  ) {
    guard failure == nil, !isMuted else { return }
    do { try begin(element, prefix, count, attributes) } catch { fail(error) }
  }

  fileprivate func stop() {
    guard failure == nil, !isMuted else { return }
    do { try end() } catch { fail(error) }
  }

  fileprivate func text(_ bytes: UnsafeRawBufferPointer) {
    guard failure == nil, !isMuted else { return }
    addText(bytes)
  }

  fileprivate func refuseDoctype() {
    fail(
      error(
        "has a DOCTYPE, which is refused because it can name other files",
        advice: "Remove the DOCTYPE; SUMO writes none"))
  }

  fileprivate func note(_ error: xmlError) {
    guard syntaxError == nil, error.level.rawValue >= XML_ERR_ERROR.rawValue else {
      return
    }
    let message = error.message.map { String(cString: $0) } ?? "error \(error.code)"
    syntaxError = SyntaxError(
      message: message.split(separator: "\n").joined(separator: " "), line: Int(error.line),
      code: error.code, byte: position)
  }
}

extension InputError {
  /// The same error with a further clause, and other advice if there is any.
  fileprivate func adding(_ clause: String, advice: String?) -> InputError {
    var copy = self
    copy.problem += "; \(clause)"
    if let advice { copy.advice = advice }
    return copy
  }
}

/// Keeps libxml2 from printing on this thread: what it says belongs into errors.
func silenceLibXML2() {
  xmlSetStructuredErrorFunc(nil) { _, _ in }
}

private func parser(_ context: UnsafeMutableRawPointer) -> FCDParser {
  Unmanaged<FCDParser>.fromOpaque(context).takeUnretainedValue()
}

private func elementStarts(
  context: UnsafeMutableRawPointer?, name: UnsafePointer<xmlChar>?,
  prefix: UnsafePointer<xmlChar>?, uri: UnsafePointer<xmlChar>?, namespaceCount: Int32,
  namespaces: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?, attributeCount: Int32,
  defaultedCount: Int32, attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
) {
  guard let context, let name else { return }
  parser(context).start(name, prefix, Int(attributeCount), attributes)
}

private func elementEnds(
  context: UnsafeMutableRawPointer?, name: UnsafePointer<xmlChar>?,
  prefix: UnsafePointer<xmlChar>?, uri: UnsafePointer<xmlChar>?
) {
  guard let context else { return }
  parser(context).stop()
}

private func textComes(
  context: UnsafeMutableRawPointer?, text: UnsafePointer<xmlChar>?, count: Int32
) {
  guard let context, let text else { return }
  parser(context).text(UnsafeRawBufferPointer(start: text, count: Int(count)))
}

private func errorComes(context: UnsafeMutableRawPointer?, error: UnsafeMutablePointer<xmlError>?) {
  guard let context, let error else { return }
  parser(context).note(error.pointee)
}

private func doctypeStarts(
  context: UnsafeMutableRawPointer?, name: UnsafePointer<xmlChar>?,
  externalID: UnsafePointer<xmlChar>?, systemID: UnsafePointer<xmlChar>?
) {
  guard let context else { return }
  parser(context).refuseDoctype()
}
