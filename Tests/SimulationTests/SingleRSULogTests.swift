import Foundation
import Simulation
import Support
import Testing

/// Recomputes every column of the slot and queue logs from the other columns, as somebody would who has only
/// the files and the formulas: no type of the model is used below `recompute`.
@Suite struct SingleRSULogTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let seed: UInt64
    let clients, serviceVehicles: Int
    let gamma: String
    let delayWeight, slotLength: Double
    var isStochastic = false
    var testDescription: String {
      "\(clients) CV, \(serviceVehicles) SV, \(gamma), V \(delayWeight)"
    }
  }

  @Test(arguments: [
    Case(
      seed: 1, clients: 7, serviceVehicles: 5, gamma: "corrected", delayWeight: 10, slotLength: 1),
    Case(seed: 2, clients: 5, serviceVehicles: 3, gamma: "printed", delayWeight: 10, slotLength: 1),
    Case(
      seed: 3, clients: 3, serviceVehicles: 0, gamma: "corrected", delayWeight: 0.1, slotLength: 0.5
    ),
    Case(
      seed: 4, clients: 4, serviceVehicles: 2, gamma: "printed", delayWeight: 1000, slotLength: 2),
    Case(
      seed: 5, clients: 6, serviceVehicles: 4, gamma: "corrected", delayWeight: 10, slotLength: 1,
      isStochastic: true),
    Case(
      seed: 6, clients: 2, serviceVehicles: 1, gamma: "printed", delayWeight: 150, slotLength: 0.5,
      isStochastic: true),
  ])
  func everyColumnFollowsFromTheOthers(_ item: Case) throws {
    var given: [String: ParameterValue] = [
      "clients": .integer(item.clients), "serviceVehicles": .integer(item.serviceVehicles),
      "gamma": .text(item.gamma), "V": .number(item.delayWeight),
      "slotLength": .number(item.slotLength),
      "slots": .integer(25),
    ]
    if item.isStochastic {
      given["taskProbability"] = .number(0.4)
      given["initialBacklog"] = .list([.number(5), .number(60)])
      given["backgroundLoad"] = .list([.number(0.3), .number(10)])
      given["reward"] = .text("drift")
    }
    var environment = try SingleRSUFixture.environment(given, seed: item.seed)
    var stream = RandomStream(seed: item.seed, .test)
    var tables: [CSVTable] = []
    var writers = SingleRSUEnvironment.logs.map { CSVWriter(columns: $0.columns) }
    for episode in 0..<2 {
      environment.beginEpisode(episode, phase: .eval)
      while !environment.isEpisodeOver, let situation = environment.situation {
        let outcome = try environment.apply(SingleRSUFixture.decision(situation, &stream))
        for (i, log) in SingleRSUEnvironment.logs.enumerated() {
          log.append(outcome, episode, &writers[i])
        }
      }
    }
    for (log, writer) in zip(SingleRSUEnvironment.logs, writers) {
      tables.append(
        try CSVTable(text: String(decoding: writer.bytes, as: UTF8.self), file: log.file))
    }
    #expect(SingleRSUEnvironment.logs.map(\.file) == ["slots.csv", "queues.csv"])
    try recompute(
      slots: tables[0], queues: tables[1], delayWeight: item.delayWeight, tau: item.slotLength,
      printedGamma: item.gamma == "printed", isStochastic: item.isStochastic)
  }

  /// Totals and cuts of the three networks, worked out from their published shapes: (work of the layer in
  /// GFLOP by P1 eq (6), elements of its input).
  private let networks: [String: [(Double, Double)]] = {
    func conv(_ h: Double, _ cIn: Double, _ k: Double, _ cOut: Double) -> (Double, Double) {
      (2 * h * h * (cIn * k * k + 1) * cOut / 1e9, h * h * cIn)
    }
    func fc(_ a: Double, _ b: Double) -> (Double, Double) { ((2 * a - 1) * b / 1e9, a) }
    let alexnet = [
      conv(224, 3, 11, 64), conv(55, 64, 3, 64), conv(27, 64, 5, 192), conv(27, 192, 3, 192),
      conv(13, 192, 3, 384), conv(13, 384, 3, 256), conv(13, 256, 3, 256), conv(13, 256, 3, 256),
      fc(9216, 4096), fc(4096, 4096), fc(4096, 1000),
    ]
    var resnet18 = [conv(224, 3, 7, 64), conv(112, 64, 3, 64)]
    var (h, c) = (56.0, 64.0)
    for out in [64.0, 128, 256, 512] {
      resnet18.append(conv(h, c, 3, out))
      if out > 64 { h /= 2 }
      c = out
      for _ in 0..<3 { resnet18.append(conv(h, c, 3, c)) }
    }
    resnet18 += [conv(7, 512, 7, 512), fc(512, 1000)]
    var vgg16: [(Double, Double)] = []
    (h, c) = (224, 3)
    for (out, count) in [(64.0, 2), (128, 2), (256, 3), (512, 3), (512, 3)] {
      for _ in 0..<count {
        vgg16.append(conv(h, c, 3, out))
        c = out
      }
      vgg16.append(conv(h, c, 2, c))
      h /= 2
    }
    vgg16 += [fc(25088, 4096), fc(4096, 4096), fc(4096, 1000)]
    return ["alexnet": alexnet, "resnet18": resnet18, "vgg16": vgg16]
  }()

  private func recompute(
    slots: CSVTable, queues: CSVTable, delayWeight: Double, tau: Double, printedGamma: Bool,
    isStochastic: Bool
  ) throws {
    func near(_ found: Double, _ expected: Double, scale: Double = 0) -> Bool {
      abs(found - expected) <= 1e-9 * max(abs(expected), scale) + 1e-300
    }
    func rows(_ table: CSVTable) -> [[String: String]] {
      table.rows.map { Dictionary(uniqueKeysWithValues: zip(table.columns, $0)) }
    }
    func number(_ row: [String: String], _ key: String) -> Double {
      row[key].flatMap { Double($0) } ?? .nan
    }
    let slotGroups = Dictionary(grouping: rows(slots)) { "\($0["episode"]!) \($0["slot"]!)" }
    let queueGroups = Dictionary(grouping: rows(queues)) { "\($0["episode"]!) \($0["slot"]!)" }
    // A slot without a task has no row in slots.csv.
    #expect(isStochastic || Set(slotGroups.keys) == Set(queueGroups.keys))
    #expect(isStochastic == rows(queues).contains { number($0, "background_gflop") > 0 })
    for (key, group) in queueGroups {
      let tasks = slotGroups[key] ?? []
      let queue = Dictionary(uniqueKeysWithValues: group.map { ($0["queue"]!, $0) })
      func edgeQueue(_ task: [String: String]) -> String {
        task["node"] == "1" ? "rsu:\(task["dnn"]!)" : "service:\(task["node"]!)"
      }
      var arrivals = [String: Double]()
      var users = [String: Int]()
      for task in tasks {
        let layers = try #require(networks[task["dnn"]!])
        let phi = Int(task["cut"]!)!
        let local = layers[..<(phi - 1)].reduce(0) { $0 + $1.0 }
        let remote = layers[(phi - 1)...].reduce(0) { $0 + $1.0 }
        #expect(near(number(task, "local_gflop"), local), "\(key)")
        #expect(near(number(task, "remote_gflop"), remote, scale: 1e-6), "\(key)")
        let isRemote = phi <= layers.count
        #expect(number(task, "cut_bits") == (isRemote ? layers[phi - 1].1 * 32 : 0))
        if phi > 1 {
          arrivals["client:\(task["client"]!)"] = local
          users["client:\(task["client"]!)"] = 1
        }
        if isRemote {
          arrivals[edgeQueue(task), default: 0] += remote
          users[edgeQueue(task), default: 0] += 1
        }
      }
      for (name, row) in queue {
        let background = number(row, "background_gflop")
        #expect(background == 0 || !name.hasPrefix("client"))
        let all = (arrivals[name] ?? 0) + background
        #expect(near(number(row, "arrivals_gflop"), all), "\(key) \(name)")
        #expect(Int(row["users"]!) == users[name] ?? 0, "\(key) \(name)")
        let before = number(row, "backlog_gflop")
        let capacity = number(row, "capacity_gflops")
        let after = max(before - capacity * tau + all, 0)
        #expect(
          near(number(row, "backlog_after_gflop"), after, scale: 1e-3), "\(key) \(name)")
      }

      // Division of the RSU by plain bisection on eta.
      let types = queue.keys.filter { $0.hasPrefix("rsu:") }.sorted()
      let backlog = types.map { number(queue[$0]!, "backlog_gflop") }
      let gamma = types.indices.map { k in
        let n = Double(users[types[k]] ?? 0)
        return delayWeight
          * ((printedGamma ? 1 : n) * backlog[k]
            + (1 + (n - 1) / 2) * (arrivals[types[k]] ?? 0))
      }
      let highest = (backlog.max() ?? 0) * tau
      func share(_ k: Int, _ eta: Double) -> Double {
        gamma[k] == 0 ? 0 : (gamma[k] / (eta - backlog[k] * tau)).squareRoot()
      }
      var expected: [Double]
      let demand = types.indices.reduce(0) { $0 + share($1, highest) }
      if gamma.allSatisfy({ $0 == 0 }) && highest == 0 {
        expected = types.map { _ in 30 / Double(types.count) }
      } else if demand < 30 {
        expected = types.indices.map { share($0, highest) }
        let top = try #require(
          types.indices.first { backlog[$0] * tau == highest && gamma[$0] == 0 })
        // Among equals the first type in the order of the file gets it; ties do not occur but at zero.
        expected[top] = 30 - demand
      } else {
        var low = highest
        var high = highest + 1
        while types.indices.reduce(0, { $0 + share($1, high) }) > 30 { high += high - highest }
        for _ in 0..<400 {
          let middle = (low + high) / 2
          if types.indices.reduce(0, { $0 + share($1, middle) }) > 30 {
            low = middle
          } else {
            high = middle
          }
        }
        expected = types.indices.map { share($0, high) }
      }
      for (k, name) in types.enumerated() {
        let found = number(queue[name]!, "capacity_gflops")
        #expect(abs(found - expected[k]) <= 1e-9 * max(expected[k], 1), "\(key) \(name)")
      }

      var objective = 0.0
      var magnitude = 0.0
      var squares = 0.0
      for task in tasks {
        let layers = try #require(networks[task["dnn"]!])
        let isRemote = Int(task["cut"]!)! <= layers.count
        let own = queue["client:\(task["client"]!)"]!
        let edge = queue[edgeQueue(task)]!
        #expect(number(task, "local_backlog_gflop") == number(own, "backlog_gflop"))
        #expect(number(task, "edge_backlog_gflop") == number(edge, "backlog_gflop"))
        let local = number(task, "local_gflop")
        let remote = number(task, "remote_gflop")
        let localDelay =
          task["cut"] == "1"
          ? 0 : (number(own, "backlog_gflop") + local) / number(own, "capacity_gflops")
        let distance = number(task, "distance_m")
        if task["node"] == "1" {
          #expect(near(distance, max(1, hypot(number(task, "x_m"), number(task, "y_m")))))
        }
        let decibel =
          task["node"] == "1" ? -38.4 - 21 * log10(distance) : -44.23 - 16.7 * log10(distance)
        let rate =
          10e6
          * log2(
            1 + 0.19952623149688797 * pow(10, decibel / 10) * number(task, "fading")
              / 3.9810717055349695e-15)
        #expect(near(number(task, "rate_bps"), rate), "\(key)")
        let capacity = number(edge, "capacity_gflops")
        let others = arrivals[edgeQueue(task), default: remote] - remote
        let transmit = isRemote ? number(task, "cut_bits") / rate : 0
        let edgeDelay =
          isRemote
          ? (number(edge, "backlog_gflop") + remote) / capacity + others / (2 * capacity) : 0
        #expect(near(number(task, "local_delay_s"), localDelay), "\(key)")
        #expect(near(number(task, "transmit_delay_s"), transmit), "\(key)")
        #expect(near(number(task, "edge_delay_s"), edgeDelay), "\(key)")
        #expect(near(number(task, "delay_s"), localDelay + transmit + edgeDelay), "\(key)")
        #expect(number(task, "position_m") == number(task, "x_m"))
        objective += delayWeight * (localDelay + transmit + edgeDelay)
        magnitude += delayWeight * (localDelay + transmit + edgeDelay)
      }
      for row in queue.values {
        let term =
          number(row, "backlog_gflop")
          * (number(row, "arrivals_gflop") - number(row, "capacity_gflops") * tau)
        objective += term
        magnitude += abs(term)
        squares +=
          (pow(number(row, "backlog_after_gflop"), 2) - pow(number(row, "backlog_gflop"), 2)) / 2
      }
      let delays = tasks.reduce(0) { $0 + number($1, "delay_s") }
      for task in tasks {
        #expect(near(number(task, "objective"), objective, scale: magnitude * 1e-3), "\(key)")
        if isStochastic {
          let drift = delayWeight * delays + squares
          #expect(near(number(task, "reward"), -drift, scale: magnitude * 1e-3), "\(key)")
        } else {
          #expect(number(task, "reward") == -number(task, "objective"))
        }
      }
    }
    // Each queue goes on from slot to slot with what was left.
    let sorted = rows(queues)
    var last = [String: Double]()
    for row in sorted {
      let name = "\(row["episode"]!) \(row["queue"]!)"
      if let expected = last[name] ?? (isStochastic ? nil : 0) {
        #expect(number(row, "backlog_gflop") == expected, "\(name)")
      } else {
        #expect((5...60).contains(number(row, "backlog_gflop")), "\(name)")
      }
      last[name] = number(row, "backlog_after_gflop")
    }
  }
}
