// Checks and small builders that the parts of a specification share.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <boost/json.hpp>
#include <google/protobuf/map.h>

#include "berth/support/json.hpp"

namespace berth::spec {

// INVALID_ARGUMENT with `what` when `text` cannot stand in a specification: a zero byte, which no
// system call takes, or bytes that are not UTF-8, which JSON cannot hold.
absl::Status checkText(std::string_view text, std::string_view what);

// The text with U+FFFD in place of each byte that is not UTF-8, so that it can stand in JSON and in
// messages.
std::string replaceNonUtf8(std::string_view text);

// The path without "//", "." and "..", as if nothing were a link; "/a/b" for "/a/./c/../b/". A
// relative path stays relative.
std::string cleanPath(std::string_view path);

// Whether `path` is `above` or lies below it; both absolute and clean.
bool liesBelow(std::string_view path, std::string_view above);

using support::jsonTexts;

// In the order of the keys: what is built from it is then the same each time.
template <class Value>
std::map<std::string, Value> sorted(const google::protobuf::Map<std::string, Value>& map) {
  return {map.begin(), map.end()};
}

}  // namespace berth::spec
