// The forms that results have had in the versions of the specification.
#pragma once

#include <boost/json.hpp>

#include "version.hpp"

namespace berth::cni {

// A result of version `from` as one of version `to`, for plugins that answer in another version
// than they were asked in: the next plugin of the chain, CHECK and DEL read it in the one they are
// asked in. What the other version has no place for is left out.
boost::json::object inVersion(boost::json::object result, const Version& from, const Version& to);

}  // namespace berth::cni
