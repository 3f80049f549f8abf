// Guesses at what a mistyped name was meant to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace berth::support {

// The number of characters to insert, remove, replace or swap with their neighbour to get from one
// to the other.
size_t editDistance(std::string_view a, std::string_view b);

// The candidate nearest to `name`, or nothing when none is near enough to be meant.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace berth::support
