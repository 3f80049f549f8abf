#include "common/place.hpp"

#include <gtest/gtest.h>

namespace berth::common {
namespace {

TEST(Place, OfAnOptionIsThatOfTheNearestThingAboveIt) {
  const Place place{"f:1:1",
                    {{"registries", "f:3:1"},
                     {"registries.\"registry.example\"", "f:4:1"},
                     {"registries.\"registry.example\".mirrors", "f:5:1"},
                     {"registries.\"registry.example\".mirrors[1]", "f:6:3"}}};
  const std::pair<const char*, const char*> cases[] = {
      {"registries", "f:3:1"},
      {"registries.\"registry.example\".mirrors[1]", "f:6:3"},
      {"registries.\"registry.example\".mirrors[0]", "f:5:1"},
      {"registries.\"registry.example\".ca", "f:4:1"},
      {"registries.\"registry.example:5000\".ca", "f:3:1"},
      {"registries.\"a\\\".b\".ca", "f:3:1"},
      {"other", "f:1:1"},
      {"other[3].x", "f:1:1"},
      {"", "f:1:1"},
      {"[", "f:1:1"},
      {"\"", "f:1:1"}};
  for (const auto& [path, expected] : cases) EXPECT_EQ(place.ofOption(path), expected) << path;
}

}  // namespace
}  // namespace berth::common
