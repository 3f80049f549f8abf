// The command line.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::bench {

enum class EngineKind {
  kAttached,    // runs already; the bench only connects
  kContainerd,  // started by the bench, as the next
  kBerth,
};

struct EngineSpec {
  std::string name;
  EngineKind kind = EngineKind::kAttached;
  std::string socket;        // kAttached: path
  std::string binary;        // the others: path, or a name looked up in PATH
  std::string handler;       // empty for the engine's default
  std::optional<pid_t> pid;  // kAttached: where SO_PEERCRED would not give the daemon
};

// A registry's host as images name it, and the base URL at which it is really reached.
struct RegistryMirror {
  std::string host;
  std::string url;
};

// How tables call the bare programs; no engine may have that name.
inline constexpr char kBare[] = "bare";

struct Options {
  std::vector<EngineSpec> engines;
  std::string baseline;  // an engine's name, or empty for the first containerd or else the first
  std::set<std::string> suites;

  std::string image;
  std::string pullImage;     // for the suites "pull" and "removal"
  std::string sandboxImage;  // for peers with a pause container
  std::vector<RegistryMirror> registries;

  int rounds = 20;
  int warmup = 2;
  int parallelRounds = 3;
  int parallelPods = 24;
  int parallelWidth = 8;
  int pods = 20;         // suites density, stats, idle, restart
  int statsRounds = 20;  // calls of each list
  int idleRounds = 3;
  int restartRounds = 5;
  int pullRounds = 3;
  int removalRounds = 5;
  int execRounds = 50;
  int createdContainers = 1000;
  int streamRounds = 5;
  int streamMebibytes = 2048;     // of a command's output
  int settleMilliseconds = 2000;  // between a change and a memory reading

  std::string workDirectory = "/tmp";
  std::string cgroupParent;  // empty: one of its own below the root
  std::string runc = "/usr/sbin/runc";
  std::string cniBinDirectory = "/usr/lib/cni";
  std::string subnet = "10.213";  // first two octets of the engines' own networks
  std::string berthPlugins;       // empty: as built into it
  std::string rootfs;             // for the bare programs; empty leaves them out
  std::vector<std::string> helpers;
  std::string jsonFile;
  std::string markdownFile;
};

// The names that --suites knows, in the order in which they run.
const std::vector<std::string>& knownSuites();

// NAME=unix:///path[,handler=H][,pid=P]
absl::StatusOr<EngineSpec> parseAttachedEngine(const std::string& text);
// NAME=containerd|berth[:BINARY][,handler=H]
absl::StatusOr<EngineSpec> parseStartedEngine(const std::string& text);
// HOST=URL
absl::StatusOr<RegistryMirror> parseRegistry(const std::string& text);

// What holds between the options; fills in the defaults that depend on others. The error names
// the option.
absl::Status completeOptions(Options& options);

// Either options, or the exit code of a program that has already printed its help or the error.
std::pair<std::optional<Options>, int> parseCommandLine(int argc, const char* const* argv);

}  // namespace berth::bench
