// A lookaside store: where signatures lie that registries do not take (containers-registries.d(5)).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "url.hpp"

namespace berth::registry {

// Either one; a path has no '/' at its end.
struct Lookaside {
  std::optional<Url> url;
  std::string folder;

  bool empty() const { return !url && folder.empty(); }
};

// INVALID_ARGUMENT unless it is an http, https or file URL without a query.
absl::StatusOr<Lookaside> parseLookaside(std::string_view text);

// "/repository@sha256=<digits>/signature-<number>", counted from 1. `digest` has passed
// checkDigest.
std::string lookasidePath(std::string_view repository, std::string_view digest, size_t number);

// A signature in a folder. NOT_FOUND when there is none of that number, RESOURCE_EXHAUSTED past
// `limit` bytes.
absl::StatusOr<std::string> readLookaside(const std::string& path, size_t limit);

}  // namespace berth::registry
