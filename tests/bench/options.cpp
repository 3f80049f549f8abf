#include "options.hpp"

#include <algorithm>
#include <iostream>

#include <CLI/CLI.hpp>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include "berth/support/status.hpp"

namespace berth::bench {
namespace {

// The texts of options whose values have a form of their own, before they are parsed.
struct RawOptions {
  std::vector<std::string> attached;
  std::vector<std::string> started;
  std::vector<std::string> registries;
  std::vector<std::string> suites;
  std::string berthBinary;
  bool containerd = false;
};

// "NAME=VALUE,key=value,…": the name, the value, and the rest.
struct Assignment {
  std::string name;
  std::string value;
  std::vector<std::pair<std::string, std::string>> settings;
};

absl::StatusOr<Assignment> parseAssignment(absl::string_view option, const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& part : parts) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (pair.first.empty() || pair.second.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(option, " ", text, ": \"", part, "\" is not of the form NAME=VALUE"));
    }
    pairs.push_back(pair);
  }
  Assignment assignment{pairs.front().first, pairs.front().second, {}};
  assignment.settings.assign(pairs.begin() + 1, pairs.end());
  return assignment;
}

absl::Status unknownSetting(absl::string_view option, const std::string& text,
                            const std::string& key, absl::string_view known) {
  return absl::InvalidArgumentError(
      absl::StrCat(option, " ", text, ": unknown setting \"", key, "\"; known: ", known));
}

absl::Status applyRaw(const RawOptions& raw, Options& options) {
  if (raw.containerd) {
    options.engines.push_back(
        {.name = "containerd", .kind = EngineKind::kContainerd, .binary = "containerd"});
  }
  if (!raw.berthBinary.empty()) {
    options.engines.push_back(
        {.name = "berth", .kind = EngineKind::kBerth, .binary = raw.berthBinary});
  }
  for (const std::string& text : raw.started) {
    BERTH_ASSIGN_OR_RETURN(auto spec, parseStartedEngine(text));
    options.engines.push_back(std::move(spec));
  }
  for (const std::string& text : raw.attached) {
    BERTH_ASSIGN_OR_RETURN(auto spec, parseAttachedEngine(text));
    options.engines.push_back(std::move(spec));
  }
  for (const std::string& text : raw.registries) {
    BERTH_ASSIGN_OR_RETURN(auto registry, parseRegistry(text));
    options.registries.push_back(std::move(registry));
  }
  options.suites = {raw.suites.begin(), raw.suites.end()};
  return completeOptions(options);
}

