/// A number for people: so many significant digits, all digits before the point, no zeros at the end.
///
/// For files and programs `CSVWriter.text(of:)` writes what reads back to the same bits.
public func short(_ value: Double, digits: Int = 3) -> String {
  guard value.isFinite, value != 0 else { return CSVWriter.text(of: value) }
  var enough = 1.0
  for _ in 1..<max(digits, 1) { enough *= 10 }
  var scale = 1.0
  var size = abs(value)
  while size < enough, scale < 1e300 {
    size *= 10
    scale *= 10
  }
  return CSVWriter.text(of: (value * scale).rounded() / scale)
}
