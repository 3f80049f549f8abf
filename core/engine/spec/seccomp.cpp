
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "engine/spec/seccomp_default.hpp"
#include "engine/spec/seccomp_profile.hpp"
#include "engine/spec/security.hpp"
#include "engine/spec/security_profile.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

using runtime::v1::LinuxContainerSecurityContext;
using runtime::v1::SecurityProfile;

constexpr size_t kMaximumProfileBytes = 4u << 20;

// The deprecated form is still what older kubelets send.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
absl::StatusOr<SecurityProfile> requestedProfile(const LinuxContainerSecurityContext& security,
                                                 const Defaults& defaults) {
  if (security.has_seccomp()) return checkedProfile(security.seccomp(), "seccomp");
  const std::string& text = security.seccomp_profile_path().empty()
                                ? defaults.seccompWhenUnset
                                : security.seccomp_profile_path();
  BERTH_ASSIGN_OR_RETURN(SecurityProfile profile, profileFromText(text, "seccomp"));
  return checkedProfile(std::move(profile), "seccomp");
}

#pragma GCC diagnostic pop

absl::StatusOr<boost::json::object> loadProfile(const std::string& path,
                                                const SeccompConditions& conditions) {
  auto read = support::readFile(path, kMaximumProfileBytes);
  if (absl::IsNotFound(read.status())) {
    return absl::InvalidArgumentError(
        support::strCat("there is no seccomp profile ", path, " on this node"));
  }
  BERTH_ASSIGN_OR_RETURN(const std::string text, std::move(read));
  return parseSeccompProfile(text, support::strCat("the seccomp profile ", path), conditions);
}

// The kubelet hands over absolute paths; others may name a file in its folder of profiles.
absl::StatusOr<std::string> profilePath(const std::string& reference, const Defaults& defaults) {
  if (reference.starts_with('/')) return reference;
  const std::string relative = cleanPath(reference);
  if (relative == ".." || relative.starts_with("../"))
    return absl::InvalidArgumentError(
        support::strCat("seccomp profile \"", reference, "\" leads out of ", defaults.seccompRoot));
  return support::strCat(defaults.seccompRoot, "/", relative);
}

}  // namespace

absl::StatusOr<std::optional<boost::json::object>> seccompFor(
    const LinuxContainerSecurityContext& security, const Defaults& defaults,
    const common::HostFacts& host, uint64_t capabilities) {
  BERTH_ASSIGN_OR_RETURN(const SecurityProfile profile, requestedProfile(security, defaults));
  if (security.privileged() || profile.profile_type() == SecurityProfile::Unconfined)
    return std::nullopt;
  if (!host.seccomp)
    return absl::FailedPreconditionError(
        "a seccomp profile is asked for, but this kernel has no seccomp filters: ask for "
        "Unconfined");

  const SeccompConditions conditions{.architecture = host.architecture,
                                     .capabilities = capabilities,
                                     .kernel = host.kernel,
                                     .x32 = host.x32};
  if (profile.profile_type() == SecurityProfile::RuntimeDefault) {
    if (defaults.seccompDefaultFile.empty()) return defaultSeccompProfile(conditions);
    return loadProfile(defaults.seccompDefaultFile, conditions);
  }
  BERTH_ASSIGN_OR_RETURN(const std::string path, profilePath(profile.localhost_ref(), defaults));
  return loadProfile(path, conditions);
}

}  // namespace berth::spec
