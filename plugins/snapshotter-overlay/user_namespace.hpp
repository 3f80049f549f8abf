// User namespaces that exist for their id mappings alone.
#pragma once

#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"
#include "records.hpp"

namespace berth::overlay {

// A descriptor of a new user namespace with these mappings, for mount_setattr(2). Blocks for a
// short-lived child. Any thread. INVALID_ARGUMENT when the kernel does not take the mappings.
absl::StatusOr<support::Fd> makeUserNamespace(const IdMappings& uids, const IdMappings& gids);

// The id on the host of an id in the container; the kernel's overflow id when it has none.
uint32_t hostId(const IdMappings& mappings, uint32_t containerId);

}  // namespace berth::overlay
