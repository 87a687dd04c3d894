import Support
import Testing

@testable import Plan
@testable import TestSupport

/// External agents in experiment files: what is accepted, what is refused, and what makes a run's identity.
@Suite struct AgentDefinitionTests {
  private let place: Workplace

  init() throws {
    place = try Workplace()
    try place.write("mine.py", "print(1)")
    try place.write("other.py", "print(2)")
    try Files.makeFolder(place.path("folder"))
  }

  private static let head =
    "agents: {mine: {command: [sh, mine.py, --lr, 3e-4], files: [mine.py], learner: true,\n"
    + "  parameters: {lr: 3e-4, wide: true, word: a, sizes: [1, 2]}}}\n"

  /// - Parameters:
  ///   - agent: the entry `mine`, in braces, or the whole map if it begins with a name.
  private func refusal(_ agent: String, grid: String = "algorithm: [mine]") -> String {
    let agents = agent.hasPrefix("{") ? "{mine: \(agent)}" : "{\(agent)}"
    let text = sentence {
      _ = try place.experiment("agents: \(agents)\ngrid: {product: {\(grid)}}\n")
    }
    return text.split(separator: place.folder + "/", omittingEmptySubsequences: false).joined()
  }

  private static let mistakes: [(agent: String, says: String)] = [
    (
      "{}",
      "test.yaml:4:16: agents.mine: has no key 'command'. List program and arguments: [python3, agents/mine.py]."
    ),
    ("{command: []}", "agents.mine.command: is an empty list."),
    ("{command: sh}", "agents.mine.command: must be a list: program and arguments"),
    ("{comand: [sh]}", "agents.mine.comand: is not a known key. Did you mean 'command'?"),
    ("{command: [sh, [a]]}", "must be a word of the command line"),
    (
      "{command: [no-such-program]}",
      "is not a program that can be run (got 'no-such-program'). It is looked up in PATH."
    ),
    (
      "{command: [./mine.py], files: [mine.py]}",
      "Give an absolute path, or a file of 'files' that is executable."
    ),
    ("{command: [/no/such]}", "is not a program that can be run (got '/no/such')"),
    (
      "{command: [sh, mine.py]}",
      "test.yaml:4:31: agents.mine.command[2]: is a file of the experiment's folder that 'files' does not list (got 'mine.py')."
    ),
    (
      "{command: [sh], files: [missing.py]}",
      "no such file (got 'missing.py'). Paths are relative to the experiment file."
    ),
    ("{command: [sh], files: [folder]}", "is a folder (got 'folder'). List its files."),
    (
      "{command: [sh], files: [../mine.py]}",
      "is not in the folder of the experiment file or below (got '../mine.py')"
    ),
    (
      "{command: [sh], files: [/etc/passwd]}",
      "is not in the folder of the experiment file or below"
    ),
    (
      "{command: [sh], files: [mine.py, mine.py]}",
      "is listed twice (got 'mine.py'). Keep one of them."
    ),
    ("{command: [sh], learner: yes}", "agents.mine.learner: must be true or false"),
    (
      "{command: [sh], sees: slots}",
      "is nothing that an agent can see (got 'slots'). Did you mean 'slot'?"
    ),
    ("{command: [sh], silence: 5}", "agents.mine.silence"),
    (
      "{command: [sh], parameters: {clients: 3}}",
      "agents.mine.parameters.clients: is a parameter of the model or of every run. Give the agent's another name."
    ),
    ("{command: [sh], parameters: {seed: 3}}", "is a parameter of the model or of every run"),
    ("{command: [sh], parameters: {algorithm: a}}", "is a parameter of the model or of every run"),
    (
      "zero: {command: [sh]}",
      "agents.zero: is an algorithm of model 'toy' already. Give the agent another name."
    ),
    (
      "a b: {command: [sh]}",
      "cannot be the name of an agent. Use letters, digits, '-', '_' and '.'."
    ),
  ]

  @Test func mistakesAreToldWithTheirPlace() {
    for (agent, says) in Self.mistakes {
      let text = refusal(agent)
      #expect(text.contains(says), "\(agent): \(text)")
    }
  }

  @Test func theNameStandsWhereverAnAlgorithmDoes() throws {
    #expect(refusal("{command: [sh]}", grid: "algorithm: [mime]").contains("Did you mean 'mine'?"))
    #expect(
      refusal("{command: [sh], parameters: {lr: 1}}", grid: "algorithm: [mine], lr: [a]")
        .contains("lr[1]: must be a whole number"))
    let experiment = try place.experiment(
      Self.head + """
        grid:
          product: {algorithm: [zero, mine]}
          when: [{if: {algorithm: mine}, product: {lr: [1, 0.5], word: [b]}}]
        figures: [{id: f, x: lr, series: [algorithm, word], filter: {algorithm: mine}, y: mean_delay_s}]
        """)
    #expect(experiment.points.count == 3)
    #expect(experiment.dimensions == ["algorithm", "lr", "word"])
  }

  @Test func identitiesHaveWhatDecidesTheResultAndNothingElse() throws {
    func identities(_ body: String) throws -> [String] {
      try place.plan(body + "grid: {product: {algorithm: [mine, zero]}}\n").runs
        .map(\.specification.id)
    }
    let base = try identities(Self.head)
    func changed(_ old: String, _ new: String) throws -> [String] {
      #expect(Self.head.contains(old))
      return try identities(
        Self.head.split(separator: old, omittingEmptySubsequences: false).joined(separator: new))
    }
    for (old, new) in [
      ("--lr, 3e-4", "--lr, 1e-4"), ("lr: 3e-4,", "lr: 1e-4,"), ("learner: true", "learner: false"),
      ("files: [mine.py]", "files: [mine.py, other.py]"),
      ("learner: true", "learner: true, sees: slot"),
    ] {
      let other = try changed(old, new)
      #expect(other[0] != base[0], "\(new)")
      #expect(other[1] == base[1], "\(new)")
    }
    #expect(try changed("learner: true", "learner: true, silence: 5s, startup: 1h") == base)
    try place.write("mine.py", "print(3)")
    #expect(try identities(Self.head)[0] != base[0])
    try place.write("mine.py", "print(1)")
    #expect(try identities(Self.head) == base)
  }

  @Test func filesAreCopiedAndThePlanReadsBack() throws {
    let plan = try place.plan(
      "agents: {mine: {command: [sh, mine.py], files: [mine.py, other.py], silence: 5s}}\n"
        + "grid: {product: {algorithm: [mine]}}\n")
    let external = try #require(plan.runs[0].specification.agent)
    let copies = "\(place.results)/test/\(external.folder)"
    #expect(try Files.readText(copies + "/mine.py") == "print(1)")
    #expect(external.command == ["sh", "mine.py"])
    #expect(plan.runs[0].patience == AgentPatience(startup: 120, silence: 5))
    let read = try Plan(path: plan.save(inExperimentFolder: place.results + "/test"))
    #expect(read.json.canonical == plan.json.canonical)
    #expect(read.runs[0].patience == plan.runs[0].patience)

    // A copy that was changed is made anew.
    try Files.write(Array("print(9)".utf8), to: copies + "/mine.py")
    _ = try place.plan(
      "agents: {mine: {command: [sh, mine.py], files: [mine.py, other.py], silence: 5s}}\n"
        + "grid: {product: {algorithm: [mine]}}\n")
    #expect(try Files.readText(copies + "/mine.py") == "print(1)")
  }
}
