#include "engine/filesystems.hpp"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace berth::engine {
namespace {

// Of the mount that lies on `point`.
std::string sourceOf(const std::string& point) {
  std::ifstream mounts("/proc/self/mounts");
  std::string line;
  std::string found;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string source;
    std::string target;
    fields >> source >> target;
    if (target == point) found = source;
  }
  return found;
}

TEST(DeviceOfTest, IsWhatIsMountedThere) {
  EXPECT_EQ(deviceOf("/proc"), sourceOf("/proc"));
  EXPECT_EQ(deviceOf("/proc/self/fd"), sourceOf("/proc"));
  EXPECT_EQ(deviceOf("/"), sourceOf("/"));
}

TEST(DeviceOfTest, ANameThatBeginsAlikeIsAnotherPlace) {
  // "/proc" is no folder above "/processes".
  EXPECT_NE(deviceOf("/usr"), "");
  EXPECT_EQ(deviceOf("/does/not/exist"), "");
}

}  // namespace
}  // namespace berth::engine
