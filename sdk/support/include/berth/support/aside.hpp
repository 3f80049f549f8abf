// What was read and could not be understood, kept for people: nothing uses it any more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::support {

struct DamagedFile {
  std::string path;
  absl::Status why;
};

// A folder of damaged files, made with the first of them. Thread-safe; calls block on the file
// system.
class AsideFolder {
 public:
  explicit AsideFolder(std::string folder) : folder_(std::move(folder)) {}

  // Moves the file, of the same file system, there, and gives its new path, which ends in `name`;
  // an empty path when it is not there any more. Of too many the oldest goes.
  absl::StatusOr<std::string> take(const std::string& path, std::string_view name) const;
  // The same under the file's own name, after `kind`; gives what to say of it: where it is now, or
  // why it stays.
  std::string put(const DamagedFile& file, std::string_view kind) const;
  // The paths of all, the oldest first.
  absl::StatusOr<std::vector<std::string>> list() const;

 private:
  const std::string folder_;
};

// Whether that is what a power cut leaves of a file that nobody has synced: nothing, or as many
// zeros as there was content (ext4, "delayed allocation"). It is as missing, and no damage.
bool isCutOff(std::string_view content);

// What `berth check` says of a file that was set aside.
std::string describeAside(std::string_view path);

}  // namespace berth::support
