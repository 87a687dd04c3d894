import Simulation
import Support
import Testing

/// The folder of the shipped tables, found from this file.
private let experiments = #filePath.replacing(
  "Tests/SimulationTests/DNNProfileTests.swift", with: "Experiments")

struct Totals: Sendable {
  let name: String
  let kinds: [DNNLayer.Kind: Int]
  let macs, parameters: Int
  let gflop: [Workload: Double]
}

private let totals: [Totals] = [
  Totals(
    name: "alexnet", kinds: [.convolution: 5, .pooling: 3, .fullyConnected: 3],
    macs: 714_188_480, parameters: 61_100_840,
    gflop: [.p1: 4.5331, .p2: 1.5755, .physical: 1.4301]),
  Totals(
    name: "resnet18", kinds: [.convolution: 17, .pooling: 2, .fullyConnected: 1],
    macs: 1_814_073_344, parameters: 11_689_512, gflop: [.p1: 7.5339, .physical: 3.5961]),
  Totals(
    name: "vgg16", kinds: [.convolution: 13, .pooling: 5, .fullyConnected: 3],
    macs: 15_470_264_320, parameters: 138_357_544,
    gflop: [.p1: 37.9676, .p2: 30.7639, .physical: 30.9737]),
  Totals(
    name: "tinyyolov2", kinds: [.convolution: 9, .pooling: 6], macs: 3_485_520_896,
    parameters: 15_858_717, gflop: [.p2: 7.2623, .physical: 6.9884]),
  Totals(
    name: "nin", kinds: [.convolution: 12, .pooling: 4], macs: 1_100_188_800,
    parameters: 7_595_176, gflop: [.p2: 2.3408, .physical: 2.2050]),
  Totals(
    name: "nin-cifar", kinds: [.convolution: 9, .pooling: 3], macs: 222_486_528,
    parameters: 966_986, gflop: [:]),
]

private func error(_ body: () throws -> Void) -> InputError? {
  do {
    try body()
    return nil
  } catch { return error as? InputError }
}

@Suite struct DNNProfileTests {
  @Test(arguments: totals) func shippedTablesHaveThePublishedTotals(_ expected: Totals) throws {
    let profile = try DNNProfile.load(expected.name, relativeTo: experiments)
    #expect(profile.name == expected.name)
    for kind in [DNNLayer.Kind.convolution, .pooling, .fullyConnected] {
      #expect(profile.layers.count { $0.kind == kind } == expected.kinds[kind] ?? 0)
    }
    #expect(profile.macs == expected.macs)
    #expect(profile.parameterCount == expected.parameters)
    for (workload, gflop) in expected.gflop {
      let sum = profile.flop(workload).reduce(0, +) / 1e9
      #expect(abs(sum - gflop) <= 0.5e-4, "\(workload): \(sum)")
    }
  }

  @Test func downsamplingOfResNet18StandsBesideTheChain() throws {
    let profile = try DNNProfile.load("resnet18", relativeTo: experiments)
    #expect(profile.sideLayers.count == 3)
    #expect(profile.sideLayers.reduce(0) { $0 + $1.macs } == 19_267_584)
    #expect(profile.layers.count == 20)
  }

