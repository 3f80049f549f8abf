#include "common/place.hpp"

#include <vector>

namespace berth::common {

namespace {

// Where the last part of the path begins, at its "." or "["; npos when it has one part.
size_t lastPart(std::string_view path) {
  size_t last = std::string_view::npos;
  bool quoted = false;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '\\' && quoted) {
      ++i;
    } else if (path[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && i > 0 && (path[i] == '.' || path[i] == '[')) {
      last = i;
    }
  }
  return last;
}

}  // namespace

const std::string& Place::ofOption(std::string_view path) const {
  for (;;) {
    const auto found = options.find(path);
    if (found != options.end()) return found->second;
    const size_t last = lastPart(path);
    if (last == std::string_view::npos) return text;
    path = path.substr(0, last);
  }
}

}  // namespace berth::common
