import Foundation
import Support
import Testing

/// `Scripts/install program`: what it installs runs without the project.
@Suite(.enabled(if: Program.canRun, "the program or the shipped trace is missing"))
final class InstallTests {
  private let folder = NSTemporaryDirectory() + "veclab-\(UUID().uuidString.prefix(8))"
  private var prefix: String { folder + "/pre fix" }
  private var share: String { prefix + "/share/veclab" }

  init() throws { try Files.makeFolder(folder + "/work") }
  deinit { try? Files.remove(folder) }

  private func install() async throws {
    let outcome = try await Program.command(
      Program.package + "/Scripts/install",
      ["program", "--prefix", prefix, "--program", Program.path])
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("\(prefix)/bin/veclab: veclab "), "\(outcome.output)")
  }

  /// Runs a line in the working folder, with `$1` the prefix; the project is hidden where that is permitted.
  private func away(_ line: String) async throws -> Program.Outcome {
    let hidden =
      await Program.canMountPrivately()
      ? "mount -t tmpfs veclab \"$2\" || exit 99\n" : ""
    return try await Program.command(
      hidden.isEmpty ? "env" : "unshare",
      (hidden.isEmpty ? [] : ["-m"]) + [
        "bash", "-c", hidden + "cd \"$3\" && export PATH=\"$1/bin:$PATH\"\n" + line, "bash", prefix,
        Program.package, folder + "/work",
      ])
  }

  @Test func whatIsInstalledRunsWithoutTheProject() async throws {
    try await install()
    // Installing again replaces it.
    try Files.writeAtomically("old", to: share + "/Experiments/old.yaml")
    try await install()
    #expect(!Files.exists(share + "/Experiments/old.yaml"))
    try Files.writeAtomically(
      """
      experiment: tiny
      model: single-rsu
      trace: \(share)/Traces/motorway.fcd.xml.gz
      parameters: {clients: 2, serviceVehicles: 2, slots: 5, evaluationEpisodes: 2, dnnTypes: [vgg16]}
      grid: {product: {algorithm: [greedy, local-only], V: [1, 10]}}
      figures: [{id: delay, x: V, series: algorithm, y: mean_delay_s}]
      """, to: folder + "/work/tiny.yaml")
    let outcome = try await away(
      "veclab plan tiny.yaml && veclab run tiny.yaml --workers 1 && veclab figures tiny.yaml")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("4 runs, 0 done"), "\(outcome.output)")
    let figure = try CSVTable(path: folder + "/work/Results/tiny/figures/delay.csv")
    #expect(figure.rows.count == 4)

    guard try await away("/usr/bin/python3 -c 'import matplotlib'").code == 0 else { return }
    let drawn = try await away("veclab-plot Results/tiny/figures --format png")
    #expect(drawn.code == 0, "\(drawn.errors)")
    #expect(Files.exists(folder + "/work/Results/tiny/figures/delay-mean_delay_s.png"))
    guard try await away("/usr/bin/python3 -c 'import jinja2, yaml'").code == 0 else { return }
    let report = try await away("veclab-report tiny.yaml -o report.html")
    #expect(report.code == 0, "\(report.errors)")
    #expect(Files.exists(folder + "/work/report.html"))
  }

  @Test func aProgramAloneSaysHowToPointToItsData() async throws {
    try await install()
    try Files.makeFolder(folder + "/alone")
    let copy = try await away("cp \"$1/bin/veclab\" ../alone/veclab")
    #expect(copy.code == 0)
    for command in ["dnn", "dnn vgg16", "bench tasks --seconds 0.1"] {
      let alone = try await away("../alone/veclab \(command)")
      #expect(alone.code == 1, "\(command)")
      #expect(
        alone.errors.contains(
          "Set VECLAB_DATA to the project's folder, or to share/veclab of an installed program."),
        "\(command): \(alone.errors)")
      let pointed = try await away("VECLAB_DATA=\"$1/share/veclab\" ../alone/veclab \(command)")
      #expect(pointed.code == 0, "\(command): \(pointed.errors)")
    }
  }

  @Test func completionsAreInstalledForThreeShells() async throws {
    try await install()
    let bash = prefix + "/share/bash-completion/completions/veclab"
    let outcome = try await away(
      "source '\(bash)' && complete -p veclab && COMP_WORDS=(veclab eval) COMP_CWORD=1 && _veclab && echo \"${COMPREPLY[@]}\""
    )
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("evaluate"), "\(outcome.output)")
    #expect(
      try Files.readText(prefix + "/share/zsh/site-functions/_veclab").hasPrefix("#compdef veclab"))
    let fish = try Files.readText(prefix + "/share/fish/vendor_completions.d/veclab.fish")
    #expect(fish.contains("complete -c 'veclab' "))
  }

  @Test func wrongArgumentsAreRefused() async throws {
    for (arguments, word) in [
      ([], "--prefix"), (["--prefix"], "needs a value"), (["--nope"], "unknown argument"),
      (
        ["--prefix", folder + "/x", "--program", folder + "/nothing"],
        "is not a program that can be run"
      ),
    ] {
      let outcome = try await Program.command(
        Program.package + "/Scripts/install", ["program"] + arguments)
      #expect(outcome.code != 0 && outcome.errors.contains(word), "\(outcome)")
    }
    #expect(try Files.list(folder) == ["work"])
  }
}
