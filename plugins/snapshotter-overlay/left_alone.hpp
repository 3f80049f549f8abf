// What was found at start and is neither to be used nor touched.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <absl/status/status.h>

namespace berth::overlay {

// Directories by the name of what is in them, each with the reason. One counts while it is there:
// who removes it by hand need not start the plugin anew. Thread-safe; blocks on the file system.
class LeftAlone {
 public:
  void add(const std::string& name, const std::string& directory, const absl::Status& reason);
  // FAILED_PRECONDITION with the reason when the name is one of them.
  absl::Status check(const std::string& name) const;
  // All, with the reasons.
  std::map<std::string, std::string> list() const;
  // Drops those that are gone; returns their names.
  std::vector<std::string> dropGone();

 private:
  struct Entry {
    std::string directory;
    absl::Status reason;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace berth::overlay
