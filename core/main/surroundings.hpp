// What the configuration names outside of itself: folders, files, addresses, a group.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "config/config.hpp"

namespace berth::program {

struct Surrounding {
  std::string_view what;  // in one word, for lists
  absl::Status status;    // what keeps a daemon from using it, with the key and its place
};

// All that a start needs, whether it is there or not. Makes nothing that stays, so a daemon may be
// at work. Without root's rights what only they give is taken for there. Blocks on files.
std::vector<Surrounding> checkSurroundings(const config::Config& config);

// Whether metrics can be served on their port: of no use while a daemon does so.
absl::Status checkMetricsPort(const config::Config& config);

// The longest part of an absolute path that there is.
std::string existingPart(std::string path);

}  // namespace berth::program
