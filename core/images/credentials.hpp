// What this host knows to prove itself to registries with, as container tools keep it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "berth/support/process.hpp"
#include "berth/types.h"

namespace berth::images {

// The files in the order in which they are asked: /etc/berth/auth.json, then the user's
// .config/containers/auth.json and .docker/config.json (containers-auth.json(5)).
std::vector<std::string> credentialFiles();

struct CredentialSearch {
  std::vector<std::string> files;
  support::RunLimits limits;  // for helpers
  // Hears of files and helpers that are of no use, which is no reason to ask no others.
  std::function<void(std::string_view)> warn;
};

// Looks for `registry`, as "registry.example:5000" or with a repository, as
// "registry.example:5000/team/app": of the entries in "auths" that one counts which names the most
// of it. In each file: the helper that "credHelpers" names for the registry; an entry with
// credentials in it; the helper "credsStore". A helper is the program docker-credential-NAME, found
// in PATH. Calls `found` at most once, before it returns. NOT_FOUND when nobody knows the registry,
// with what was of no use; DEADLINE_EXCEEDED or CANCELLED when a helper took too long. Blocks on
// the file system and on helpers; any thread.
absl::Status findCredentials(const CredentialSearch& search, std::string_view registry,
                             const std::function<void(const berth_credentials&)>& found);

}  // namespace berth::images
