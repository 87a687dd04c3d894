internal import Simulation
internal import Support

struct GeneticSettings: Settings {
  @Setting(2...100_000, source: "ours", "Chromosomes of a generation.")
  var population = 50
  @Setting(1...1_000_000, source: "ours", "Generations bred in a slot after the random one.")
  var generations = 100
  @Setting(1...1000, source: "ours", "Chromosomes of which the best becomes a parent.")
  var tournament = 3
  @Setting(
    0...1, source: "ours",
    "Probability that a child mixes two parents gene by gene; else it copies the first.")
  var crossover = 0.9
  @Setting(0...1, source: "ours", "Probability that a gene is drawn anew; none: 1 / (2 clients).")
  var mutation: Double? = nil
  @Setting(0...1000, source: "ours", "Best chromosomes that enter the next generation unchanged.")
  var elites = 2
}

/// P1's genetic benchmark: a chromosome holds every client's cut and node, its fitness is P (lower is better).
///
/// Each slot starts from a random population; the best chromosome after the last generation decides.
struct Genetic: Agent {
  typealias Model = SingleRSUEnvironment

  static let algorithm = Algorithm<SingleRSUEnvironment>(
    name: "genetic", version: 1,
    summary: "Genetic search for the least P of the slot (P1 section 8).",
    settings: GeneticSettings.self
  ) { environment, settings, context in
    guard settings.elites < settings.population else {
      throw InputError(
        "must be less than the population, \(settings.population)", key: settings.$elites.key,
        value: "\(settings.elites)")
    }
    return Genetic(scenario: environment.scenario, settings: settings, seed: context.seed)
  }

  private let settings: GeneticSettings
  private let population: Int
  private let mutation: Double
  private var objective: SlotObjective
  private let field: RandomField
  private var stream: RandomStream

  /// Genes of a generation, `[chromosome * clients + client]`, and P of each chromosome.
  private struct Generation {
    var cuts, nodes: [Int]
    var fitness: [Double]
  }
  private var parents: Generation
  /// Clients that have a task: only their genes are searched.
  private var active: [Int] = []
  private var children: Generation

  init(scenario: SingleRSUScenario, settings: GeneticSettings, seed: UInt64) {
    self.settings = settings
    population = settings.population
    mutation = settings.mutation ?? 1 / Double(2 * scenario.clients)
    objective = SlotObjective(scenario: scenario)
    field = RandomField(seed: seed, .search)
    stream = field.stream(0)
    let genes = [Int](repeating: 0, count: population * scenario.clients)
    parents = Generation(
      cuts: genes, nodes: genes, fitness: [Double](repeating: 0, count: population))
    children = parents
  }

  mutating func beginEpisode(_ episode: Int, phase: Phase) {
    stream = field.stream(phase == .train ? 1 : 2, episode)
  }

  mutating func decide(_ situation: SlotSituation, phase: Phase) throws -> SlotDecision {
    objective.prepare(situation)
    let clients = objective.scenario.clients
    active = (0..<clients).filter { situation.tasks[$0] }
    if active.isEmpty {
      let zeros = [Int](repeating: 0, count: clients)
      return SlotDecision(cuts: zeros, nodes: zeros)
    }
    for chromosome in 0..<population {
      for client in active {
        children.cuts[chromosome * clients + client] = drawCut(client)
        children.nodes[chromosome * clients + client] = drawNode(client)
      }
      evaluate(chromosome)
    }
    swap(&parents, &children)
    for _ in 0..<settings.generations {
      copyElites()
      for chromosome in settings.elites..<population { breed(chromosome) }
      swap(&parents, &children)
    }
    let best = bestParent()
    let genes = best * clients..<(best + 1) * clients
    return SlotDecision(cuts: Array(parents.cuts[genes]), nodes: Array(parents.nodes[genes]))
  }

  private mutating func drawCut(_ client: Int) -> Int {
    stream.index(below: objective.scenario.layers(ofClient: client) + 1)
  }

  private mutating func drawNode(_ client: Int) -> Int {
    objective.drawNode(client: client, using: &stream)
  }

  private mutating func evaluate(_ chromosome: Int) {
    children.fitness[chromosome] = objective.value(
      cuts: children.cuts, nodes: children.nodes, at: chromosome * objective.scenario.clients)
  }

  private func bestParent() -> Int {
    var best = 0
    for i in 1..<population where parents.fitness[i] < parents.fitness[best] { best = i }
    return best
  }

  /// The best parents, in order, become the first children.
  private mutating func copyElites() {
    let clients = objective.scenario.clients
    for place in 0..<settings.elites {
      // Those already taken are marked by an infinite fitness: parents are not read again but as parents,
      // so the true value comes back below.
      let best = bestParent()
      for client in 0..<clients {
        children.cuts[place * clients + client] = parents.cuts[best * clients + client]
        children.nodes[place * clients + client] = parents.nodes[best * clients + client]
      }
      children.fitness[place] = parents.fitness[best]
      parents.fitness[best] = .infinity
      taken.append(best)
    }
    for (place, parent) in taken.enumerated() { parents.fitness[parent] = children.fitness[place] }
    taken.removeAll(keepingCapacity: true)
  }
  private var taken: [Int] = []

  private mutating func selectParent() -> Int {
    var best = stream.index(below: population)
    for _ in 1..<settings.tournament {
      let rival = stream.index(below: population)
      if parents.fitness[rival] < parents.fitness[best] { best = rival }
    }
    return best
  }

  private mutating func breed(_ chromosome: Int) {
    let clients = objective.scenario.clients
    let first = selectParent() * clients
    let second = stream.uniform() < settings.crossover ? selectParent() * clients : first
    let own = chromosome * clients
    var coins: UInt64 = 0
    for (place, client) in active.enumerated() {
      if place % 32 == 0 { coins = stream.next() }
      let cutParent = coins & 1 == 0 ? first : second
      let nodeParent = coins & 2 == 0 ? first : second
      coins >>= 2
      children.cuts[own + client] =
        stream.uniform() < mutation ? drawCut(client) : parents.cuts[cutParent + client]
      children.nodes[own + client] =
        stream.uniform() < mutation ? drawNode(client) : parents.nodes[nodeParent + client]
    }
    evaluate(chromosome)
  }
}
