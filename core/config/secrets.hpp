// What of a configuration is nobody's to read who may only ask what it is.
#pragma once

#include <string_view>

#include <boost/json/value.hpp>

#include "config/keys.hpp"

namespace berth::config {

// Stands in for a secret.
inline constexpr std::string_view kHidden = "(hidden)";

// The value without the secrets in it: the values of members called `headers`, of those whose names
// speak of a secret (password, secret, token, auth, credentials, also as the last word of several),
// and what proves a right within a URL, up to its "@". Empty values and paths stay.
boost::json::value withoutSecrets(const boost::json::value& value);
Value withoutSecrets(const Value& value);

}  // namespace berth::config
