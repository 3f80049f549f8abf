// Which images of a file are taken into the engine's own, and by which names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "images/manifest.hpp"
#include "images/short_names.hpp"

namespace berth::images {

struct ImportChoice {
  plugins::Descriptor descriptor;  // of its manifest or index
  std::vector<std::string> names;  // complete ones
};

// From the index of all that a file has (Locator::resolveFile), each with a name, a bare tag, or
// none. Without `wanted` all that have a
// name, each once; with it those that are wanted, where a name that the file does not have is given
// to what has none: its only image, or the one with that tag. Of several images of one name the
// platform's is taken.
// A short name means the first of its names that the file has, or the first of them.
// INVALID_ARGUMENT when no image has a name, NOT_FOUND for a wanted one that is not there, both
// naming what is.
absl::StatusOr<std::vector<ImportChoice>> chooseImports(const Index& index,
                                                        const std::vector<std::string>& wanted,
                                                        const Platform& platform,
                                                        const ShortNames& shortNames);

}  // namespace berth::images
