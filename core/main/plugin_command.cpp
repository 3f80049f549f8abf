// `berth plugin new`.
#include <cstdio>

#include <absl/strings/str_join.h>

#include "main/options.hpp"
#include "main/plugin_project.hpp"

namespace berth::program {

int newPlugin(const PluginProject& wanted) {
  const auto packages = writePluginProject(wanted);
  if (!packages.ok()) return fail(packages.status());
  const std::string& folder = wanted.folder.empty() ? wanted.name : wanted.folder;
  std::printf(
      "%s has the plugin %s. What it needs and Debian does not have, packaging/build in Berth's "
      "sources\nmakes: %s. To build and test it:\n\n  sudo apt-get install %s\n  cd %s\n"
      "  cmake -S . -B build\n  cmake --build build\n  sudo ctest --test-dir build\n",
      folder.c_str(), wanted.name.c_str(), absl::StrJoin(packages->own, ", ").c_str(),
      absl::StrJoin(packages->debian, " ").c_str(), folder.c_str());
  return 0;
}

}  // namespace berth::program
