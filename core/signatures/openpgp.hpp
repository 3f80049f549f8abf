// OpenPGP, which Berth leaves to a process of its own: berth-openpgp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/process.hpp"

namespace berth::signatures {

// What registries hand out as signatures is read by a program that has no rights, opens no file and
// ends after each answer; no keyring of this host is looked at. Any thread.
class OpenPgp {
 public:
  // `program`: the path of berth-openpgp; empty: the one installed with this program.
  explicit OpenPgp(std::string program = {}) : program_(std::move(program)) {}

  // Whether there is a public key in each of the keyrings (OpenPGP, binary or armored) and nothing
  // that cannot be read. INVALID_ARGUMENT with the reason.
  absl::Status checkKeyrings(const std::vector<std::string>& keyrings,
                             const support::RunLimits& limits) const;

  // What `message` holds, a message signed once, by a key of the keyrings that is valid now.
  // INVALID_ARGUMENT with the reason when it is anything else; other codes when that was not to be
  // found out.
  absl::StatusOr<std::string> open(const std::vector<std::string>& keyrings,
                                   std::string_view message,
                                   const support::RunLimits& limits) const;

 private:
  absl::StatusOr<std::string> ask(const std::string& request,
                                  const support::RunLimits& limits) const;

  std::string program_;
};

}  // namespace berth::signatures
