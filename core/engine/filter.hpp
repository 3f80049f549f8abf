// What the CRI's filters have in common.
#pragma once

#include <algorithm>
#include <string>

namespace berth::engine {

// Each pair of the selector is among the labels.
template <class Map>
bool matchesLabels(const Map& selector, const Map& labels) {
  return std::all_of(selector.begin(), selector.end(), [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

// An id may be given by its beginning; an empty one is any.
inline bool matchesId(const std::string& given, const std::string& id) {
  return id.compare(0, given.size(), given) == 0;
}

}  // namespace berth::engine
