// Credentials that a plugin asks the host for.
#pragma once

#include <functional>
#include <string_view>

#include <absl/status/status.h>

#include "berth/types.h"

namespace berth::program {

// Looks a registry host up in the files that container tools keep (containers-auth.json(5)):
// /etc/berth/auth.json, ~/.config/containers/auth.json, ~/.docker/config.json. Calls `found` at
// most once. NOT_FOUND when none has it; INVALID_ARGUMENT names a file that is malformed.
absl::Status findCredentials(std::string_view registry,
                             const std::function<void(const berth_credentials&)>& found);

}  // namespace berth::program
