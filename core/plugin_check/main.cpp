// berth-plugin-check: whether a plugin keeps to the ABI's rules.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/installed_program.hpp"
#include "plugin_check/child.hpp"
#include "plugin_check/memory.hpp"
#include "plugin_check/report.hpp"
#include "plugin_check/runner.hpp"
#include "plugins/library.hpp"

namespace berth::check {
namespace {

using support::strCat;

enum ExitCode { kAllPassed = 0, kSomeFailed = 1, kUsage = 2 };

struct Arguments {
  Settings settings;
  std::string config, junit, memory = "auto", isolation = "none";
  std::vector<std::string> only;
  bool list = false;
};

int usageError(std::string_view message) {
  std::cerr << "berth-plugin-check: " << message << "\n";
  return kUsage;
}

void declare(CLI::App& app, Arguments& arguments) {
  Settings& settings = arguments.settings;
  app.add_option("FILE", settings.file, "The plugin's shared object");
  app.add_option("--config", arguments.config,
                 "A file with the plugin's options: TOML, or JSON when its name ends in .json");
  app.add_option("--set", settings.sets, "One option: KEY=VALUE")->allow_extra_args(false);
  app.add_option("--junit", arguments.junit, "Write the results as JUnit XML to this file");
  app.add_option("--time-limit", settings.timeLimit, "Seconds that each check may take")
      ->check(CLI::Range(1, 86400));
  app.add_option("--only", arguments.only,
                 "Run this check alone, or those whose names begin so; may be repeated")
      ->allow_extra_args(false);
  app.add_flag("--list", arguments.list, "Show the checks and what each verifies");
  app.add_option("--memory", arguments.memory,
                 "Run checks of memory under valgrind: auto (where it is installed), always, never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_option("--extension", settings.extensions,
                 "The id of an extension that the plugin is to offer, its vendor's own too")
      ->allow_extra_args(false);
  app.add_option("--isolation", arguments.isolation,
                 "Where the plugin is while it is checked, as a configuration says: none, process")
      ->check(CLI::IsMember({"none", "process"}));
  app.add_option("--rootfs", settings.rootfs,
                 "Runtimes: the root filesystem of containers; needs a shell in /bin/sh");
  app.add_option("--cgroup-parent", settings.cgroupParent,
                 "Runtimes: the cgroup, or slice, below which those of pods are made");
  app.add_option("--cgroup-driver", settings.cgroupDriver, "Runtimes: cgroupfs or systemd")
      ->check(CLI::IsMember({"cgroupfs", "systemd"}));
  app.add_option("--host-interface", settings.hostInterfaces,
                 "Networks: an interface to be made in the namespace that stands for the host's")
      ->allow_extra_args(false);
  app.add_option("--reference", settings.reference, "Image sources: an image that is there");
  app.add_option("--unknown-reference", settings.unknownReference,
                 "Image sources: an image that is not there");
}

bool wanted(const Check& check, const std::vector<std::string>& only) {
  return only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& name) {
           return check.name == name || check.name.starts_with(name + ".");
         });
}

// The checks of the plugin's kind, as it declares it, and of --only.
std::vector<Check> choose(const Arguments& arguments, std::optional<plugins::Kind> kind) {
  std::vector<Check> chosen;
  for (const Check& check : allChecks()) {
    const bool ofKind = !check.kind.has_value() || arguments.list || check.kind == kind;
    if (ofKind && wanted(check, arguments.only)) chosen.push_back(check);
  }
  return chosen;
}

int check(Arguments& arguments) {
  Settings& settings = arguments.settings;
  // Of this run alone: runs side by side would each leave a common one to the other.
  if (settings.cgroupParent.empty())
    settings.cgroupParent = strCat("/berth-plugin-check-", ::getpid());
  std::error_code error;
  const std::string given = settings.file;
  settings.file = std::filesystem::canonical(given, error).string();
  if (error) return usageError(strCat(given, ": ", error.message()));
  if (!arguments.config.empty()) {
    auto options = readOptions(arguments.config);
    if (!options.ok()) return usageError(support::fromAbsl(options.status().message()));
    settings.options = *std::move(options);
  }
  if (const auto options = optionsOf(settings, "[]"); !options.ok())
    return usageError(support::fromAbsl(options.status().message()));
  const std::string valgrind = findValgrind();
  if (arguments.memory == "always" && valgrind.empty())
    return usageError("--memory=always: valgrind is not installed");
  if (arguments.memory != "never" && !valgrind.empty()) settings.valgrind = {valgrind};
  const std::optional<plugins::Kind> kind = askKind(settings.file);
  if (kind.has_value()) settings.interfaceId = plugins::interfaceId(*kind);
  if (arguments.isolation == "process") {
    auto program = common::installedProgram("berth-plugin-host");
    if (!program.ok())
      return usageError(
          strCat("--isolation=process: ", support::fromAbsl(program.status().message()),
                 "; it comes with the daemon"));
    settings.pluginHost = *std::move(program);
  }

  const std::vector<Check> checks = choose(arguments, kind);
  if (checks.empty()) return usageError("--only: no check of this plugin has that name");
  size_t width = 0;
  for (const Check& one : checks) width = std::max(width, one.name.size());
  const auto results = runChecks(checks, settings, [&](const Result& result) {
    std::cout << tableRow(result, width) << std::flush;
  });
  if (!results.ok()) return usageError(support::fromAbsl(results.status().message()));
  std::cout << "\n" << settings.file << ": " << summary(*results) << "\n";
  if (!arguments.junit.empty()) {
    const absl::Status written = support::replaceFile(
        arguments.junit, junit(settings.file, *results), 0644, support::Durability::kVisible);
    if (!written.ok()) return usageError(support::fromAbsl(written.message()));
  }
  const bool failed = std::any_of(results->begin(), results->end(), [](const Result& result) {
    return result.outcome == Outcome::kFailed;
  });
  return failed ? kSomeFailed : kAllPassed;
}

int run(int argc, char** argv) {
  if (isChild(argc, argv)) return runChild(argc, argv);
  if (isKindQuestion(argc, argv)) return answerKind(argv[2]);
  // Who reads what is printed may stop reading; there is a folder to remove all the same.
  ::signal(SIGPIPE, SIG_IGN);
  Arguments arguments;
  CLI::App app("Checks whether a plugin keeps to the rules of Berth's plugin ABI.");
  app.set_version_flag("--version", strCat("berth-plugin-check ", BERTH_VERSION));
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kAllPassed : kUsage;
  }
  if (arguments.list) {
    const std::vector<Check> checks = choose(arguments, std::nullopt);
    if (checks.empty()) return usageError("--only: no check has that name");
    std::cout << checkList(checks);
    return kAllPassed;
  }
  if (arguments.settings.file.empty()) return usageError("FILE is missing; see --help");
  return check(arguments);
}

}  // namespace
}  // namespace berth::check

int main(int argc, char** argv) {
  return berth::check::run(argc, argv);
}
