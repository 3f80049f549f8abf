// The packets that keepers and plugins of version 0.1 sent each other (tests/fixtures).
#pragma once

#include <fstream>
#include <map>
#include <string>

#include "test_paths.hpp"

namespace berth::kata::test {

// A line for each: its name, and the packet in hexadecimal digits.
inline std::map<std::string, std::string> recorded() {
  std::map<std::string, std::string> packets;
  std::ifstream file(std::string(test_paths::fixtures) + "/0.1/keeper-packets");
  std::string name;
  std::string packet;
  while (file >> name >> packet) packets[name] = packet;
  return packets;
}

inline std::string bytesOf(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

}  // namespace berth::kata::test
