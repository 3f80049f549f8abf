// The daemon's configuration. What each key means, its default and its bounds stand in
// declarations.cpp, the one place that declares them; the members here only hold the values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

#include "common/place.hpp"

namespace berth::config {

using common::Place;

struct Grpc {
  std::string socket;
  mode_t socketMode = 0;
  std::string socketGroup;  // empty leaves the group of the daemon
  int64_t maxMessageBytes = 0;
  bool operator==(const Grpc&) const = default;
};

struct Log {
  std::string level;   // trace, debug, info, warn, error
  std::string format;  // text, json
  std::string file;    // empty is standard error
  bool operator==(const Log&) const = default;
};

// Exec, attach, port-forward.
struct Streaming {
  std::string address;  // IPv4 or IPv6
  int64_t port = 0;     // 0: the kernel chooses
  int64_t idleTimeoutSeconds = 0;
  int64_t tokenLifetimeSeconds = 0;
  int64_t maxSessions = 0;
  std::string tlsCert;  // PEM files; empty is none
  std::string tlsKey;
  std::string tlsClientCa;
  bool operator==(const Streaming&) const = default;
};

// Prometheus.
struct Metrics {
  std::string address;  // IPv4 or IPv6
  int64_t port = 0;     // 0: nothing is counted, nor served
  bool operator==(const Metrics&) const = default;
};

struct Cgroup {
  std::string driver;  // auto, systemd, cgroupfs
  bool operator==(const Cgroup&) const = default;
};

struct Images {
  std::vector<std::string> sources;
  std::string snapshotter;
  std::vector<std::string> pinned;  // names, or shell patterns for them
  std::string platform;             // os/architecture[/variant]; empty is the host's
  int64_t maxConcurrentDownloads = 0;
  int64_t maxConcurrentUnpacks = 0;    // 0 is the number of CPUs
  int64_t pullDeadlineSeconds = 0;     // 0 is none
  int64_t maxWriteBytesPerSecond = 0;  // 0 is none
  int64_t maxLayerBytes = 0;
  int64_t maxManifestBytes = 0;
  std::string signaturePolicy;  // a path; empty: any image is accepted
  std::vector<std::string> searchRegistries;
  std::vector<std::string> shortNames;  // "name=registry/repository"
  bool operator==(const Images&) const = default;
};

struct Containers {
  std::string seccompProfile;    // a path; empty is built in
  std::string seccompWhenUnset;  // unconfined, runtime/default
  std::string apparmorProfile;   // a loaded one; empty is none
  std::string deviceOwnership;   // host, security-context
  std::vector<std::string> cdiDirs;
  std::vector<std::string> hooksDirs;
  int64_t pidsLimit = 0;                         // 0 is none
  std::vector<std::string> defaultCapabilities;  // "CAP_CHOWN" or "CHOWN"
  std::vector<std::string> defaultUlimits;       // see parseUlimit()
  std::vector<std::string> defaultEnv;           // "NAME=value"
  std::vector<std::string> defaultSysctls;       // "name=value"
  std::string imageVolumes;                      // bind, mkdir, ignore
  int64_t execSyncOutputBytes = 0;
  bool operator==(const Containers&) const = default;
};

// [runtimes.NAME]: NAME is the handler of a RuntimeClass.
struct Runtime {
  std::string plugin;
  std::string snapshotter;  // never empty after load()
  std::string platform;     // of its pods' images; empty is images.platform
  std::vector<std::string> annotations;
  std::vector<std::string> defaultAnnotations;  // "name=value"
  std::string privilegedDevices;                // all, none
  std::string isolation;                        // none, process
  std::vector<std::string> isolationCapabilities;
  boost::json::object options;
  Place place;
  bool operator==(const Runtime&) const = default;
};

// [snapshotters.NAME], [sources.NAME], [networks.NAME].
struct Plugin {
  std::string plugin;
  std::string isolation;                           // none, process
  std::vector<std::string> isolationCapabilities;  // "CAP_CHOWN"; empty: those of the kind
  boost::json::object options;
  Place place;
  bool operator==(const Plugin&) const = default;
};

struct Config {
  std::string root;
  std::string state;
  std::vector<std::string> pluginDirs;
  std::string defaultRuntime;
  std::string network;
  Grpc grpc;
  Log log;
  Streaming streaming;
  Metrics metrics;
  Cgroup cgroup;
  Images images;
  Containers containers;
  std::map<std::string, Runtime> runtimes;
  std::map<std::string, Plugin> snapshotters;
  std::map<std::string, Plugin> sources;
  std::map<std::string, Plugin> networks;
  // Where each key of the files was written, by its path: `containers.default_sysctls[2]`.
  Place keys;
  bool operator==(const Config&) const = default;
};

enum class MissingFile {
  kMeansDefaults,
  kIsError,  // the operator named the file
};

struct Paths {
  std::string file = "/etc/berth/berth.toml";
  std::string dropIns = "/etc/berth/berth.toml.d";  // "*.toml" in it, in name order; may be missing
  MissingFile missingFile = MissingFile::kMeansDefaults;
};

// What runs when there is no file at all.
Config defaults();

// Reads and checks the files; reads nothing else and changes nothing. Tables of later files are
// merged into those of earlier ones key by key; arrays and single values replace. The built-in
// runtime, snapshotter, source and network are the lowest layer: a file may change or add to them.
// INVALID_ARGUMENT lists all problems, one to a line, each with file, line, column and key. Blocks
// on the file system; any thread.
absl::StatusOr<Config> load(const Paths& paths);

// What can be read of files that load() refuses, the rest at its default: for looking for a daemon,
// which may run all the same. The error is why a file that was named cannot be read at all. Blocks
// on the file system; any thread.
absl::StatusOr<Config> loadReadable(const Paths& paths);

// `status`, which is about the value of `key`, with the place where that was written and the key
// before its message: "/etc/berth/berth.toml:12:8: log.file: ...". OK stays OK.
absl::Status atKey(const Config& config, std::string_view key, const absl::Status& status);

// TOML that load() turns into the same Config.
std::string dump(const Config& config);

// The same as one JSON object, sections nested as tables are.
boost::json::object toJson(const Config& config);

// A file with every key, explained, and commented out at its default. `declarations` are the
// options of plugins by the plugins' names, as they declare them (berth_plugin.options); those of
// others are left out.
std::string defaultFile(const std::map<std::string, std::string>& declarations);

struct Ulimit {
  std::string type;  // as in the OCI runtime specification: "RLIMIT_NOFILE"
  uint64_t soft = 0;
  uint64_t hard = 0;  // RLIM_INFINITY for "unlimited"
};
// "nofile=1024:4096", "core=unlimited:unlimited", or one number for both. INVALID_ARGUMENT says
// what is wrong with it.
absl::StatusOr<Ulimit> parseUlimit(std::string_view text);

}  // namespace berth::config
