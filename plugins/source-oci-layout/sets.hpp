// The sets of images that were read, as long as their files stay as they were.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "image_set.hpp"

namespace berth::layout {

// Thread-safe; blocks on the file system, never while it holds a lock.
class Sets {
 public:
  // The set at `path`, read anew when its files have changed. Errors as ImageSet::open.
  absl::StatusOr<std::shared_ptr<const ImageSet>> at(const std::string& path, const Check& check);

  // What lies at `path`: itself when it is a set, else what is in the folder, in the order of the
  // names. Nothing when it is not there.
  static std::vector<std::string> within(const std::string& path);

 private:
  struct Kept {
    std::string identity;  // of the file that tells of the others
    absl::StatusOr<std::shared_ptr<const ImageSet>> set;
    uint64_t used = 0;
    size_t bytes = 0;
  };
  void keep(const std::string& path, Kept kept);

  std::mutex mutex_;
  uint64_t uses_ = 0;
  size_t bytes_ = 0;                  // of all that are kept
  std::map<std::string, Kept> kept_;  // by path
};

}  // namespace berth::layout
