// What plugins are asked, and in which form, in each version of the specification.
#include <algorithm>
#include <sstream>

#include <gmock/gmock.h>

#include "berth/support/status.hpp"
#include "network_fixture.hpp"

namespace berth::cni_test {
namespace {

using support::strCat;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Asked {
  const char* version;
  bool hasCheck;
  bool hasGc;  // and STATUS
};

class VersionsTest : public NetworkTest, public ::testing::WithParamInterface<Asked> {
 protected:
  // Two plugins that note what they are asked; the first answers ADD with `first`, the second with
  // what the first has given, as most do.
  void writeNetwork(const std::string& first) {
    writePlugin("one", strCat(kNote, path("log"), "; [ $CNI_COMMAND = ADD ] && printf '%s' '",
                              first, "'; exit 0"));
    writePlugin("two", strCat(kNote, path("log"),
                              "; [ $CNI_COMMAND = ADD ] && printf '%s' \"$asked\" | "
                              "sed 's/.*\"prevResult\"://; s/}$//'; exit 0"));
    write("net.d/10-net.conflist",
          strCat(R"({"cniVersion": ")", GetParam().version,
                 R"(", "name": "net", "plugins": [{"type": "one"}, {"type": "two"}]})"));
  }

  // "VERB of plugin", in order; each was asked in the version of the configuration.
  std::vector<std::string> asked() {
    std::vector<std::string> verbs;
    std::istringstream lines(read("log"));
    std::string verb;
    std::string config;
    while (lines >> verb && std::getline(lines, config)) {
      EXPECT_THAT(config, HasSubstr(strCat(R"("cniVersion":")", GetParam().version, "\"")));
      EXPECT_THAT(config, Not(HasSubstr("capabilities")));
      verbs.push_back(verb);
      last_ = config;
    }
    write("log", "");
    return verbs;
  }

  std::string answer(std::string_view version) const {
    const std::string_view numbered = version < "1" ? R"("version":"4",)" : "";
    return strCat(R"({"cniVersion":")", version, R"(","interfaces":[],"ips":[{)", numbered,
                  R"("address":"10.1.2.3/24"}]})");
  }

  static constexpr char kNote[] =
      "asked=$(cat); printf '%s\\n' \"$CNI_COMMAND:${0##*/} $asked\" >> ";
  std::string last_;  // the configuration of the last call that asked() has seen
};

TEST_P(VersionsTest, OnlyTheVerbsThatItHas) {
  writeNetwork(answer(GetParam().version));
  const Pod pod = newPod("pod-a");
  start();
  EXPECT_TRUE(plugin().status().ok());
  EXPECT_EQ(asked(), GetParam().hasGc ? std::vector<std::string>({"STATUS:one", "STATUS:two"})
                                      : std::vector<std::string>());

  const Outcome attached = plugin().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  EXPECT_THAT(attached.addresses, ElementsAre("10.1.2.3"));
  EXPECT_THAT(attached.result, HasSubstr(strCat(R"("cniVersion":")", GetParam().version, "\"")));
  EXPECT_THAT(asked(), ElementsAre("ADD:one", "ADD:two"));
  EXPECT_THAT(last_, HasSubstr(R"("prevResult":)"));

  const Outcome checked = plugin().check(pod, attached.state);
  EXPECT_TRUE(checked.ok()) << checked.message;
  EXPECT_EQ(asked(), GetParam().hasCheck ? std::vector<std::string>({"CHECK:one", "CHECK:two"})
                                         : std::vector<std::string>());

  EXPECT_TRUE(plugin().gc({{pod.id, attached.state}}).ok());
  EXPECT_EQ(asked(), GetParam().hasGc ? std::vector<std::string>({"GC:one", "GC:two"})
                                      : std::vector<std::string>());

  EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
  EXPECT_THAT(asked(), ElementsAre("DEL:two", "DEL:one"));
  // DEL has got the result since CHECK exists.
  EXPECT_EQ(last_.find(R"("prevResult")") != std::string::npos, GetParam().hasCheck);
}

// A plugin that answers in another version than it was asked in.
TEST_P(VersionsTest, TheNextPluginGetsTheResultInItsForm) {
  for (const char* other : {"0.3.1", "0.4.0", "1.0.0", "1.1.0"}) {
    writeNetwork(answer(other));
    const Pod pod = newPod(strCat("pod-", other));
    const Outcome attached = start().attach(pod);
    ASSERT_TRUE(attached.ok()) << attached.message;
    EXPECT_THAT(attached.addresses, ElementsAre("10.1.2.3")) << other;
    EXPECT_THAT(asked(), ElementsAre("ADD:one", "ADD:two"));
    const std::string previous = last_.substr(last_.find(R"("prevResult")"));
    EXPECT_THAT(previous, HasSubstr(strCat(R"("cniVersion":")", GetParam().version, "\"")));
    EXPECT_EQ(previous.find(R"("version":"4")") != std::string::npos,
              std::string_view(GetParam().version) < "1")
        << previous;
    EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
    asked();
  }
}

// Loopback is up though no configuration names its plugin, and none was run.
TEST_P(VersionsTest, LoopbackNeedsNoPlugin) {
  writeNetwork(answer(GetParam().version));
  writePlugin("loopback", strCat(kNote, path("log"), "; exit 1"));
  const Pod pod = newPod("pod-a");
  const Outcome attached = start().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  EXPECT_THAT(asked(), ElementsAre("ADD:one", "ADD:two"));
  PodServer server(pod);
  std::string heard;
  inNamespace(pod, [&] { heard = fetch("127.0.0.1", server.port()); });
  EXPECT_EQ(heard, "hello");
  EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
}

TEST_P(VersionsTest, WhatIsNoAddressIsNone) {
  writeNetwork(strCat(R"({"cniVersion":")", GetParam().version,
                      R"(","ips":[{"version":"4","address":"10.1.2.3\n10.6.6.6\tregistry/24"},)"
                      R"({"version":"4","address":"10.1.2.3\u0000\n10.6.6.6\tregistry/24"},)"
                      R"({"version":"4","address":"localhost/8"}]})"));
  const Pod pod = newPod("pod-a");
  const Outcome attached = start().attach(pod);
  EXPECT_THAT(attached.message, HasSubstr("no address"));
  EXPECT_THAT(attached.addresses, IsEmpty());
  EXPECT_THAT(asked(), ElementsAre("ADD:one", "ADD:two", "DEL:two", "DEL:one"));
}

INSTANTIATE_TEST_SUITE_P(Each, VersionsTest,
                         ::testing::Values(Asked{"0.3.1", false, false},
                                           Asked{"0.4.0", true, false}, Asked{"1.0.0", true, false},
                                           Asked{"1.1.0", true, true}),
                         [](const auto& one) {
                           std::string name = one.param.version;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace berth::cni_test
