// Where something was configured.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace berth::common {

// For messages: "/etc/berth/berth.toml:12:1".
struct Place {
  std::string text = "built-in default";
  // Of what is in the options of a plugin, by path: `bin_dirs[1]`, `registries."a.example".ca`.
  std::map<std::string, std::string, std::less<>> options;

  // Of that option, or of the nearest thing above it that was written somewhere.
  const std::string& ofOption(std::string_view path) const;

  // Two configurations are the same wherever they were written down.
  friend bool operator==(const Place&, const Place&) { return true; }
};

}  // namespace berth::common
