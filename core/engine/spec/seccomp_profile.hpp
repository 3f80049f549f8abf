// Seccomp profiles from files: the form of the OCI runtime specification ("Seccomp"), and Docker's,
// which adds conditions to it.
#pragma once

#include <string_view>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "engine/spec/seccomp_default.hpp"

namespace berth::spec {

// linux.seccomp from the text of a profile. Of Docker's form, `archMap` becomes architectures,
// `name` becomes names, and rules whose `includes` and `excludes` (caps, arches, minKernel) do not
// hold for `conditions` are left out. System calls that the installed libseccomp does not know are
// left out as well: profiles are written for more kernels than one. INVALID_ARGUMENT names `what`
// and the member that is wrong. Any thread, does not block.
absl::StatusOr<boost::json::object> parseSeccompProfile(std::string_view text,
                                                        std::string_view what,
                                                        const SeccompConditions& conditions);

}  // namespace berth::spec
