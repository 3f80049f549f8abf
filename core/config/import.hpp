// Other engines' configurations of registries, in Berth's terms.
#pragma once

#include <string>

#include <absl/status/statusor.h>

namespace berth::config {

// containers-registries.conf(5), version 2, with the files of the folder beside it that has its
// name and ".d". TOML for Berth, in which comments name what cannot be expressed. NOT_FOUND,
// INVALID_ARGUMENT with all problems, each with its place. Blocks.
absl::StatusOr<std::string> importRegistriesConf(const std::string& path);

// containerd's folder of folders, "certs.d/<host>/hosts.toml", or one such file; folders without
// one may have certificates alone, as Docker's. Otherwise the same.
absl::StatusOr<std::string> importHostsToml(const std::string& path);

}  // namespace berth::config
