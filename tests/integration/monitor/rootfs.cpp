#include "rootfs.hpp"

#include <filesystem>
#include <sstream>

#include "berth/support/files.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"

namespace berth::runc {

namespace fs = std::filesystem;

namespace {

// The absolute paths that ldd names: the loader and the libraries.
absl::StatusOr<std::vector<std::string>> librariesOf(const std::string& program) {
  support::Command command;
  command.argv = {"ldd", program};
  BERTH_ASSIGN_OR_RETURN(const support::Output output, support::run(command));
  std::vector<std::string> paths;
  std::istringstream words(output.standardOutput);
  for (std::string word; words >> word;) {
    if (word.front() == '/') paths.push_back(word);
  }
  return paths;
}

absl::Status copyInto(const std::string& root, const std::string& path) {
  std::error_code error;
  const fs::path target = root + path;
  fs::create_directories(target.parent_path(), error);
  fs::copy_file(path, target, fs::copy_options::overwrite_existing, error);
  if (error) return absl::InternalError(absl::StrCat("copy ", path, ": ", error.message()));
  return absl::OkStatus();
}

}  // namespace

absl::Status makeRootfs(const std::string& directory) {
  const std::string busybox = "/bin/busybox";
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> libraries, librariesOf(busybox));
  BERTH_RETURN_IF_ERROR(copyInto(directory, busybox));
  for (const std::string& library : libraries) BERTH_RETURN_IF_ERROR(copyInto(directory, library));
  for (const char* name : {"proc", "dev", "sys", "tmp"}) {
    BERTH_RETURN_IF_ERROR(support::makeDirectories(absl::StrCat(directory, "/", name)));
  }
  for (const char* applet : {"sh", "cat", "sleep", "true", "stty", "head", "seq", "dd", "kill",
                             "setsid", "hostname", "ps", "tail", "tr", "readlink", "yes", "wc"}) {
    std::error_code error;
    fs::create_symlink("busybox", absl::StrCat(directory, "/bin/", applet), error);
  }
  return absl::OkStatus();
}

}  // namespace berth::runc
