import Foundation
import PackagePlugin

/// Writes the commit that the sources are at into the target that it is used by, at the start of every build.
@main
struct BuildCommitPlugin: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    let folder = context.pluginWorkDirectoryURL
    let script = context.package.directoryURL.appending(path: "Scripts/write-commit")
    return [
      .prebuildCommand(
        displayName: "Commit of the sources", executable: URL(filePath: "/bin/sh"),
        arguments: [script.path(), folder.appending(path: "BuildCommit.swift").path()],
        outputFilesDirectory: folder)
    ]
  }
}
