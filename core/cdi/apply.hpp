// Puts what a CDI file asks for into a container's OCI runtime specification.
#pragma once

#include <absl/status/status.h>
#include <boost/json.hpp>

#include "cdi/document.hpp"

namespace berth::cdi {

// What a runtime has to have for the rarer edits.
struct RuntimeSupport {
  bool idmappedMounts = false;
  bool netDevices = false;  // linux.netDevices, from version 1.3 of the OCI specification on
};

// Adds the edits in the order of the CDI specification ("OCI Edits"): environment variables and
// device nodes replace those of the same name and path, mounts those on the same place, and hooks
// follow those that are there. Device nodes that are not fully described are looked up on the host,
// links followed. Mounts of a container with a user namespace get its mappings where the runtime
// can. INVALID_ARGUMENT for a device that this host does not have or that is of another type,
// FAILED_PRECONDITION for what the runtime lacks. Blocks on the file system; any thread.
absl::Status applyEdits(const Edits& edits, const RuntimeSupport& support,
                        boost::json::object& spec);

}  // namespace berth::cdi
