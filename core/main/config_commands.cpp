// `berth config …`, `berth version`.
#include <cstdio>

#include "berth/plugin.h"
#include "berth/support/status.hpp"
#include "main/options.hpp"

namespace berth::program {

config::Paths pathsOf(const ConfigOptions& options) {
  config::Paths paths;
  if (options.file.empty()) return paths;
  paths.file = options.file;
  paths.dropIns.clear();
  paths.missingFile = config::MissingFile::kIsError;
  return paths;
}

int fail(const absl::Status& status) {
  std::fprintf(stderr, "berth: %s\n", std::string(status.message()).c_str());
  return 1;
}

int configShow(const ConfigOptions& options) {
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  std::fputs(config::dump(*loaded).c_str(), stdout);
  return 0;
}

int configCheck(const ConfigOptions& options) {
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  std::puts("The configuration is valid.");
  return 0;
}

int configDefault() {
  std::fputs(config::defaultFile().c_str(), stdout);
  return 0;
}

int version() {
  std::printf("berth %s\nplugin ABI %u.%u\nCRI v1\n", BERTH_VERSION, BERTH_ABI_MAJOR,
              BERTH_ABI_MINOR);
  return 0;
}

}  // namespace berth::program
