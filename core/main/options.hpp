// The command line of `berth` and `berthd`.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "main/plugin_project.hpp"

namespace berth::program {

// What every subcommand that reads the configuration takes, or asks the daemon.
struct ConfigOptions {
  std::string file;    // empty: the default file and its drop-ins
  std::string socket;  // of the daemon; empty: see findDaemon()
};

// What is to be checked.
struct CheckOptions {
  bool storage = false;  // what the daemon keeps, rather than the host
  bool quick = false;    // without reading the content of files
  bool repair = false;   // drop what is damaged
};

// How the configuration is to be checked.
struct ConfigCheckOptions {
  bool verbose = false;                                // print what is waited for, before it is
  std::optional<std::chrono::duration<double>> limit;  // of the whole
};
// What `berth config check` ends with: its last line and status 0, or this status.
inline constexpr std::string_view kValidConfiguration = "The configuration is valid.";
inline constexpr int kInvalidConfiguration = 1;

// Where the time of a pod went.
struct ExplainOptions {
  std::string pod;   // an id or a name
  std::string page;  // the HTML file that is written; empty: text is printed
};

// What is to be done with which image.
struct ImageOptions {
  std::string image;
  std::vector<std::string> images;  // or names
  std::string path;
  std::string snapshotter;  // empty: the default
  std::string platform;     // likewise
  bool json = false;
  bool force = false;     // remove also what is pinned
  bool original = false;  // export only with the digests that it has
  bool offline = false;   // export without asking where the image came from
};

// Which file of another engine is to be read.
struct ImportOptions {
  std::string from;  // one of importableForms()
  std::string path;
};
std::vector<std::string> importableForms();

// Files named on the command line must exist and stand alone: no drop-ins.
config::Paths pathsOf(const ConfigOptions& options);

// Prints an error as the last thing before a failing exit.
int fail(const absl::Status& status);

// The subcommands; each returns the exit code.
int serve(const ConfigOptions& options);
int check(const ConfigOptions& options);
int checkStorage(const ConfigOptions& options, const CheckOptions& wanted);
int configShow(const ConfigOptions& options);
int configCheck(const ConfigOptions& options, const ConfigCheckOptions& wanted);
int configDefault(const ConfigOptions& options);
int configKeys(const ConfigOptions& options);
int configImport(const ImportOptions& wanted);
int listImages(const ConfigOptions& options, const ImageOptions& wanted);
int inspectImage(const ConfigOptions& options, const ImageOptions& wanted);
int pullImage(const ConfigOptions& options, const ImageOptions& wanted);
int importImages(const ConfigOptions& options, const ImageOptions& wanted);
int exportImage(const ConfigOptions& options, const ImageOptions& wanted);
int removeImages(const ConfigOptions& options, const ImageOptions& wanted);
int pinImages(const ConfigOptions& options, const ImageOptions& wanted);
int unpinImages(const ConfigOptions& options, const ImageOptions& wanted);
int listPlugins(const ConfigOptions& options);
int newPlugin(const PluginProject& wanted);
int reloadPlugin(const ConfigOptions& options, const std::string& name);
int listOperations(const ConfigOptions& options);
int reload(const ConfigOptions& options);
int status(const ConfigOptions& options);
int explainPod(const ConfigOptions& options, const ExplainOptions& wanted);
int abandonNetwork(const ConfigOptions& options, const std::string& pod);
int version();

}  // namespace berth::program
