// Writes an OCI image layout, as a folder or as an archive, from its files in any order.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::program {

enum class LayoutForm { kFolder, kArchive };

// Nothing is at the path until all is there, durably; what a writer that has not been committed has
// written is gone with it. One thread at a time; blocks.
class LayoutWriter {
 public:
  // ALREADY_EXISTS when something is at `path`.
  static absl::StatusOr<std::unique_ptr<LayoutWriter>> create(const std::string& path,
                                                              LayoutForm form);
  virtual ~LayoutWriter() = default;

  // Bytes of the next file.
  virtual absl::Status write(std::string_view bytes) = 0;
  // That was all of it. INVALID_ARGUMENT for a path that no layout has.
  virtual absl::Status finish(const std::string& name) = 0;
  // What has come of the next file is not wanted, or of all.
  virtual absl::Status drop() = 0;
  virtual absl::Status restart() = 0;
  virtual absl::Status commit() = 0;
};

}  // namespace berth::program
