// Members of a policy's objects, each with the place that an error names.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "signatures/identity.hpp"

namespace berth::signatures {

// "<place>: <problem>".
absl::Status wrongMember(std::string_view place, std::string_view problem);
// "transports.docker.\"registry.example\"": quoted where the name is not plain.
std::string placeOf(std::string_view parent, std::string_view member);

absl::StatusOr<const boost::json::object*> objectAt(const boost::json::value& value,
                                                    std::string_view place);
absl::StatusOr<std::string> textAt(const boost::json::object& object, std::string_view member,
                                   std::string_view place);
// INVALID_ARGUMENT names a member that is none of these.
absl::Status allow(const boost::json::object& object, std::string_view place,
                   std::initializer_list<std::string_view> members);

// The member "signedIdentity"; what counts without one when there is none.
absl::StatusOr<SignedIdentity> signedIdentityOf(const boost::json::object& object,
                                                std::string_view place);

// Keys of a requirement, as they are in files or in the policy itself.
struct KeyText {
  std::string place;
  std::string text;
};
// Of exactly one of the members ("keyPath" and "keyPaths" name files, "keyData" and "keyDatas" are
// base64). Blocks on the file system.
absl::StatusOr<std::vector<KeyText>> keyTexts(const boost::json::object& object,
                                              std::string_view place,
                                              std::initializer_list<std::string_view> members);

}  // namespace berth::signatures
