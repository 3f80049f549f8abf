// `berth plugin new`.
#include <cstdio>

#include "main/options.hpp"
#include "main/plugin_project.hpp"

namespace berth::program {

int newPlugin(const PluginProject& wanted) {
  if (const absl::Status status = writePluginProject(wanted); !status.ok()) return fail(status);
  const std::string& folder = wanted.folder.empty() ? wanted.name : wanted.folder;
  std::printf(
      "%s has the plugin %s. To build and test it:\n\n  cd %s\n  cmake -S . -B build\n"
      "  cmake --build build\n  ctest --test-dir build\n",
      folder.c_str(), wanted.name.c_str(), folder.c_str());
  return 0;
}

}  // namespace berth::program
