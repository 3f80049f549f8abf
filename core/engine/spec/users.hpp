// Who a container's first process runs as.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "cri-runtime-v1.pb.h"
#include "engine/spec/user_database.hpp"

namespace berth::spec {

struct ResolvedUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  // sorted, the primary group among them
};

// run_as_username, else run_as_user, else the image's User ("user", "uid", either with ":group" or
// ":gid"), else root. run_as_group overrides the group and is INVALID_ARGUMENT without a user in
// the request. A name that the image does not have is INVALID_ARGUMENT; a number needs no entry.
// Any thread, does not block.
absl::StatusOr<ResolvedUser> resolveUser(const runtime::v1::LinuxContainerSecurityContext& security,
                                         std::string_view imageUser, const UserDatabase& database);

// process.user of the OCI runtime specification.
boost::json::object userJson(const ResolvedUser& user);
// The same for CRI's container status.
runtime::v1::LinuxContainerUser criUser(const ResolvedUser& user);

}  // namespace berth::spec
