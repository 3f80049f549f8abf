// berth-plugin-new: `berth plugin new` where the SDK is installed and the engine is not.
#include <iostream>

#include <CLI/CLI.hpp>

#include "berth/support/status.hpp"
#include "main/options.hpp"
#include "main/plugin_arguments.hpp"

namespace berth::program {

int fail(const absl::Status& status) {
  std::cerr << "berth-plugin-new: " << support::fromAbsl(status.message()) << "\n";
  return 1;
}

}  // namespace berth::program

int main(int argc, char** argv) {
  CLI::App app("Begins the project of a plugin of Berth: code, test and packaging.",
               "berth-plugin-new");
  app.set_version_flag("--version", "berth-plugin-new " BERTH_VERSION, "Print the version");
  berth::program::PluginProject project;
  berth::program::declareArguments(app, project);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return berth::program::newPlugin(project);
}
