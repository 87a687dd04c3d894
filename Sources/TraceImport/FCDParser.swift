import CLibXML2
import Glibc
import Support

/// SUMO floating-car data as a stream of XML bytes: libxml2's push parser with its two SAX2 element callbacks.
///
/// Names are compared by address (the parser interns them in its dictionary), values are read in place, no String
/// is made unless there is an error. A DOCTYPE is refused, entities but the five predefined ones are errors, and
/// the parser's limits stay on.
final class FCDParser {
  /// Thrown where the rest of the input is not wanted.
  private struct Finished: Error {}

  private let name: String
  private let session: ImportSession
  private var context: xmlParserCtxtPtr?
  private var failure: (any Error)?
  /// At the end of a truncated input libxml2 reports half a tag as an element: then the parser goes on, so that
  /// the truncation is what is reported.
  private var isFinishing = false
  /// Bytes given to the parser so far.
  private(set) var bytesFed = 0

  private let fcdExport, timestep, vehicle, person, container: UnsafePointer<xmlChar>
  private let idName, xName, yName, typeName, timeName: UnsafePointer<xmlChar>
  private let speedName, positionName: UnsafePointer<xmlChar>

  /// Elements that are open.
  private var depth = 0
  /// Open elements inside one that is skipped, itself included.
  private var skipped = 0
  private var isInStep = false
  private var isSelected = false
  private var stepVehicles = 0
  private var time = -Double.infinity
  private var lastCompleteTime: Double?
  private var idBuffer: [UInt8] = []

  /// - Parameter name: What errors call the input.
  init(name: String, session: ImportSession) throws {
    self.name = name
    self.session = session
    var handler = xmlSAXHandler()
    handler.initialized = UInt32(XML_SAX2_MAGIC)
    handler.startElementNs = elementStarts
    handler.endElementNs = elementEnds
    handler.internalSubset = doctypeStarts
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
    if let context { xmlFreeParserCtxt(context) }
  }

  /// Parses some bytes.
  ///
  /// - Returns: False if the rest of the input is not wanted.
  func parse(_ bytes: UnsafeRawBufferPointer) throws -> Bool {
    if bytesFed == 0 { try checkBeginning(bytes) }
    let piece = 32 * 1024
    var start = 0
    while start < bytes.count {
      let count = min(piece, bytes.count - start)
      bytesFed += count
      let text = (bytes.baseAddress! + start).assumingMemoryBound(to: CChar.self)
      let status = xmlParseChunk(context, text, Int32(count), 0)
      if let failure {
        if failure is Finished { return false }
        throw failure
      }
      if status != 0 { throw syntaxError() }
      start += count
    }
    return true
  }

  /// Says that the input is at its end.
  func finish() throws {
    if bytesFed == 0 {
      throw InputError(
        "is empty", file: name, advice: "Check that SUMO wrote it (sumo --fcd-output FILE)")
    }
    isFinishing = true
    let status = xmlParseChunk(context, nil, 0, 1)
    if status != 0 { throw syntaxError() }
    if let failure, !(failure is Finished) { throw failure }
  }

  /// What is known about where reading stopped, for errors from below (a damaged gzip file).
  var progress: String {
    if let lastCompleteTime { return "the last complete timestep is at \(lastCompleteTime) s" }
    return "no timestep is complete"
  }

  /// Advice that lets the intact part be used.
  var rescueAdvice: String? {
    lastCompleteTime.map {
      "The part before the damage can be imported with --end \($0)"
    }
  }

  // MARK: - Errors

  private func error(
    _ problem: String, key: String? = nil, value: String? = nil, advice: String? = nil
  ) -> InputError {
    let line = context.map { Int(xmlSAX2GetLineNumber($0)) } ?? 0
    let consumed = context.map { Int(xmlByteConsumed($0)) } ?? -1
    let byte = consumed >= 0 ? consumed : bytesFed
    return InputError(
      "\(problem), at byte \(byte) of the XML; \(progress)", file: name,
      line: line > 0 ? line : nil, key: key, value: value, advice: advice)
  }

  private func syntaxError() -> InputError {
    var text = "is not well-formed XML"
    var line = 0
    if let last = xmlCtxtGetLastError(context) {
      line = Int(last.pointee.line)
      if let message = last.pointee.message {
        let reason = String(cString: message).split(separator: "\n").joined(separator: " ")
        text = "is truncated or damaged XML (\(reason))"
      }
    }
    var error = error(
      text, advice: rescueAdvice ?? "Run SUMO again and let it end by itself")
    if line > 0 { error.line = line }
    return error
  }