void declare(CLI::App& app, RawOptions& raw, Options& options) {
  app.add_option("--engine", raw.attached,
                 "A running engine: NAME=unix:///path[,handler=H][,pid=P] (repeatable)");
  app.add_option("--start", raw.started,
                 "An engine to start: NAME=containerd|berth[:BINARY][,handler=H] (repeatable)");
  app.add_flag("--containerd", raw.containerd, "Short for --start containerd=containerd");
  app.add_option("--berth-binary", raw.berthBinary, "Short for --start berth=berth:BINARY");
  app.add_option("--berth-plugins", options.berthPlugins,
                 "Folder of Berth's plugins (default: as built into it)");
  app.add_option("--baseline", options.baseline, "The engine that ratios are taken to");
  app.add_option("--suites", raw.suites, "Which suites to run (default: all that can run)")
      ->delimiter(',');
  app.add_option("--image", options.image,
                 "The pods' image; needs /bin/sleep and /bin/true, for streams sh and dd")
      ->required();
  app.add_option("--sandbox-image", options.sandboxImage,
                 "The pause image of peers that have one (default: the pods' image)");
  app.add_option("--pull-image", options.pullImage,
                 "The image of the suites pull (default: the pods' image) and removal");
  app.add_option("--registry", raw.registries,
                 "HOST=URL: where images of HOST are fetched from by engines that the bench "
                 "starts (repeatable)");
  app.add_option("--rounds", options.rounds, "Rounds of the pod cycle")
      ->check(CLI::Range(1, 100000));
  app.add_option("--warmup", options.warmup, "Rounds not counted")->check(CLI::Range(0, 1000));
  app.add_option("--parallel-rounds", options.parallelRounds)->check(CLI::Range(1, 1000));
  app.add_option("--parallel-pods", options.parallelPods)->check(CLI::Range(1, 2000));
  app.add_option("--parallel-width", options.parallelWidth)->check(CLI::Range(1, 256));
  app.add_option("--pods", options.pods, "Pods of density, stats, idle and restart")
      ->check(CLI::Range(1, 2000));
  app.add_option("--stats-rounds", options.statsRounds)->check(CLI::Range(1, 100000));
  app.add_option("--idle-rounds", options.idleRounds, "Of twenty seconds for each engine")
      ->check(CLI::Range(1, 1000));
  app.add_option("--restart-rounds", options.restartRounds)->check(CLI::Range(1, 1000));
  app.add_option("--pull-rounds", options.pullRounds)->check(CLI::Range(1, 1000));
  app.add_option("--removal-rounds", options.removalRounds)->check(CLI::Range(1, 1000));
  app.add_option("--exec-rounds", options.execRounds)->check(CLI::Range(1, 100000));
  app.add_option("--created", options.createdContainers, "Containers of the suite created")
      ->check(CLI::Range(1, 20000));
  app.add_option("--stream-rounds", options.streamRounds)->check(CLI::Range(1, 1000));
  app.add_option("--stream-mib", options.streamMebibytes, "Output of a command in streams, in MiB")
      ->check(CLI::Range(8, 1 << 20));
  app.add_option("--settle-ms", options.settleMilliseconds,
                 "Rest before a memory reading, in milliseconds")
      ->check(CLI::Range(0, 600000));
  app.add_option("--helper", options.helpers,
                 "A further program name that counts as an engine's helper (repeatable)");
  app.add_option(
      "--rootfs", options.rootfs,
      "A root file system for timing the bare runtime and CNI plugins beside the engines, in "
      "cycle, hostnet and parallel");
  app.add_option("--runc", options.runc, "The OCI runtime binary for all");
  app.add_option("--cni-bin-dir", options.cniBinDirectory);
  app.add_option("--subnet", options.subnet, "First two octets of the networks that it makes");
  app.add_option("--cgroup-parent", options.cgroupParent, "The pods' cgroup parent");
  app.add_option("--work-dir", options.workDirectory, "Where the run's own folder is made");
  app.add_option("--json", options.jsonFile, "Write the results as JSON");
  app.add_option("--markdown", options.markdownFile, "Write the tables to a file too");
}

bool validSubnet(const std::string& text) {
  const std::vector<std::string> octets = absl::StrSplit(text, '.');
  return octets.size() == 2 && std::all_of(octets.begin(), octets.end(), [](const auto& octet) {
           int value = -1;
           return absl::SimpleAtoi(octet, &value) && value >= 0 && value <= 255;
         });
}

absl::Status checkNames(const Options& options) {
  std::set<std::string> names;
  for (const EngineSpec& spec : options.engines) {
    const bool plain = std::all_of(spec.name.begin(), spec.name.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '-' || c == '.';
    });
    if (!plain) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the engine name \"", spec.name, "\" may only hold letters, digits, '-' and '.'"));
    }
    if (spec.name == kBare || !names.insert(spec.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("the engine name \"", spec.name, "\" is taken; choose another"));
    }
  }
  if (!options.baseline.empty() && !names.contains(options.baseline)) {
    return absl::InvalidArgumentError(absl::StrCat("--baseline ", options.baseline,
                                                   ": no engine has that name; there are ",
                                                   absl::StrJoin(names, ", ")));
  }
  return absl::OkStatus();
}

absl::Status checkSuites(Options& options) {
  const std::vector<std::string>& known = knownSuites();
  // What is removed must not be the pods' own.
  const bool canRemove = options.pullImage != options.image;
  if (options.suites.empty()) {
    options.suites = {known.begin(), known.end()};
    if (!canRemove) options.suites.erase("removal");
  } else if (options.suites.contains("removal") && !canRemove) {
    return absl::InvalidArgumentError("--suites removal: needs --pull-image, and not the pods'");
  }
  for (const std::string& suite : options.suites) {
    if (std::find(known.begin(), known.end(), suite) == known.end()) {
      return absl::InvalidArgumentError(absl::StrCat("--suites: unknown suite \"", suite,
                                                     "\"; known: ", absl::StrJoin(known, ", ")));
    }
  }
  return absl::OkStatus();
}

}  // namespace

