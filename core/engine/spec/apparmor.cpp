
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/apparmor_default.hpp"
#include "engine/spec/security.hpp"
#include "engine/spec/security_profile.hpp"

namespace berth::spec {
namespace {

using runtime::v1::LinuxContainerSecurityContext;
using runtime::v1::SecurityProfile;

// The deprecated form is still what older kubelets send.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
// Nothing when the request is silent about AppArmor.
absl::StatusOr<std::optional<SecurityProfile>> requestedProfile(
    const LinuxContainerSecurityContext& security) {
  if (security.has_apparmor()) return checkedProfile(security.apparmor(), "AppArmor");
  if (security.apparmor_profile().empty()) return std::nullopt;
  BERTH_ASSIGN_OR_RETURN(SecurityProfile profile,
                         profileFromText(security.apparmor_profile(), "AppArmor"));
  return checkedProfile(std::move(profile), "AppArmor");
}

#pragma GCC diagnostic pop

absl::StatusOr<bool> isLoaded(const std::string& name, const common::HostFacts& host) {
  BERTH_ASSIGN_OR_RETURN(const std::string list, support::readFile(host.appArmorProfilesPath));
  // A line is "name (enforce)", and names may contain blanks.
  const std::string beginning = name + " (";
  for (std::string_view line : common::split(list, '\n'))
    if (line.starts_with(beginning)) return true;
  return false;
}

enum class Request { kImplied, kExplicit };

// What RuntimeDefault stands for. Confinement that nobody asked for is no reason to fail.
absl::StatusOr<std::string> defaultProfile(const Defaults& defaults, const common::HostFacts& host,
                                           Request request, Warnings& warnings) {
  if (defaults.appArmorProfile.empty()) {
    if (request == Request::kImplied) return std::string();
    return absl::FailedPreconditionError(
        "the AppArmor profile RuntimeDefault is asked for, but the configuration names none: set "
        "containers.apparmor_profile");
  }
  BERTH_ASSIGN_OR_RETURN(const bool loaded, isLoaded(defaults.appArmorProfile, host));
  if (loaded) return defaults.appArmorProfile;
  std::string problem =
      support::strCat("the default AppArmor profile ", defaults.appArmorProfile, " is not loaded");
  if (defaults.appArmorProfile == kDefaultAppArmorProfile) {
    const absl::Status now = loadDefaultAppArmorProfile(host);
    if (now.ok()) return defaults.appArmorProfile;
    problem = support::fromAbsl(now.message());
  }
  if (request == Request::kExplicit)
    return absl::FailedPreconditionError(
        support::strCat(problem, ": load it with apparmor_parser, or ask for Unconfined"));
  warnings.push_back({support::strCat(problem, ": the container runs without one")});
  return std::string();
}

}  // namespace

absl::StatusOr<std::string> appArmorFor(const LinuxContainerSecurityContext& security,
                                        const Defaults& defaults, const common::HostFacts& host,
                                        Warnings& warnings) {
  BERTH_ASSIGN_OR_RETURN(const std::optional<SecurityProfile> profile, requestedProfile(security));
  const SecurityProfile::ProfileType type =
      profile ? profile->profile_type() : SecurityProfile::RuntimeDefault;
  if (type == SecurityProfile::Unconfined) return std::string();
  if (!host.appArmor) {
    if (!profile) return std::string();
    return absl::FailedPreconditionError(
        "an AppArmor profile is asked for, but AppArmor is not enabled on this host");
  }
  if (type == SecurityProfile::RuntimeDefault) {
    if (security.privileged()) return std::string();
    return defaultProfile(defaults, host, profile ? Request::kExplicit : Request::kImplied,
                          warnings);
  }
  const std::string& name = profile->localhost_ref();
  BERTH_ASSIGN_OR_RETURN(const bool loaded, isLoaded(name, host));
  if (!loaded)
    return absl::FailedPreconditionError(support::strCat(
        "AppArmor profile not found: ", name, " is not loaded on this host; see aa-status"));
  return name;
}

}  // namespace berth::spec
