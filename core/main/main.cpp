// `berth` with its subcommands; called as `berthd` it serves.
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "main/command_line.hpp"
#include "main/print.hpp"

namespace {

bool calledAsDaemon(std::string_view name) {
  const size_t slash = name.rfind('/');
  return (slash == std::string_view::npos ? name : name.substr(slash + 1)) == "berthd";
}

int runDaemon(int argc, char** argv) {
  CLI::App app("berthd: the Berth container engine", "berthd");
  berth::program::ConfigOptions options;
  app.add_option("--config", options.file, "configuration file, instead of /etc/berth/berth.toml");
  app.set_version_flag("--version", BERTH_VERSION);
  CLI11_PARSE(app, argc, argv);
  return berth::program::serve(options);
}

int runCommand(int argc, char** argv) {
  berth::program::CommandLine line;
  if (const std::string wrong = line.wrongCommand(argc, argv); !wrong.empty()) {
    berth::program::printError("berth: %s\n", wrong.c_str());
    return static_cast<int>(CLI::ExitCodes::ExtrasError);
  }
  CLI11_PARSE(line.app(), argc, argv);
  return line.run();
}

}  // namespace

int main(int argc, char** argv) {
  return calledAsDaemon(argv[0]) ? runDaemon(argc, argv) : runCommand(argc, argv);
}
