#include "result.hpp"

#include <gmock/gmock.h>

namespace berth::cni {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> addresses(std::string_view text) {
  const auto result = parseResult(text, "result", {1, 0, 0});
  EXPECT_TRUE(result.ok()) << result.status();
  return addressesOf(*result, "eth0");
}

TEST(ResultTest, ReadsTheFirstVersions) {
  EXPECT_THAT(addresses(R"({"ip4": {"ip": "10.1.2.3/24"}, "ip6": {"ip": "fd00::5/64"}})"),
              ElementsAre("10.1.2.3", "fd00::5"));
}

TEST(ResultTest, KeepsTheOrder) {
  EXPECT_THAT(addresses(R"({"cniVersion": "0.3.1", "ips": [
      {"version": "6", "address": "fd00::5/64"}, {"version": "4", "address": "10.1.2.3/24"}]})"),
              ElementsAre("fd00::5", "10.1.2.3"));
}

TEST(ResultTest, LeavesTheHostsSideOutAndPutsTheWantedInterfaceFirst) {
  EXPECT_THAT(addresses(R"({"cniVersion": "1.0.0",
      "interfaces": [{"name": "cni0"}, {"name": "net1", "sandbox": "/run/netns/a"},
                     {"name": "eth0", "sandbox": "/run/netns/a"}],
      "ips": [{"address": "10.0.0.1/24", "interface": 0}, {"address": "10.2.0.2/24", "interface": 1},
              {"address": "10.1.0.2/24", "interface": 2}]})"),
              ElementsAre("10.1.0.2", "10.2.0.2"));
}

TEST(ResultTest, LeavesOutWhatIsNoAddress) {
  EXPECT_THAT(addresses(R"({"ips": [{"address": "pool/24"}, {}, 7, {"address": ""}]})"), IsEmpty());
  EXPECT_THAT(addresses("{}"), IsEmpty());
}

TEST(ResultTest, GetsTheVersionThatWasSpoken) {
  const auto result = parseResult("{}", "result", {0, 4, 0});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->at("cniVersion"), "0.4.0");
  const auto own = parseResult(R"({"cniVersion": "0.3.1"})", "result", {0, 4, 0});
  ASSERT_TRUE(own.ok());
  EXPECT_EQ(own->at("cniVersion"), "0.3.1");
}

TEST(ResultTest, RefusesOtherDocuments) {
  EXPECT_FALSE(parseResult("", "result", kNewest).ok());
  EXPECT_FALSE(parseResult("[]", "result", kNewest).ok());
  EXPECT_FALSE(parseResult("{} trailing", "result", kNewest).ok());
}

}  // namespace
}  // namespace berth::cni
