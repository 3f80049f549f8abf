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
#include "berth/support/aside.hpp"
#include "berth/support/fd.hpp"

namespace berth::cni {

// Whether such a status says for good that nothing of a record can be read: there is none, or it is
// damaged. Any other failure leaves open what there is.
bool isLost(const absl::Status& status);

// One directory. All functions block on the file system; calls about different attachments may run
// at once from any thread.
class Records {
 public:
  explicit Records(std::string directory)
      : directory_(std::move(directory)), aside_(directory_ + "/damaged") {}

  // Makes the directory, or clears it of what a crash left half-written: not where another instance
  // works in it. Before all else.
  absl::Status prepare();

  // Before ADD: on stable storage when it returns.
  absl::Status begin(const AttachmentRecord& record) const;
  // After ADD. The result alone is written, to a file of its own, and not synced: after a power cut
  // there is no namespace that would need it, and the record of begin() is as whole as it was.
  absl::Status complete(const AttachmentRecord& record) const;
  // After DEL; nothing there is success. A damaged record is set aside instead, and one that load()
  // fails with anything else for stays.
  absl::Status remove(std::string_view pod, std::string_view interface) const;

  // With the result if there is one. NOT_FOUND when there is no record; DATA_LOSS when it is
  // damaged; FAILED_PRECONDITION when only a newer version can read it; else what kept it from
  // being read.
  absl::StatusOr<AttachmentRecord> load(std::string_view pod, std::string_view interface) const;

  // The file that begin() writes, for the lock on it (plugins_at_work.hpp).
  std::string recordFile(std::string_view pod, std::string_view interface) const;

  struct Name {
    std::string pod;
    std::string interface;
  };
  absl::StatusOr<std::vector<Name>> list() const;

  // Records that load() fails for, and damaged results; of what is damaged `why` is DATA_LOSS.
  absl::StatusOr<std::vector<support::DamagedFile>> findUnreadable() const;
  // Gives the new path. What ADD gave is not needed to undo an attachment; a record stays as long
  // as its attachment, of which it tells, and its path is empty.
  absl::StatusOr<std::string> setAside(const support::DamagedFile& damage) const;
  const support::AsideFolder& aside() const { return aside_; }

 private:
  std::string path(std::string_view pod, std::string_view interface, std::string_view ending) const;

  const std::string directory_;
  const support::AsideFolder aside_;
  support::Fd shared_;
};

}  // namespace berth::cni