const std::vector<std::string>& knownSuites() {
  static const std::vector<std::string> names{"cycle",   "hostnet", "exec",    "parallel",
                                              "density", "stats",   "idle",    "restart",
                                              "created", "pull",    "removal", "streams"};
  return names;
}

absl::StatusOr<EngineSpec> parseAttachedEngine(const std::string& text) {
  BERTH_ASSIGN_OR_RETURN(const Assignment parsed, parseAssignment("--engine", text));
  absl::string_view socket = parsed.value;
  if (!absl::ConsumePrefix(&socket, "unix://") || !absl::StartsWith(socket, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--engine ", text, ": the address must be unix:///an/absolute/path"));
  }
  EngineSpec spec{.name = parsed.name, .socket = std::string(socket)};
  for (const auto& [key, value] : parsed.settings) {
    pid_t pid = 0;
    if (key == "handler") {
      spec.handler = value;
    } else if (key != "pid") {
      return unknownSetting("--engine", text, key, "handler, pid");
    } else if (absl::SimpleAtoi(value, &pid) && pid > 0) {
      spec.pid = pid;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("--engine ", text, ": \"", value, "\" is no process id"));
    }
  }
  return spec;
}

absl::StatusOr<EngineSpec> parseStartedEngine(const std::string& text) {
  BERTH_ASSIGN_OR_RETURN(const Assignment parsed, parseAssignment("--start", text));
  const std::pair<std::string, std::string> program =
      absl::StrSplit(parsed.value, absl::MaxSplits(':', 1));
  EngineSpec spec{.name = parsed.name, .binary = program.second};
  if (program.first == "containerd") {
    spec.kind = EngineKind::kContainerd;
    if (spec.binary.empty()) spec.binary = "containerd";
  } else if (program.first == "berth") {
    spec.kind = EngineKind::kBerth;
    if (spec.binary.empty()) spec.binary = "berthd";
  } else {
    return absl::InvalidArgumentError(absl::StrCat("--start ", text, ": unknown kind \"",
                                                   program.first, "\"; known: containerd, berth"));
  }
  for (const auto& [key, value] : parsed.settings) {
    if (key != "handler") return unknownSetting("--start", text, key, "handler");
    spec.handler = value;
  }
  return spec;
}

absl::StatusOr<RegistryMirror> parseRegistry(const std::string& text) {
  BERTH_ASSIGN_OR_RETURN(const Assignment parsed, parseAssignment("--registry", text));
  const bool http =
      absl::StartsWith(parsed.value, "http://") || absl::StartsWith(parsed.value, "https://");
  if (!http || !parsed.settings.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--registry ", text, ": must be HOST=http://… or HOST=https://…"));
  }
  return RegistryMirror{parsed.name, parsed.value};
}

absl::Status completeOptions(Options& options) {
  if (options.engines.empty()) {
    return absl::InvalidArgumentError(
        "no engine to measure: name one with --engine, --start, --containerd or --berth-binary");
  }
  BERTH_RETURN_IF_ERROR(checkNames(options));
  if (options.pullImage.empty()) options.pullImage = options.image;
  BERTH_RETURN_IF_ERROR(checkSuites(options));
  if (!validSubnet(options.subnet)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--subnet ", options.subnet, ": must be the first two octets of a network, as in 10.213"));
  }
  if (options.baseline.empty()) {
    const auto peer =
        std::find_if(options.engines.begin(), options.engines.end(),
                     [](const auto& spec) { return spec.kind == EngineKind::kContainerd; });
    options.baseline = peer == options.engines.end() ? options.engines.front().name : peer->name;
  }
  if (options.sandboxImage.empty()) options.sandboxImage = options.image;
  for (const char* name : {"containerd-shim-runc-v2", "conmon", "conmonrs", "berth-monitor"}) {
    options.helpers.emplace_back(name);
  }
  return absl::OkStatus();
}

std::pair<std::optional<Options>, int> parseCommandLine(int argc, const char* const* argv) {
  CLI::App app{"Times container engines over CRI, side by side, in interleaved rounds."};
  app.option_defaults()->always_capture_default();
  RawOptions raw;
  Options options;
  declare(app, raw, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error)};
  }
  const absl::Status status = applyRaw(raw, options);
  if (!status.ok()) {
    std::cerr << "berth-bench: " << status.message() << "\n";
    return {std::nullopt, 2};
  }
  return {options, 0};
}

}  // namespace berth::bench
