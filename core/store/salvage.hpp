// A new database in the place of a damaged one, of what can be read of that.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::store {

// Copies the records that can be read from the database at `path`, which nobody has open, into
// "<path>.salvaged": what its table leads to, never what a freed page still holds. The database
// stays as it is, so that it can be done again when it is cut off or fails. RESOURCE_EXHAUSTED
// without room on the disk; UNAVAILABLE when the disk gives back no record at all, since an empty
// database would end every pod for what may pass.
absl::Status salvage(const std::string& path);

// Puts "<path>.salvaged" into the place of the database at `path`, whose files are renamed to
// "<path>.damaged-<time>", which is returned; empty when there is none. The next start ends what is
// cut off.
absl::StatusOr<std::string> replaceBySalvaged(const std::string& path);

// How many records of each kind the database at `path` has.
absl::StatusOr<std::map<std::string, int64_t>> countRecords(const std::string& path);

}  // namespace berth::store
