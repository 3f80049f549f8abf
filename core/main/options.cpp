#include "main/options.hpp"

#include "main/print.hpp"

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
  printError("berth: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace berth::program
