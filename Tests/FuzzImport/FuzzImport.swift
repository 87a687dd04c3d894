import Glibc
import Support
import TraceImport

/// One input of libFuzzer: the scanner, with and without vector instructions and with small blocks, must come to
/// what libxml2 comes to. Built by Scripts/fuzz-import, not a part of the package.
private func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  guard let data, count > 1 else { return 0 }
  // The first byte chooses the options.
  let choice = Int(data[0])
  let bytes = UnsafeBufferPointer(start: data + 1, count: count - 1)
  let folder = getenv("FUZZ_FOLDER").map { String(cString: $0) } ?? "/dev/shm"
  let input = "\(folder)/fuzz-\(getpid()).xml"
  guard let file = fopen(input, "wb") else { fatalError("cannot write \(input)") }
  fwrite(bytes.baseAddress, 1, bytes.count, file)
  fclose(file)
  defer { unlink(input) }

  var options = ImportOptions()
  options.threads = 1
  options.coordinates = choice & 1 == 0 ? .metres : .auto
  if choice & 2 != 0 { options.types = ["car"] }
  if choice & 4 != 0 { options.step = 2 }
  if choice & 8 != 0 { options.rectangle = .init(x0: 0, y0: 0, x1: 100, y1: 100) }
  options.parser = .libxml2
  options.blockBytes = 8192
  let expected = outcome(input, folder, options)
  for (parser, block) in [
    (ImportOptions.Parser.automatic, 64 + 16 * (choice >> 4)), (.scalar, 8192),
  ] {
    options.parser = parser
    options.blockBytes = block
    options.threads = 1 + choice >> 7
    let found = outcome(input, folder, options)
    guard found == expected else {
      fatalError("\(parser), blocks of \(block): \(found), but libxml2: \(expected)")
    }
  }
  return 0
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<Int32>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// The name that the linker is told to begin with.
@_cdecl("FuzzImport_main")
public func main(
  _ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32 {
  var count = count
  var arguments = arguments
  return runDriver(&count, &arguments) { fuzzOneInput($0, $1) }
}

/// The summary of an import, or that it is refused.
private func outcome(_ input: String, _ folder: String, _ options: ImportOptions) -> String {
  let output = "\(folder)/fuzz-\(getpid()).trace"
  defer { unlink(output) }
  do {
    let summary = try TraceImporter.importTrace(from: input, to: output, options: options)
    return "\(summary)"
  } catch let error as InputError {
    if access(output, F_OK) == 0 { fatalError("a refused input left \(output)") }
    _ = error.description
    return "refused"
  } catch {
    fatalError("\(error)")
  }
}
