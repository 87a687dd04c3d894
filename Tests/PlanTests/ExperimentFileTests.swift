import Support
import Testing

@testable import Plan
@testable import TestSupport

/// What every kind of mistake in an experiment file says, word for word.
@Suite struct ExperimentFileTests {
  static let head = "experiment: test\nmodel: toy\ntrace: t.xml\n"

  static func read(_ text: String, profile: String? = nil) -> String {
    sentence {
      _ = try Experiment(text: text, file: "x.yaml", profile: profile, models: ToyModel.models)
    }
  }

  struct Mistake: CustomTestStringConvertible, Sendable {
    let body: String
    let says: String
    var testDescription: String { says }
  }

  static let mistakes: [Mistake] = [
    // Keys.
    Mistake(
      body: "figrues: []",
      says: "x.yaml:4:1: figrues: is not a known key. Did you mean 'figures'?"),
    Mistake(
      body: "grid: {product: {algorithm: [zero], cleints: [3]}}",
      says:
        "x.yaml:4:37: grid.product.cleints: is not a parameter of model 'toy', of its algorithms "
        + "or of a run. Did you mean 'clients'?"),
    Mistake(
      body: "parameters: {clients: 3, clients: 4}",
      says: "x.yaml:4:14: clients: is given twice. Keep one of them."),
    Mistake(
      body: "parameters:\n  clients: 3\n  V: 1\n  clients: 4",
      says: "x.yaml:7:3: clients: is given twice (first in line 5). Keep one of them."),
    Mistake(
      body: "grid:\n  prodct: {seed: [1]}",
      says: "x.yaml:5:3: grid.prodct: is not a known key. Did you mean 'product'?"),
    Mistake(
      body: "limits: {tme: 2h}",
      says: "x.yaml:4:10: limits.tme: is not a known key. Did you mean 'time'?"),
    Mistake(
      body: "? [a]\n: 1",
      says: "x.yaml:4:3: has a key that is not a word."),
    Mistake(
      body: "parameters: {checkpointEvry: 3}",
      says: "x.yaml:4:14: parameters.checkpointEvry: is not a parameter of model 'toy', of its "
        + "algorithms or of a run. Known are V, algorithm, clients, clip, decision, detour, dnnTypes, "
        + "episodes, evaluationEpisodes, evaluationEvery, explodeIn, rate, seed, slots."),
    // Types and ranges.
    Mistake(
      body: "parameters: {clients: three}",
      says: "x.yaml:4:23: parameters.clients: must be a whole number from 1 to 10 (got 'three'). "
        + "The default is 3."),
    Mistake(
      body: "parameters: {clients: 11}",
      says: "x.yaml:4:23: parameters.clients: must be a whole number from 1 to 10 (got '11'). "
        + "The default is 3."),
    Mistake(
      body: "parameters: {clients: 3.5}",
      says: "x.yaml:4:23: parameters.clients: must be a whole number from 1 to 10 (got '3.5'). "
        + "The default is 3."),
    Mistake(
      body: "parameters: {V: yes}",
      says: "x.yaml:4:17: parameters.V: must be a number from 0 to 1000 (got 'yes'). "
        + "The default is 10."),
    Mistake(
      body: "parameters: [clients]",
      says: "x.yaml:4:13: parameters: must be a mapping (lines of 'key: value') (got 'a list')."),
    Mistake(
      body: "parameters: {V: {a: 1}}",
      says: "x.yaml:4:17: parameters.V: must be a value or a list of values (got 'a mapping')."),
    Mistake(
      body: "parameters:",
      says: "x.yaml:4:12: parameters: has no value. It must be a mapping (lines of 'key: value')."),
    Mistake(
      body: "parameters: {V: }",
      says: "x.yaml:4:17: parameters.V: has no value. It must be a value."),
    Mistake(
      body: "parameters: {clip: non}",
      says: "x.yaml:4:20: parameters.clip: must be a number from 0 to 10, or one of none, auto "
        + "(got 'non'). Did you mean 'none'?"),
    // Lists.
    Mistake(
      body: "grid: {product: {clients: []}}",
      says:
        "x.yaml:4:27: grid.product.clients: is an empty list. Give at least one value, or leave "
        + "the key out."),
    Mistake(
      body: "grid: {product: {clients: 3}}",
      says:
        "x.yaml:4:27: grid.product.clients: must be a list of the values it takes, or {from: 3, to: "
        + "7} (got '3'). Write [a, b] or one '- a' a line."),
    Mistake(
      body: "grid: {product: {algorithm: [zero], clients: [3, 4, 3.0]}}",
      says: "x.yaml:4:53: grid.product.clients[3]: is listed twice (got '3'). Keep one of them."),
    Mistake(
      body: "grid: {product: {}}",
      says: "x.yaml:4:17: grid.product: is empty. Give it lists of values, or leave it out."),
    Mistake(
      body: "grid: {zip: [{clients: [1, 2], V: [1]}]}",
      says:
        "x.yaml:4:32: grid.zip[1].V: has 1 values where 'clients' has 2. Lists that go together "
        + "need equal lengths."),
    Mistake(
      body: "grid: {product: {algorithm: [zero], seed: [1, 2]}, seeds: 3}",
      says: "x.yaml:4:59: grid.seeds: is varied twice in the grid. Keep one of them."),
    Mistake(
      body: "parameters: {V: 1}\ngrid: {product: {algorithm: [zero], V: [1, 2]}}",
      says: "x.yaml:5:41: grid.product.V[1]: is also fixed in 'parameters' (line 4). Keep one of "
        + "them."),
    Mistake(
      body: "grid: {product: {algorithm: [zero], checkpointEvery: [1, 2]}}",
      says:
        "x.yaml:4:37: grid.product.checkpointEvery: alters no result, so it cannot vary. Set it "
        + "under the top-level 'parameters'."),
    Mistake(
      body: "grid: {product: {algorithm: [zero, gready]}}",
      says: "x.yaml:4:36: grid.product.algorithm[2]: is not an algorithm of model 'toy' (got "
        + "'gready'). Its algorithms are zero, constant, learner."),
    Mistake(
      body: "grid: {product: {algorithm: [zero, lerner]}}",
      says: "x.yaml:4:36: grid.product.algorithm[2]: is not an algorithm of model 'toy' (got "
        + "'lerner'). Did you mean 'learner'?"),
    Mistake(
      body: "grid: {product: {clients: [1]}}",
      says: "x.yaml:4:7: grid: names no algorithm. Add 'algorithm: [zero]' to grid.product."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}, exclude: [{algorithm: zero}]}",
      says: "x.yaml:4:7: grid: has no point left. Every point is excluded: check 'exclude'."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}, when: [{if: {algorithm: zero}}]}",
      says: "x.yaml:4:45: grid.when[1]: changes nothing. Add 'parameters', 'product' or 'zip'."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}, seeds: 10000, zip: [{clients: "
        + "[1,2,3,4,5,6,7,8,9,10]}, {V: [1,2,3,4]}]}",
      says: "x.yaml:4:7: grid: has more than 200000 points. Split it into several experiments."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}, variants: {a: {}}, exclude: [{variant: b}]}",
      says: "x.yaml:4:77: grid.exclude[1].variant: is not a variant of this experiment (got 'b'). "
        + "Known are a."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\n"
        + "figures: [{id: f, x: clients, y: return, filter: {algorithm: [zero, zerro]}}]",
      says: "x.yaml:5:69: figures[1].filter.algorithm[2]: is not an algorithm of model 'toy' (got "
        + "'zerro'). Did you mean 'zero'?"),
    // Numbers that YAML versions read differently, or not at all.
    Mistake(
      body: "parameters: {clients: 010}",
      says:
        "x.yaml:4:23: parameters.clients: has a leading zero, which some programs read as octal "
        + "(got '010'). Leave the zero out."),
    Mistake(
      body: "parameters: {V: 1e400}",
      says:
        "x.yaml:4:17: parameters.V: is beyond the range of numbers (got '1e400'). The largest is "
        + "about 1.8e308."),
    Mistake(
      body: "parameters: {V: 1e-400}",
      says:
        "x.yaml:4:17: parameters.V: is beyond the range of numbers (got '1e-400'). The largest is "
        + "about 1.8e308."),
    Mistake(
      body: "parameters: {V: .nan}",
      says:
        "x.yaml:4:17: parameters.V: is not a finite number (got '.nan'). Give a finite number, or "
        + "leave the key out."),
    Mistake(
      body: "parameters: {V: -.inf}",
      says:
        "x.yaml:4:17: parameters.V: is not a finite number (got '-.inf'). Give a finite number, or "
        + "leave the key out."),
    Mistake(
      body: "parameters: {V: 0x10}",
      says: "x.yaml:4:17: parameters.V: is not a decimal number (got '0x10'). Write it in decimal "
        + "digits, or in quotation marks."),
    Mistake(
      body: "parameters: {V: 1_000}",
      says: "x.yaml:4:17: parameters.V: is not a decimal number (got '1_000'). Write it in decimal "
        + "digits, or in quotation marks."),
    Mistake(
      body: "parameters: {V: 1:30}",
      says: "x.yaml:4:17: parameters.V: is not a decimal number (got '1:30'). Write it in decimal "
        + "digits, or in quotation marks."),
    Mistake(
      body: "parameters: {V: .5}",
      says:
        "x.yaml:4:17: parameters.V: needs digits on both sides of the point (got '.5'). Write 0.5 "
        + "or 5."),
    Mistake(
      body: "parameters: {clients: 99999999999999999999}",
      says: "x.yaml:4:23: parameters.clients: is too large a whole number (got "
        + "'99999999999999999999'). Whole numbers go up to 9223372036854775807; where any number "
        + "will do, write 1e20."),
    Mistake(
      body: "grid: {seeds: '3'}",
      says: "x.yaml:4:15: grid.seeds: must be a whole number from 1 to 10000 (got '3'). "
        + "This is a text: leave the quotation marks out."),
    Mistake(body: "title: ''", says: "x.yaml:4:8: title: must not be empty."),
    // YAML.
    Mistake(
      body: "parameters:\n\tclients: 3",
      says:
        "x.yaml:5:1: is not valid YAML: found character that cannot start any token. Indent with "
        + "spaces, not tabs."),
    Mistake(
      body: "parameters: {clients: 3",
      says:
        "x.yaml:5:1: is not valid YAML: did not find expected ',' or '}'. Check the indentation, "
        + "colons, brackets and quotation marks up to here."),
    Mistake(
      body: "---\nmodel: toy",
      says:
        "x.yaml:4:1: holds a second document. Keep one experiment in a file, without '---' between "
        + "parts."),
    Mistake(
      body: "parameters: &p {V: 1}",
      says: "x.yaml:4:13: has an anchor ('&p'), which is not accepted. Write it out."),
    Mistake(
      body: "title: *t",
      says: "x.yaml:4:8: is not valid YAML: found undefined alias. Check the indentation, colons, "
        + "brackets and quotation marks up to here."),
    Mistake(
      body: "title: !!binary aGk=",
      says:
        "x.yaml:4:8: has a tag ('tag:yaml.org,2002:binary'), which is not accepted. Leave the tag "
        + "out."),
    Mistake(
      body: "title: \"a\u{1}b\"",
      says:
        "x.yaml:4:10: is not valid YAML: control characters are not allowed. Remove the character."),
    // Names, times, sizes.
    Mistake(
      body: "record: everything",
      says: "x.yaml:4:9: record: is not something to record (got 'everything'). Known are slots."),
    Mistake(
      body: "limits: {time: 2}",
      says:
        "x.yaml:4:16: limits.time: must be a number and its unit (got '2'). Write 90s, 30min, 2h "
        + "or 1d."),
    Mistake(
      body: "limits: {memory: 2GB}",
      says:
        "x.yaml:4:18: limits.memory: must be a number and its unit (got '2GB'). Write 500MiB or "
        + "2GiB."),
    // Profiles: also those that are not in use are checked.
    Mistake(
      body:
        "grid: {product: {algorithm: [zero]}}\nprofiles: {a: {}, b: {parameters: {clients: 99}}}",
      says: "x.yaml:5:45: profiles.b.parameters.clients: must be a whole number from 1 to 10 (got "
        + "'99'). The default is 3."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\nprofiles: {a: {figures: []}}",
      says:
        "x.yaml:5:16: profiles.a.figures: is not a known key. Known are trace, coordinates, net, "
        + "parameters, grid, record, limits."),
    // Figures.
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\nfigures: [{id: f, x: clints, y: return}]",
      says: "x.yaml:5:22: figures[1].x: is neither a parameter nor a column of episodes.csv (got "
        + "'clints'). Did you mean 'clients'?"),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\nfigures: [{id: f, x: clients, y: mean_dely_s}]",
      says:
        "x.yaml:5:34: figures[1].y: is not a column of episodes.csv (got 'mean_dely_s'). Did you "
        + "mean 'mean_delay_s'?"),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\n"
        + "figures: [{id: f, x: clients, y: return, reference: zeroo}]",
      says:
        "x.yaml:5:53: figures[1].reference: is not a series of the figure (got 'zeroo'). Did you "
        + "mean 'zero'?"),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\n"
        + "figures: [{id: f, x: clients, y: return, source: slots.csv}]",
      says:
        "x.yaml:5:50: figures[1].source: is written only when it is recorded (got 'slots.csv'). "
        + "Add 'record: slots'."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\n"
        + "figures: [{id: f, x: clients, y: return, smooth: 3}]",
      says:
        "x.yaml:5:50: figures[1].smooth: is for an x that is a column, such as 'episode'. Leave it "
        + "out."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\nfigures: [{id: ../f, x: clients, y: return}]",
      says: "x.yaml:5:16: figures[1].id: is not a name for a folder (got '../f'). Use up to 100 "
        + "letters, digits, '-', '_' and '.', a letter or digit first."),
    Mistake(
      body: "grid: {product: {algorithm: [zero, constant], clients: [3]}}\n"
        + "figures: [{id: f, x: clients, y: return, claims: [{series: zero, against: constant, x: 7, "
        + "improvement: 5}]}]",
      says:
        "x.yaml:5:88: figures[1].claims[1].x: is not a value of clients in the figure (got '7'). "
        + "Its values are 3."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\n"
        + "figures: [{id: a, x: clients, y: return, reference: zero},\n  "
        + "{id: a-paired, x: clients, y: return}]",
      says: "x.yaml:6:3: figures[2]: writes a-paired.csv, as the earlier figure 'a' does (got "
        + "'a-paired'). Give it another id."),
    Mistake(
      body: "grid: {product: {algorithm: [zero, constant], clients: [3]}}\n"
        + "figures: [{id: a-claims, x: clients, y: return},\n  {id: a, x: clients, y: return, "
        + "claims: [{series: zero, against: constant, x: 3, improvement: 5}]}]",
      says: "x.yaml:6:3: figures[2]: writes a-claims.csv, as the earlier figure 'a-claims' does "
        + "(got 'a'). Give it another id."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\n"
        + "figures: [{id: a, x: clients, y: return}, {id: a, x: clients, y: return}]",
      says: "x.yaml:5:43: figures[2]: has the id of an earlier figure (got 'a'). Give it another "
        + "id."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\n"
        + "figures: [{id: a, x: clients, y: [return, return]}]",
      says: "x.yaml:5:43: figures[1].y[2]: is listed twice (got 'return'). Keep one of them."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\n"
        + "figures: [{id: a, x: clients, y: return, series: [algorithm, algorithm]}]",
      says: "x.yaml:5:62: figures[1].series[2]: is listed twice (got 'algorithm'). Keep one of "
        + "them."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\nfigures: [{id: a, x: clients, y: phase}]",
      says: "x.yaml:5:34: figures[1].y: is a column of texts, which have no mean (got 'phase'). It "
        + "can be x, in series or in filter."),
    Mistake(
      body: "grid: {product: {algorithm: [zero]}}\n"
        + "figures: [{id: a, x: clients, source: backlogs.csv, y: queue}]",
      says: "x.yaml:5:56: figures[1].y: is a column of texts, which have no mean (got 'queue'). It "
        + "can be x, in series or in filter."),
    Mistake(
      body: "parameters: {evaluationEvery: 5}\ngrid: {product: {algorithm: [learner, zero]}}\n"
        + "figures: [{id: a, x: trained_episodes, source: evaluations.csv, y: return}]",
      says: "x.yaml:6:48: figures[1].source: is not written by runs of 'zero' as they are (got "
        + "'evaluations.csv'). Give learners an 'evaluationEvery' above 0, and the figure a filter "
        + "of algorithms that leaves the others out."),
    Mistake(
      body: "grid: {product: {algorithm: [learner]}}\n"
        + "figures: [{id: a, x: trained_episodes, source: evaluations.csv, y: return}]",
      says: "x.yaml:5:48: figures[1].source: is not written by runs of 'learner' as they are (got "
        + "'evaluations.csv'). Give learners an 'evaluationEvery' above 0, and the figure a filter "
        + "of algorithms that leaves the others out."),
    // Figures that no run could give a row to.
    Mistake(
      body:
        "grid: {product: {algorithm: [zero]}}\nfigures: [{id: a, x: clients, y: return, phase: train}]",
      says:
        "x.yaml:5:49: figures[1].phase: only learners train, and the figure has none, so it would have no row "
        + "(got 'train'). Take 'phase: eval', or add a learner to the grid."),
    Mistake(
      body: "grid: {product: {algorithm: [learner]}}\nfigures: [{id: a, x: clients, y: loss}]",
      says:
        "x.yaml:5:34: figures[1].y: has values in training only, so the figure would have no row (got 'loss'). "
        + "Add 'phase: train'."),
    // Ranges.
    Mistake(
      body: "grid: {product: {clients: {from: 3, to: 8, step: 2}, algorithm: [zero]}}",
      says:
        "x.yaml:4:41: grid.product.clients.to: is not reached from 3 in steps of 2. The last value would be 7."
    ),
    Mistake(
      body: "grid: {product: {V: {from: 0, to: 8, log: 3}, algorithm: [zero]}}",
      says: "x.yaml:4:28: grid.product.V.from: must be above 0 in a logarithmic range (got '0')."),
    Mistake(
      body: "parameters: !!map {V: 1}",
      says: "x.yaml:4:13: has a tag, which is not accepted. Leave the tag out."),
  ]

  @Test func rangesAreWrittenOut() throws {
    let text =
      ExperimentFileTests.head + """
        grid:
          product: {clients: {from: 3, to: 5}, V: {from: 0.1, to: 1000, log: 5}, algorithm: [zero]}
          seeds: 1

        """
    let experiment = try Experiment(text: text, file: "x.yaml", models: ToyModel.models)
    func values(_ key: String) -> [String] {
      var texts: [String] = []
      for text in experiment.points.compactMap({ $0[key]?.value.text }) where !texts.contains(text)
      {
        texts.append(text)
      }
      return texts
    }
    #expect(values("clients") == ["3", "4", "5"])
    #expect(values("V") == ["0.1", "1", "10", "100", "1000"])
  }

  /// Each once, without those that only follow from another one.
  @Test func everyMistakeOfAFileIsListed() throws {
    let text = """
      experiment: bad name
      model: toy
      trace: t.xml
      parametrs: {V: 1}
      parameters: {V: ten}
      grid:
        product: {clients: [3, three], algorithm: [zeroo]}
        seeds: 0
      figures:
        - {id: d, x: clients, y: mean_dely_s, reference: zero}
        - {id: e, y: return}

      """
    let mistakes = Experiment.mistakes(
      root: try YAMLNode(text: text, file: "x.yaml"), profile: nil, settings: [],
      models: ToyModel.models)
    #expect(
      mistakes.compactMap(\.line) == [4, 1, 5, 7, 7, 8, 10, 11, 3],
      "\(mistakes.map(\.description).joined(separator: "\n"))")
  }

  @Test func settingsOfTheCommandLineReplaceThoseOfTheFile() throws {
    let text =
      ExperimentFileTests.head + """
        parameters: {V: 3}
        grid: {product: {clients: [3, 4], algorithm: [zero]}, seeds: 2}

        """
    let root = try YAMLNode(text: text, file: "x.yaml").mapping()
    func points(_ settings: [String]) throws -> [String] {
      let experiment = try Experiment(
        root: root, profile: nil, settings: settings.map { try PointFilter($0, option: "--set") },
        models: ToyModel.models)
      return experiment.points.map { point in
        (point.settings + experiment.parameters).map { "\($0.key)=\($0.value.text)" }
          .joined(separator: " ")
      }
    }
    #expect(try points(["clients=9", "seeds=1"]) == ["clients=9 algorithm=zero seed=1 V=3"])
    #expect(
      try points(["V=1,2", "clients=3", "seeds=1"]).count == 2)
    let says = sentence { _ = try points(["clients=none"]) }
    #expect(says.hasPrefix("--set clients: must be"), "\(says)")
  }

  @Test(arguments: mistakes) func mistakeIsExplained(_ mistake: Mistake) {
    #expect(ExperimentFileTests.read(ExperimentFileTests.head + mistake.body) == mistake.says)
  }

  @Test func wholeFileMistakes() {
    #expect(
      ExperimentFileTests.read("")
        == "x.yaml: is empty. An experiment needs at least 'experiment' and 'model'.")
    #expect(
      ExperimentFileTests.read("# nothing\n")
        == "x.yaml: is empty. An experiment needs at least 'experiment' and 'model'.")
    #expect(
      ExperimentFileTests.read("- a\n")
        == "x.yaml:1:1: must be a mapping (lines of 'key: value') (got 'a list').")
    #expect(
      ExperimentFileTests.read("model: toy\n")
        == "x.yaml:1:1: has no key 'experiment'. Name it; results go to the folder of that name.")
    #expect(
      ExperimentFileTests.read("experiment: a/b\nmodel: toy")
        == "x.yaml:1:13: experiment: is not a name for a folder (got 'a/b'). Use up to 100 letters, "
        + "digits, '-', '_' and '.', a letter or digit first.")
    #expect(
      ExperimentFileTests.read("experiment: a\nmodel: ty")
        == "x.yaml:2:8: model: is not a model (got 'ty'). Did you mean 'toy'?")
    #expect(
      ExperimentFileTests.read(ExperimentFileTests.head, profile: "quick")
        == "--profile: is not a profile of x.yaml (got 'quick'). It has none.")
  }

  @Test func bombsAndHugeFilesEndAtOnce() {
    var bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for level in 1..<9 {
      let alias = "*a\(level - 1)"
      bomb += "a\(level): &a\(level) [" + Array(repeating: alias, count: 9).joined(separator: ", ")
      bomb += "]\n"
    }
    #expect(
      ExperimentFileTests.read(bomb)
        == "x.yaml:3:45: uses aliases ('*name'), which are not accepted. Write the values out.")
    #expect(
      ExperimentFileTests.read("a: " + String(repeating: "[", count: 100_000))
        == "x.yaml:1:68: has more than 64 open brackets. Close them.")
    let nested = (0..<40).map { String(repeating: " ", count: $0) + "a:\n" }.joined()
    #expect(
      ExperimentFileTests.read(nested)
        == "x.yaml:33:33: is nested deeper than 32 levels. Check the indentation.")
    #expect(
      ExperimentFileTests.read(String(repeating: "# padding\n", count: 200_000))
        == "x.yaml: is larger than 1048576 bytes. An experiment file holds a description, no data.")
    #expect(
      sentence { _ = try Experiment(path: "/dev/zero", models: ToyModel.models) }
        == "/dev/zero: is not a regular file. Give the path of a file.")
    #expect(
      sentence { _ = try Experiment(path: "/nowhere/x.yaml", models: ToyModel.models) }
        == "/nowhere/x.yaml: cannot open: No such file or directory. Check the path.")
  }

  @Test func plainScalarsAreReadAsWritten() throws {
    for (text, value) in [
      ("3", ParameterValue.integer(3)), ("-3", .integer(-3)), ("+3", .integer(3)),
      ("0", .integer(0)), ("0.5", .number(0.5)), ("1e3", .number(1000)), ("2.50", .number(2.5)),
      ("true", .flag(true)), ("none", .none), ("null", .none), ("yes", .text("yes")),
      ("True", .text("True")), ("p1-fig8a", .text("p1-fig8a")), ("5GHz", .text("5GHz")),
      ("2026-01-02", .text("2026-01-02")), ("0e-9", .number(0)),
    ] {
      #expect(try ParameterValue(plain: text) == value, "\(text)")
    }
  }

  @Test func quotedScalarsAreTextAndNoneSuitsChoices() throws {
    #expect(
      ExperimentFileTests.read(ExperimentFileTests.head + "parameters: {clients: '3'}")
        == "x.yaml:4:23: parameters.clients: must be a whole number from 1 to 10 (got '3'). "
        + "This is a text: leave the quotation marks out.")
    let experiment = try Experiment(
      text: ExperimentFileTests.head + "parameters: {algorithm: learner, clip: none}\n",
      file: "x.yaml", models: ToyModel.models)
    #expect(experiment.parameters[1].value == .text("none"))
  }

  @Test func limitsHaveUnits() throws {
    let experiment = try Experiment(
      text: ExperimentFileTests.head
        + "parameters: {algorithm: zero}\nlimits: {time: 1.5h, memory: 2GiB}\n",
      file: "x.yaml", models: ToyModel.models)
    #expect(experiment.limits == RunLimits(time: 5400, memory: 2048))
  }

  @Test func registeredModelsGiveEveryParameterOneMeaning() {
    for model in Models.all {
      for algorithm in model.algorithms {
        let keys = model.schema(of: algorithm).map(\.key)
        let repeated = keys.filter { key in keys.count { $0 == key } > 1 }
        #expect(repeated == [], "\(model.name) \(algorithm.name)")
        #expect(Set(keys).isDisjoint(with: AnyModel.selectors + ["checkpointEvery"]))
      }
      #expect(Set(model.algorithms.map(\.name)).count == model.algorithms.count)
    }
  }
}

/// The files that the project ships.
@Suite struct ShippedExperimentTests {
  static func files(in folder: String) throws -> [String] {
    try Files.list(folder).flatMap { name -> [String] in
      let path = "\(folder)/\(name)"
      if Files.isFolder(path) { return try files(in: path) }
      // The list of published claims is no experiment.
      return name.hasSuffix(".yaml") && name != "claims.yaml" ? [path] : []
    }
  }

  @Test func everyFileIsValidInEveryProfile() throws {
    let files = try ShippedExperimentTests.files(in: Shipped.experiments)
    #expect(files.count >= 6)
    var names: Set<String> = []
    for file in files {
      let experiment = try Experiment(path: file)
      #expect(names.insert(experiment.name).inserted, "\(file)")
      #expect(!experiment.figures.isEmpty, "\(file)")
      for trace in experiment.traces { #expect(Files.exists(trace.path), "\(file)") }
      for profile in experiment.profiles {
        #expect(try Experiment(path: file, profile: profile).profile == profile, "\(file)")
      }
    }
  }
}