  @Test func workloadOfOneConvolutionByHand() throws {
    // AlexNet's first layer: 224 x 224 x 3, 64 windows of 11 x 11, output 55 x 55.
    let layer = try DNNProfile.load("alexnet", relativeTo: experiments).layers[0]
    #expect(layer.outputHeight == 55 && layer.outputWidth == 55)
    #expect(layer.flop(.p1) == 2 * 224 * 224 * (3 * 121 + 1) * 64)
    #expect(layer.flop(.p2) == 3 * 241 * 55 * 55 * 64)
    #expect(layer.flop(.physical) == 2 * 55 * 55 * (3 * 121 + 1) * 64)
    let pool = try DNNProfile.load("alexnet", relativeTo: experiments).layers[1]
    #expect(pool.flop(.p1) == 2 * 55 * 55 * (64 * 9 + 1) * 64)
    #expect(pool.flop(.p2) == 64 * 17 * 27 * 27 * 64)
    #expect(pool.flop(.physical) == 9 * 27 * 27 * 64)
    let last = try DNNProfile.load("alexnet", relativeTo: experiments).layers[10]
    for workload in Workload.allCases { #expect(last.flop(workload) == (2 * 4096 - 1) * 1000) }
  }

  @Test(arguments: totals.map(\.name)) func cutsAddUp(_ name: String) throws {
    let profile = try DNNProfile.load(name, relativeTo: experiments)
    for workload in Workload.allCases {
      let cuts = profile.cuts(workload)
      let total = profile.flop(workload).reduce(0, +)
      #expect(cuts.localFLOP.count == profile.layers.count + 1)
      #expect(cuts.bits.count == profile.layers.count + 1)
      #expect(cuts.localFLOP.first == 0 && cuts.localFLOP.last == total)
      #expect(cuts.remoteFLOP.first == total && cuts.remoteFLOP.last == 0)
      #expect(cuts.bits.last == 0)
      for x in cuts.bits.indices { #expect(cuts.localFLOP[x] + cuts.remoteFLOP[x] == total) }
      for (x, layer) in profile.layers.enumerated() {
        #expect(cuts.bits[x] == Double(layer.inputElements) * 32)
      }
    }
  }

  @Test func aCutInsideAResidualBlockShipsTheSkipTensorToo() throws {
    let profile = try DNNProfile.load("resnet18", relativeTo: experiments)
    let plain = profile.cutBits()
    let aware = profile.cutBits(skipAware: true)
    // Second convolution of each of the eight blocks: the skip tensor is as large as the main one.
    let inside = [3, 5, 7, 9, 11, 13, 15, 17]
    for x in plain.indices { #expect(aware[x] == plain[x] * (inside.contains(x) ? 2 : 1)) }
    #expect(plain[3] == 56 * 56 * 64 * 32 && plain[7] == 28 * 28 * 128 * 32)
  }

  @Test func poolsOfNiNRoundUp() throws {
    let profile = try DNNProfile.load("nin", relativeTo: experiments)
    #expect(profile.layers.filter { $0.kind == .pooling }.map(\.outputHeight) == [27, 13, 6, 1])
  }

  @Test func digestIgnoresFormattingButNotValues() throws {
    let text = "name,kind,input_h,input_w,input_c,kernel,stride,padding,output_c\n"
    let one = try DNNProfile(
      name: "a", table: CSVTable(text: text + "c,conv,8,8,3,3,1,1,4\n", file: "a.csv"))
    let two = try DNNProfile(
      name: "b",
      table: CSVTable(
        text: text.replacing("\n", with: "\r\n") + "\"c\",conv,8,8,3,3,1,1,4\r\n", file: "b.csv"))
    let three = try DNNProfile(
      name: "a", table: CSVTable(text: text + "c,conv,8,8,3,3,1,1,5\n", file: "a.csv"))
    #expect(one.digest == two.digest)
    #expect(one.digest != three.digest)
  }

  @Test(arguments: [
    ("c,conv,8,8,3,3,1,1,4\np,pool,8,8,5,2,2,0,5", 3, "but 'c' gives 8 x 8 x 4"),
    ("c,conf,8,8,3,3,1,1,4", 2, "Did you mean 'conv'?"),
    ("c,conv,8,8,3,3,0,1,4", 2, "stride"),
    ("c,conv,8,8,3,-3,1,1,4", 2, "kernel"),
    ("c,conv,8,8,3,9,1,0,4", 2, "does not fit"),
    ("c,conv,8,8,3,3,1,1,99999999", 2, "output_c"),
    ("c,conv,1000000,1000000,1000000,3,1,1,4", 2, "larger than 2^50"),
    ("c,conv,8,8,3,3,1,1,", 2, "This kind of layer needs it"),
    ("p,pool,8,8,3,2,2,0,4", 2, "keeps the number"),
    ("c,conv,8,8,3,3,1,1,4\nc,conv,8,8,4,3,1,1,4", 3, "earlier layer"),
    ("s,side-conv,8,8,3,3,1,1,4", 2, "no earlier layer's input"),
    (",conv,8,8,3,3,1,1,4", 2, "name"),
  ])
  func badTablesAreErrorsWithTheirLine(_ rows: String, _ line: Int, _ words: String) throws {
    let header = "name,kind,input_h,input_w,input_c,kernel,stride,padding,output_c\n"
    let table = try CSVTable(text: header + rows + "\n", file: "mine.csv")
    let found = try #require(error { _ = try DNNProfile(name: "mine", table: table) })
    #expect(found.file == "mine.csv")
    #expect(found.line == line)
    #expect(found.description.contains(words), "\(found)")
  }

  @Test func badHeadersAreErrors() throws {
    for (header, words) in [
      ("name,kinds", "Did you mean 'kind'?"), ("name,name,kind", "twice"), ("kind", "'name'"),
      ("name,kind", "has no layer"),
    ] {
      let table = try CSVTable(text: header + "\n", file: "mine.csv")
      let found = try #require(error { _ = try DNNProfile(name: "mine", table: table) })
      #expect(found.description.contains(words), "\(found)")
    }
  }

  @Test func anUnknownNameListsTheNearest() throws {
    let found = try #require(
      error { _ = try DNNProfile.load("vgg61", relativeTo: experiments) })
    #expect(found.description.contains("Did you mean 'vgg16'?"), "\(found)")
    let path = try #require(
      error { _ = try DNNProfile.load("tables/mine.csv", relativeTo: experiments) })
    #expect(path.description.contains("tables/mine.csv"), "\(path)")
  }

  @Test func aPathIsTakenFromTheGivenFolder() throws {
    let profile = try DNNProfile.load("dnn/nin-cifar.csv", relativeTo: experiments)
    #expect(profile.name == "nin-cifar")
    #expect(profile.layers.count == 12)
  }
}
