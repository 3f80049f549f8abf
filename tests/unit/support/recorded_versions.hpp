// The versions that have recorded what they keep (tests/fixtures/record): what is read of one is
// read of each. gtest fails a suite that is instantiated for none.
#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "test_paths.hpp"

namespace berth::testing {

inline std::string fixtureOf(const std::string& version, const std::string& name) {
  return std::string(test_paths::fixtures) + "/" + version + "/" + name;
}

// Oldest first.
inline std::vector<std::string> recordedVersions() {
  std::vector<std::string> versions;
  for (const auto& folder : std::filesystem::directory_iterator(test_paths::fixtures)) {
    const std::string name = folder.path().filename();
    if (std::filesystem::exists(fixtureOf(name, "berth.db"))) versions.push_back(name);
  }
  std::sort(versions.begin(), versions.end(), [](const std::string& one, const std::string& other) {
    return ::strverscmp(one.c_str(), other.c_str()) < 0;
  });
  return versions;
}

}  // namespace berth::testing
