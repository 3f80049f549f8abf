// The options of a plugin, checked against what it declares.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace berth::plugins {

// Checks `given` against `declaration` (berth_plugin.options) and fills in defaults. Unknown keys,
// wrong types and missing required options are all reported in one INVALID_ARGUMENT, a line for
// each that begins with "option PATH: "; a declaration that is no such array is
// FAILED_PRECONDITION.
absl::StatusOr<boost::json::object> resolveOptions(std::string_view declaration,
                                                   const boost::json::object& given);

// Whether an option of the declared type `type` may have that value; never for an unknown type.
bool hasOptionType(const boost::json::value& value, std::string_view type);

}  // namespace berth::plugins
