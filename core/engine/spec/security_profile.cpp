#include "engine/spec/security_profile.hpp"

#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

using runtime::v1::SecurityProfile;

constexpr std::string_view kLocalhost = "localhost/";

}  // namespace

absl::StatusOr<SecurityProfile> profileFromText(std::string_view text, std::string_view kind) {
  SecurityProfile profile;
  if (text == "runtime/default" || text == "docker/default") {
    profile.set_profile_type(SecurityProfile::RuntimeDefault);
  } else if (text == "unconfined") {
    profile.set_profile_type(SecurityProfile::Unconfined);
  } else if (common::consumePrefix(text, kLocalhost)) {
    profile.set_profile_type(SecurityProfile::Localhost);
    profile.set_localhost_ref(std::string(text));
  } else {
    return absl::InvalidArgumentError(
        support::strCat("invalid ", kind, " profile \"", text,
                        "\": expected runtime/default, unconfined or localhost/<profile>"));
  }
  return profile;
}

absl::StatusOr<SecurityProfile> checkedProfile(SecurityProfile profile, std::string_view kind) {
  BERTH_RETURN_IF_ERROR(checkText(profile.localhost_ref(),
                                  support::strCat("localhost_ref of the ", kind, " profile")));
  switch (profile.profile_type()) {
    case SecurityProfile::RuntimeDefault:
    case SecurityProfile::Unconfined:
      if (!profile.localhost_ref().empty())
        return absl::InvalidArgumentError(
            support::strCat("invalid ", kind, " profile: localhost_ref \"", profile.localhost_ref(),
                            "\" is set, which only profile_type Localhost uses"));
      return profile;
    case SecurityProfile::Localhost: {
      std::string_view reference = profile.localhost_ref();
      common::consumePrefix(reference, kLocalhost);
      if (reference.empty())
        return absl::InvalidArgumentError(support::strCat(
            "invalid ", kind, " profile: profile_type Localhost needs a localhost_ref"));
      profile.set_localhost_ref(std::string(reference));
      return profile;
    }
    default:
      return absl::InvalidArgumentError(support::strCat("invalid ", kind, " profile: profile_type ",
                                                        static_cast<int>(profile.profile_type()),
                                                        " is unknown"));
  }
}

}  // namespace berth::spec
