// Bytes that a version has written or sent (tests/fixtures): a line for each, its name and the
// bytes in hexadecimal digits.
#pragma once

#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "recorded_versions.hpp"

namespace berth::testing {

class RecordedBytes {
 public:
  RecordedBytes(const std::string& version, const std::string& fixture)
      : hasAll_(version == recordedVersions().back()) {
    std::ifstream file(fixtureOf(version, fixture));
    std::string name;
    std::string digits;
    while (file >> name >> digits) lines_[name] = digits;
  }

  // The digits; none for what is newer than the version. The last version has all: what it lacks is
  // empty, which is no message.
  std::optional<std::string> find(const std::string& name) const {
    const auto line = lines_.find(name);
    if (line != lines_.end()) return line->second;
    return hasAll_ ? std::optional<std::string>("") : std::nullopt;
  }

 private:
  bool hasAll_;
  std::map<std::string, std::string> lines_;
};

inline std::string bytesOf(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

inline std::string digitsOf(std::string_view bytes) {
  std::string digits;
  for (const char c : bytes) {
    digits += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    digits += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return digits;
}

}  // namespace berth::testing
