// Values as TOML writes them (TOML 1.0).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

namespace berth::config {

// A basic string, on one line.
std::string quote(std::string_view text);

// Bare where TOML allows it, otherwise quoted.
std::string keyText(std::string_view key);

// The shortest text that reads back as the same number, and never as an integer.
std::string floatText(double number);

std::string arrayText(const std::vector<std::string>& elements);

// As a value: objects become inline tables. Null, which TOML lacks, must not occur in `value`.
std::string valueText(const boost::json::value& value);

// The members of `object` under the header [path]; objects in it get headers of their own.
std::string tableText(const boost::json::object& object, const std::string& path);

}  // namespace berth::config
