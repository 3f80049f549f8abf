// The plugin's own record of attachments: written before ADD, removed after DEL, so that none is
// forgotten whatever happens in between.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "attachment_record.hpp"

namespace berth::cni {

// One directory. All functions block on the file system; calls about different attachments may run
// at once from any thread.
class Records {
 public:
  explicit Records(std::string directory) : directory_(std::move(directory)) {}

  // Makes the directory, or clears it of what a crash left half-written. Before all else.
  absl::Status prepare() const;

  // Before ADD: on stable storage when it returns.
  absl::Status begin(const AttachmentRecord& record) const;
  // After ADD. The result alone is written, to a file of its own, and not synced: after a power cut
  // there is no namespace that would need it, and the record of begin() is as whole as it was.
  absl::Status complete(const AttachmentRecord& record) const;
  // After DEL; nothing there is success.
  absl::Status remove(std::string_view pod, std::string_view interface) const;

  // With the result if there is one. NOT_FOUND when there is no record; DATA_LOSS when it cannot be
  // read.
  absl::StatusOr<AttachmentRecord> load(std::string_view pod, std::string_view interface) const;

  // The file that begin() writes, for the lock on it (plugins_at_work.hpp).
  std::string recordFile(std::string_view pod, std::string_view interface) const;

  struct Name {
    std::string pod;
    std::string interface;
  };
  absl::StatusOr<std::vector<Name>> list() const;

 private:
  std::string path(std::string_view pod, std::string_view interface, std::string_view ending) const;

  std::string directory_;
};

}  // namespace berth::cni
