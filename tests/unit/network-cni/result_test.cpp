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
  EXPECT_THAT(addresses(R"({"ips": [{"address": "10.1.2.3\n10.6.6.6\tregistry/24"},
                                    {"address": "10.1.2.3\u0000\n10.6.6.6\tregistry/24"}]})"),
              IsEmpty());
  EXPECT_THAT(addresses("{}"), IsEmpty());
}

TEST(ResultTest, GetsTheVersionThatWasSpoken) {
  const auto result = parseResult("{}", "result", {0, 4, 0});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->at("cniVersion"), "0.4.0");
}

// Parsed as a result of a version, printed again.
std::string as(Version spoken, std::string_view text) {
  const auto result = parseResult(text, "result", spoken);
  EXPECT_TRUE(result.ok()) << result.status();
  return boost::json::serialize(*result);
}

constexpr char kFamilies[] =
    R"({"cniVersion":"0.2.0","dns":{"search":["a"]},)"
    R"("ip4":{"ip":"10.1.2.3/24","gateway":"10.1.2.1","routes":[{"dst":"0.0.0.0/0"}]},)"
    R"("ip6":{"ip":"fd00::5/64","routes":[{"dst":"::/0","gw":"fd00::1"}]}})";
constexpr char kNumbered[] =
    R"({"ips":[{"address":"10.1.2.3/24","gateway":"10.1.2.1","version":"4"},)"
    R"({"address":"fd00::5/64","version":"6"}],)"
    R"("routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0","gw":"fd00::1"}],"dns":{"search":["a"]},)"
    R"("cniVersion":"0.4.0"})";
constexpr char kList[] =
    R"({"ips":[{"address":"10.1.2.3/24","gateway":"10.1.2.1"},{"address":"fd00::5/64"}],)"
    R"("routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0","gw":"fd00::1"}],"dns":{"search":["a"]},)"
    R"("cniVersion":"1.0.0"})";

// Of no importance: the order of members.
void expectSame(std::string_view one, std::string_view other) {
  EXPECT_EQ(boost::json::parse({one.data(), one.size()}),
            boost::json::parse({other.data(), other.size()}))
      << one;
}

TEST(ResultTest, AnotherVersionsFormIsTheOneThatWasSpoken) {
  for (const std::string_view given : {kFamilies, kNumbered, kList}) {
    expectSame(as({0, 2, 0}, given), kFamilies);
    expectSame(as({0, 4, 0}, given), kNumbered);
    expectSame(as({1, 0, 0}, given), kList);
  }
  expectSame(as({0, 3, 1}, R"({"cniVersion":"0.4.0","ips":[{"version":"4","address":"a/1"}]})"),
             R"({"cniVersion":"0.3.1","ips":[{"version":"4","address":"a/1"}]})");
}

TEST(ResultTest, FormsAreNotDisturbedByWhatIsNotInThem) {
  expectSame(as({1, 0, 0}, R"({"cniVersion":"0.2.0"})"), R"({"cniVersion":"1.0.0","ips":[]})");
  expectSame(as({0, 2, 0}, R"({"cniVersion":"1.0.0","ips":[7,{}],"routes":{}})"),
             R"({"cniVersion":"0.2.0"})");
  expectSame(as({0, 4, 0}, R"({"cniVersion":"1.0.0","ips":"none","extra":1})"),
             R"({"cniVersion":"0.4.0","ips":"none","extra":1})");
}

TEST(ResultTest, RefusesOtherDocuments) {
  EXPECT_FALSE(parseResult("", "result", kNewest).ok());
  EXPECT_FALSE(parseResult("[]", "result", kNewest).ok());
  EXPECT_FALSE(parseResult("{} trailing", "result", kNewest).ok());
  EXPECT_FALSE(parseResult(R"({"cniVersion": "one"})", "result", kNewest).ok());
}

}  // namespace
}  // namespace berth::cni
