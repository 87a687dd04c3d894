import Glibc

/// Reads numbers and times in place, without making a String.
enum DecimalText {
  /// Powers of ten that a Double holds exactly.
  private static let powers: [Double] = [
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
    1e18, 1e19, 1e20, 1e21, 1e22,
  ]

  /// A finite decimal number (`-12.30`, `1e-3`), correctly rounded; nil for anything else.
  ///
  /// Up to 15 digits and powers up to 10^22 are exact as Doubles, so that one division or product rounds once;
  /// the rare rest goes to `strtod`.
  static func number(_ text: UnsafeRawBufferPointer) -> Double? {
    var i = 0
    let count = text.count
    guard count > 0 else { return nil }
    let isNegative = text[0] == UInt8(ascii: "-")
    if isNegative || text[0] == UInt8(ascii: "+") { i = 1 }
    var mantissa: UInt64 = 0
    var digits = 0
    var seen = 0
    var exponent = 0
    while i < count {
      let digit = text[i] &- 48
      guard digit < 10 else { break }
      mantissa = mantissa &* 10 &+ UInt64(digit)
      if mantissa != 0 { digits += 1 }
      seen += 1
      i += 1
    }
    if i < count, text[i] == UInt8(ascii: ".") {
      i += 1
      while i < count {
        let digit = text[i] &- 48
        guard digit < 10 else { break }
        mantissa = mantissa &* 10 &+ UInt64(digit)
        if mantissa != 0 { digits += 1 }
        seen += 1
        exponent -= 1
        i += 1
      }
    }
    guard seen > 0 else { return nil }
    if i < count {
      guard text[i] | 32 == UInt8(ascii: "e") else { return nil }
      i += 1
      guard i < count else { return nil }
      let isSmall = text[i] == UInt8(ascii: "-")
      if isSmall || text[i] == UInt8(ascii: "+") { i += 1 }
      guard i < count else { return nil }
      var power = 0
      while i < count {
        let digit = text[i] &- 48
        guard digit < 10 else { return nil }
        power = min(power * 10 + Int(digit), 100_000)
        i += 1
      }
      exponent += isSmall ? -power : power
    }
    if digits <= 15, exponent >= -22, exponent <= 22 {
      let magnitude =
        exponent < 0
        ? Double(mantissa) / powers[-exponent] : Double(mantissa) * powers[exponent]
      return isNegative ? -magnitude : magnitude
    }
    return slowNumber(text)
  }

  /// `strtod` on a copy that ends with a zero byte; the syntax has been checked.
  private static func slowNumber(_ text: UnsafeRawBufferPointer) -> Double? {
    var copy = text.map { CChar(bitPattern: $0) }
    copy.append(0)
    let value = strtod(copy, nil)
    return value.isFinite ? value : nil
  }

  /// Seconds (`12.30`) or clock time (`HH:MM:SS`, `HH:MM:SS.ss`, `D:HH:MM:SS`) as seconds; nil for anything else.
  ///
  /// SUMO up to 1.8 wrote `0.10` behind the seconds of a clock time, `00:00:050.10` for 5.1 s: three digits are two
  /// and the zero before the point.
  static func time(_ text: UnsafeRawBufferPointer) -> Double? {
    guard text.contains(UInt8(ascii: ":")) else { return number(text) }
    var i = 0
    let isNegative = text[0] == UInt8(ascii: "-")
    if isNegative { i = 1 }
    var fields: [Int] = []
    var field = 0
    var digits = 0
    while i < text.count, text[i] != UInt8(ascii: ".") {
      if text[i] == UInt8(ascii: ":") {
        guard digits > 0, fields.count < 3 else { return nil }
        fields.append(field)
        field = 0
        digits = 0
      } else {
        guard text[i] &- 48 < 10, digits < 9 else { return nil }
        field = field * 10 + Int(text[i] &- 48)
        digits += 1
      }
      i += 1
    }
    if digits == 3 {
      guard field % 10 == 0, i < text.count else { return nil }
      field /= 10
      digits = 2
    }
    guard (1...2).contains(digits), fields.count >= 2, field < 60, fields[fields.count - 1] < 60,
      fields.count == 2 || fields[1] < 24
    else { return nil }
    let days = fields.count == 3 ? fields[0] : 0
    let hours = fields[fields.count - 2]
    var ticks = ((days * 24 + hours) * 60 + fields[fields.count - 1]) * 60 + field
    // The fraction stays an integer too, so that the result is the Double nearest to the decimal number.
    var scale = 0
    if i < text.count {
      i += 1
      guard i < text.count else { return nil }
      while i < text.count {
        guard text[i] &- 48 < 10, scale < 3 || text[i] == 48 else { return nil }
        if scale < 3 {
          ticks = ticks * 10 + Int(text[i] &- 48)
          scale += 1
        }
        i += 1
      }
    }
    let seconds = Double(ticks) / powers[scale]
    return isNegative ? -seconds : seconds
  }
}
