// User namespaces that exist for their id mappings alone.
#pragma once

#include <cstdint>
#include <vector>

#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::support {

// One range of ids (user_namespaces(7), "User and group ID mappings").
struct IdRange {
  uint32_t inside = 0;   // the first id in the namespace
  uint32_t outside = 0;  // the id outside that it stands for
  uint32_t length = 0;
  bool operator==(const IdRange&) const = default;
};
using IdRanges = std::vector<IdRange>;

// A descriptor of a new user namespace with these mappings, for mount_setattr(2). Blocks for a
// short-lived child. Any thread. INVALID_ARGUMENT when the kernel does not take the mappings,
// FAILED_PRECONDITION when the host allows no further user namespace.
absl::StatusOr<Fd> makeUserNamespace(const IdRanges& uids, const IdRanges& gids);

// The id outside of an id inside; the kernel's overflow id when it has none. Without any ranges
// ids are the same on both sides.
uint32_t outsideId(const IdRanges& ranges, uint32_t inside);

}  // namespace berth::support
