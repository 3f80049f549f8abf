// The CRI's two ways of naming a security profile, made one.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "cri-runtime-v1.pb.h"

namespace berth::spec {

// From the deprecated string form: "runtime/default" and "docker/default", "unconfined",
// "localhost/<reference>". `kind` is for errors.
absl::StatusOr<runtime::v1::SecurityProfile> profileFromText(std::string_view text,
                                                             std::string_view kind);

// Without the prefix "localhost/", which some clients keep. INVALID_ARGUMENT for a reference where
// none belongs, none where one does, and an unknown type.
absl::StatusOr<runtime::v1::SecurityProfile> checkedProfile(runtime::v1::SecurityProfile profile,
                                                            std::string_view kind);

}  // namespace berth::spec
