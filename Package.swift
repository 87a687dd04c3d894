// swift-tools-version: 6.3
import PackageDescription

let swiftSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InferIsolatedConformances"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("ImmutableWeakCaptures"),
]

let package = Package(
  name: "VECLab",
  products: [.executable(name: "veclab", targets: ["veclab"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
    .package(url: "https://github.com/apple/swift-system", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    .systemLibrary(
      name: "CLibXML2", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .target(name: "CProcess"),
    .target(name: "CKernels"),
    .target(name: "CScanner"),

    .plugin(name: "BuildCommitPlugin", capability: .buildTool(), path: "Sources/BuildCommitPlugin"),
    .target(name: "BuildCommit", plugins: ["BuildCommitPlugin"]),

    .target(name: "Support", dependencies: ["CCrypto"]),
    .target(name: "Trace", dependencies: ["Support"]),
    .target(
      name: "TraceImport", dependencies: ["Trace", "Support", "CScanner", "CLibXML2", "CZlib"]),
    .target(name: "Simulation", dependencies: ["Trace", "Support"]),
    .target(name: "Neural", dependencies: ["CKernels", "Support"]),
    .target(name: "Algorithms", dependencies: ["Neural", "Simulation", "Support"]),
    .target(
      name: "Plan",
      dependencies: ["Algorithms", "Simulation", "Trace", "TraceImport", "Support", "Yams"]),
    .target(
      name: "ExternalAgents",
      dependencies: [
        "Plan", "Algorithms", "Simulation", "Support", "CProcess",
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .target(
      name: "Runs",
      dependencies: [
        "ExternalAgents", "Plan", "Algorithms", "Neural", "Simulation", "Trace", "Support",
        "BuildCommit", "CProcess",
        .product(name: "Logging", package: "swift-log"),
      ]),
    .target(name: "Figures", dependencies: ["Plan", "Simulation", "Support"]),
    .target(
      name: "Sweep",
      dependencies: [
        "Runs", "ExternalAgents", "Plan", "Support", "CProcess",
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ]),
    .executableTarget(
      name: "veclab",
      dependencies: [
        "Sweep", "Figures", "Runs", "ExternalAgents", "Plan", "Algorithms", "Neural", "Simulation",
        "TraceImport",
        "Trace", "Support",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "Logging", package: "swift-log"),
      ]),

    .testTarget(name: "SupportTests", dependencies: ["Support"]),
    .testTarget(name: "TraceTests", dependencies: ["Trace", "Support"]),
    .testTarget(
      name: "TraceImportTests", dependencies: ["TraceImport", "Trace", "Support", "CZlib"]),
    .testTarget(name: "SimulationTests", dependencies: ["Simulation", "Trace", "Support"]),
    .testTarget(name: "NeuralTests", dependencies: ["Neural", "CKernels", "Support"]),
    .testTarget(
      name: "AlgorithmsTests",
      dependencies: ["Algorithms", "Neural", "Simulation", "Trace", "Support"]),
    .target(
      name: "TestSupport",
      dependencies: ["Sweep", "Runs", "Plan", "Algorithms", "Simulation", "Trace", "Support"],
      path: "Tests/TestSupport"),
    .testTarget(
      name: "PlanTests", dependencies: ["Plan", "Support", "TestSupport"]),
    .testTarget(
      name: "RunsTests",
      dependencies: ["Sweep", "Runs", "Plan", "Neural", "Simulation", "Support", "TestSupport"]),
    .testTarget(
      name: "SweepTests", dependencies: ["Sweep", "Runs", "Plan", "Support", "TestSupport"]),
    .testTarget(
      name: "FiguresTests", dependencies: ["Figures", "Runs", "Plan", "Support", "TestSupport"]),
    .testTarget(
      name: "EndToEndTests",
      dependencies: [
        "veclab", "Support", .product(name: "Subprocess", package: "swift-subprocess"),
      ]),
  ]
)

for target in package.targets where [.regular, .executable, .test].contains(target.type) {
  if !["CKernels", "CProcess", "CScanner"].contains(target.name) {
    target.swiftSettings = swiftSettings
  }
}
