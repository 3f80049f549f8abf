#include "berth/support/address.hpp"

#include <gtest/gtest.h>

namespace berth::support {
namespace {

using namespace std::string_view_literals;

TEST(AddressTest, KnowsBothFamilies) {
  for (const std::string_view text : {"10.1.2.3", "0.0.0.0", "::", "fd00::5", "::ffff:10.1.2.3"})
    EXPECT_TRUE(isAddress(text)) << text;
}

TEST(AddressTest, TakesNothingElse) {
  for (const std::string_view text :
       {""sv, "pool"sv, "10.1.2"sv, "10.1.2.3/24"sv, "10.1.2.3 "sv, " 10.1.2.3"sv, "10.1.2.3\n"sv,
        "10.1.2.3\nevil"sv, "10.1.2.3\0"sv, "10.1.2.3\0\n10.6.6.6\tregistry"sv, "fd00::5\0\n"sv,
        "fe80::1%eth0"sv, "010.1.2.3.4"sv, "fd00::5::"sv})
    EXPECT_FALSE(isAddress(text)) << text;
}

}  // namespace
}  // namespace berth::support
