// Projects of plugins, made of the SDK's examples and templates.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::program {

struct PluginProject {
  std::string kind;              // one of pluginKinds()
  std::string language = "c++";  // or "c"
  std::string name;              // of the plugin
  std::string folder;            // to be made; empty: that name, here
  std::string sdk;               // the folder with `examples` and `templates`; empty: the installed
};

// What building and testing a project takes.
struct PluginPackages {
  std::vector<std::string> own;     // Berth's: Debian does not have them
  std::vector<std::string> debian;  // Debian's
};

std::vector<std::string> pluginKinds();
std::vector<std::string> pluginLanguages();

// Writes a project that builds and passes its test. The folder appears as a whole or not at all;
// ALREADY_EXISTS when there is one. Blocks.
absl::StatusOr<PluginPackages> writePluginProject(const PluginProject& wanted);

}  // namespace berth::program
