// Bytes that an earlier version has written or sent (tests/fixtures): a line for each, its name and
// the bytes in hexadecimal digits.
#pragma once

#include <fstream>
#include <map>
#include <string>
#include <string_view>

namespace berth::testing {

// Name → digits.
inline std::map<std::string, std::string> recordedIn(const std::string& path) {
  std::map<std::string, std::string> lines;
  std::ifstream file(path);
  std::string name;
  std::string digits;
  while (file >> name >> digits) lines[name] = digits;
  return lines;
}

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
