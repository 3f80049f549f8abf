// The subcommands of `berth` with their options: one table for parsing, help and completion.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "main/options.hpp"

namespace berth::program {

class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  CLI::App& app() { return app_; }
  // What to say of the first word of a command line that is no command where one must stand;
  // empty when there is none.
  std::string wrongCommand(int argc, const char* const* argv) const;
  // Runs the subcommand that was parsed; returns the exit code.
  int run() const;

 private:
  using Run = std::function<int()>;
  CLI::App* add(CLI::App* parent, const std::string& name, const std::string& help, Run run);
  CLI::App* withConfig(CLI::App* command);
  CLI::App* withDaemon(CLI::App* command);
  void addConfigOption(CLI::App* app);
  void addCheck();
  void addConfig();
  void addExplain();
  void addNetwork();
  void addPlugin();
  void addImages();

  CLI::App app_;
  ConfigOptions options_;
  CheckOptions wanted_;
  ConfigCheckOptions configCheck_;
  ExplainOptions explained_;
  PluginProject project_;
  ImageOptions images_;
  ImportOptions import_;
  std::string shell_;
  std::string plugin_;
  std::string pod_;
  std::vector<std::pair<CLI::App*, Run>> commands_;
};

}  // namespace berth::program
