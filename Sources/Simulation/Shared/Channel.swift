internal import Glibc

/// Path loss that falls with the logarithm of the distance: g[dB] = constant - slope log10(d / m).
public struct PathLoss: Sendable, Equatable {
  /// Gain at 1 m, in dB.
  public let constantDB: Double
  /// Loss for each tenfold distance, in dB.
  public let slopeDB: Double

  public init(constantDB: Double, slopeDB: Double) {
    self.constantDB = constantDB
    self.slopeDB = slopeDB
  }

  /// Power gain at a distance in metres.
  public func gain(distance: Double) -> Double {
    exp((constantDB - slopeDB * log10(distance)) * (M_LN10 / 10))
  }
}

/// A radio channel of one bandwidth, transmit power and noise power.
public struct Channel: Sendable, Equatable {
  /// In hertz.
  public let bandwidth: Double
  /// Transmit power over noise power.
  public let signalToNoise: Double

  public init(bandwidth: Double, signalToNoise: Double) {
    self.bandwidth = bandwidth
    self.signalToNoise = signalToNoise
  }

  /// Powers in dBm.
  public init(bandwidth: Double, transmitPowerDBm: Double, noisePowerDBm: Double) {
    self.init(
      bandwidth: bandwidth, signalToNoise: pow(10, (transmitPowerDBm - noisePowerDBm) / 10))
  }

  /// Shannon rate in bit/s at a power gain and a fading factor.
  public func rate(gain: Double, fading: Double) -> Double {
    bandwidth * log2(1 + signalToNoise * gain * fading)
  }

  /// Mean of the rate over Rayleigh fading in bit/s, from 1000 equally likely fading factors.
  public func meanRate(gain: Double) -> Double {
    let count = 1000
    let sum = (0..<count).reduce(0.0) { sum, i in
      sum + rate(gain: gain, fading: -log((Double(i) + 0.5) / Double(count)))
    }
    return sum / Double(count)
  }
}