  /// Recognises what is not XML by its first bytes.
  private func checkBeginning(_ bytes: UnsafeRawBufferPointer) throws {
    let advice =
      "Run 'sumo --fcd-output FILE.fcd.xml.gz' (the name's ending chooses XML), or convert the file to that"
    func refuse(_ kind: String) -> InputError {
      InputError("is \(kind), not XML floating-car data", file: name, advice: advice)
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

  // MARK: - Elements

  private func begin(
    _ element: UnsafePointer<xmlChar>, _ count: Int,
    _ attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
  ) throws {
    depth += 1
    if skipped > 0 {
      skipped += 1
      guard isInStep else { return }
      if element == person || element == container { countRider(element) }
      if element == vehicle || element == timestep {
        throw error("<\(String(cString: element))> inside another element of a timestep")
      }
    } else if isInStep {
      if element == vehicle {
        stepVehicles += 1
        if isSelected { try addVehicle(count, attributes) }
      } else if element == person || element == container {
        countRider(element)
      } else if element == timestep {
        throw error("<timestep> inside a timestep")
      }
      skipped = 1
    } else if depth == 1 {
      guard element == fcdExport else { throw wrongRoot(String(cString: element)) }
    } else if element == timestep {
      try beginStep(count, attributes)
    } else if element == vehicle || element == person || element == container {
      throw error("<\(String(cString: element))> outside a timestep")
    } else {
      skipped = 1
    }
  }

  private func end() throws {
    depth -= 1
    if skipped > 0 {
      skipped -= 1
    } else if isInStep {
      isInStep = false
      lastCompleteTime = time
      if isSelected && stepVehicles == 0 { session.summary.emptyTimesteps += 1 }
      if session.isPastEnd(time, after: true) { throw Finished() }
    }
  }

  private func countRider(_ element: UnsafePointer<xmlChar>) {
    guard isSelected else { return }
    if element == person {
      session.summary.persons += 1
    } else {
      session.summary.containers += 1
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
    guard time > self.time else {
      throw error(
        "the time does not come after the step before it", key: "timestep time",
        value: text(value), advice: "Steps must be in order of time, each only once")
    }
    self.time = time
    if session.isPastEnd(time, after: false) { throw Finished() }
    isInStep = true
    stepVehicles = 0
    isSelected = session.isSelected(time)
    if isSelected { try session.beginStep(time: time) }
  }

  private func addVehicle(
    _ count: Int, _ attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
  ) throws {
    var id: UnsafeRawBufferPointer?
    var type: UnsafeRawBufferPointer?
    var xText: UnsafeRawBufferPointer?
    var yText: UnsafeRawBufferPointer?
    var speed = Double.nan
    var position = Double.nan
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
        speed = try number(bytes(attribute), "speed", id)
      } else if key == positionName {
        position = try number(bytes(attribute), "pos", id)
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
    let x = try number(xText, "x", id)
    let y = try number(yText, "y", id)
    guard session.types.isOpen || isWanted(type) else { return }
    let decimals = min(FCDParser.decimals(xText), FCDParser.decimals(yText))
    let isNew: Bool
    if memchr(id.baseAddress!, 0x26, id.count) == nil {
      isNew = try session.add(
        id: id, x: x, y: y, speed: speed, position: position, decimals: decimals)
    } else {
      decodeAmpersands(id)
      isNew = try idBuffer.withUnsafeBytes {
        try session.add(
          id: $0, x: x, y: y, speed: speed, position: position, decimals: decimals)
      }
    }
    guard isNew else {
      throw error("is in the timestep of \(time) s twice", key: "vehicle \(text(id))")
    }
  }

  private func isWanted(_ type: UnsafeRawBufferPointer?) -> Bool {
    guard let type, type.contains(0x26) else {
      return session.types.accepts(type)
    }
    decodeAmpersands(type)
    return idBuffer.withUnsafeBytes { session.types.accepts($0) }
  }

  /// libxml2 leaves a literal ampersand of an attribute as `&#38;` unless it builds a tree.
  private func decodeAmpersands(_ value: UnsafeRawBufferPointer) {
    let reference = Array("&#38;".utf8)
    idBuffer.removeAll(keepingCapacity: true)
    var i = 0
    while i < value.count {
      idBuffer.append(value[i])
      i += value[i...].starts(with: reference) ? reference.count : 1
    }
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

  fileprivate func fail(_ error: any Error) {
    if failure == nil {
      failure = error
      if var error = error as? InputError, error.file == nil {
        error.file = name
        error.line = context.map { Int(xmlSAX2GetLineNumber($0)) }
        failure = error
      }
    }
    if !isFinishing { xmlStopParser(context) }
  }

  fileprivate func start(
    _ element: UnsafePointer<xmlChar>, _ count: Int,
    _ attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
  ) {
    guard failure == nil else { return }
    do { try begin(element, count, attributes) } catch { fail(error) }
  }

  fileprivate func stop() {
    guard failure == nil else { return }
    do { try end() } catch { fail(error) }
  }

  fileprivate func refuseDoctype() {
    fail(
      error(
        "has a DOCTYPE, which is refused because it can name other files",
        advice: "Remove the DOCTYPE; SUMO writes none"))
  }
}

private func elementStarts(
  context: UnsafeMutableRawPointer?, name: UnsafePointer<xmlChar>?,
  prefix: UnsafePointer<xmlChar>?, uri: UnsafePointer<xmlChar>?, namespaceCount: Int32,
  namespaces: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?, attributeCount: Int32,
  defaultedCount: Int32, attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
) {
  guard let context, let name else { return }
  Unmanaged<FCDParser>.fromOpaque(context).takeUnretainedValue().start(
    name, Int(attributeCount), attributes)
}

private func elementEnds(
  context: UnsafeMutableRawPointer?, name: UnsafePointer<xmlChar>?,
  prefix: UnsafePointer<xmlChar>?, uri: UnsafePointer<xmlChar>?
) {
  guard let context else { return }
  Unmanaged<FCDParser>.fromOpaque(context).takeUnretainedValue().stop()
}

private func doctypeStarts(
  context: UnsafeMutableRawPointer?, name: UnsafePointer<xmlChar>?,
  externalID: UnsafePointer<xmlChar>?, systemID: UnsafePointer<xmlChar>?
) {
  guard let context else { return }
  Unmanaged<FCDParser>.fromOpaque(context).takeUnretainedValue().refuseDoctype()
}
