#include "cri/plugin_list.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../plugin-host/test_host.hpp"
#include "berth/extensions.h"
#include "test_paths.hpp"

namespace berth::cri {
namespace {

namespace json = boost::json;
using plugins::Kind;
using ::testing::HasSubstr;

class PluginListTest : public ::testing::Test {
 protected:
  json::object row(std::string_view name) {
    for (const json::value& one : pluginList(registry_))
      if (one.at("name").as_string() == json::string_view(name)) return one.as_object();
    ADD_FAILURE() << "no " << name;
    return {};
  }

  plugins::testing::TestHost host_;
  plugins::Registry registry_{{test_paths::plugins}, host_.services()};
};

TEST_F(PluginListTest, SaysWhatAStartedPluginIsAndCanDo) {
  ASSERT_TRUE(registry_.load({{Kind::kRuntime, "one", "runtime", {}, {}}}).ok());
  EXPECT_EQ(row("one").at("state"), "configured");
  EXPECT_EQ(row("one").at("capabilities"), json::array());
  ASSERT_TRUE(registry_.start().ok());
  const json::object one = row("one");
  EXPECT_EQ(one.at("state"), "started");
  EXPECT_EQ(one.at("kind"), "runtime");
  EXPECT_EQ(one.at("plugin"), "test-runtime");
  EXPECT_EQ(one.at("abi"), "1.1");
  EXPECT_EQ(std::string(one.at("path").as_string()), plugins::testing::pluginPath("runtime"));
  const std::string can = json::serialize(one.at("capabilities"));
  EXPECT_THAT(can, HasSubstr(BERTH_EXTENSION_POD_RESOURCES));
  EXPECT_THAT(can, HasSubstr(BERTH_EXTENSION_PORT_FORWARD));
  EXPECT_THAT(can, ::testing::Not(HasSubstr(BERTH_EXTENSION_PAUSE)));
  EXPECT_EQ(one.at("unused"), json::array());
  EXPECT_TRUE(one.at("pods").is_null()) << "nobody has said";
}

TEST_F(PluginListTest, SaysWhatNobodyUses) {
  ASSERT_TRUE(registry_.load({{Kind::kSnapshotter, "one", "snapshotter", {}, {}}}).ok());
  ASSERT_TRUE(registry_.start().ok());
  EXPECT_EQ(row("one").at("unused"),
            (json::array{BERTH_EXTENSION_REMOTE_LAYERS, BERTH_EXTENSION_QUOTA}));
  EXPECT_THAT(unusedExtensions(*registry_.serving()[0]),
              ::testing::ElementsAre(BERTH_EXTENSION_REMOTE_LAYERS, BERTH_EXTENSION_QUOTA));
}

TEST_F(PluginListTest, SaysWhichProcessAPluginHas) {
  plugins::Wanted apart{Kind::kRuntime, "apart", "runtime", {}};
  apart.isolation = {.process = true, .program = test_paths::pluginHost};
  ASSERT_TRUE(registry_.load({{Kind::kRuntime, "one", "runtime", {}, {}}, apart}).ok());
  EXPECT_EQ(row("one").at("isolation"), "none");
  EXPECT_TRUE(row("one").at("process").is_null());
  EXPECT_EQ(row("apart").at("isolation"), "process");
  EXPECT_GT(row("apart").at("process").at("pid").to_number<int64_t>(), 0);
  EXPECT_EQ(row("apart").at("process").at("restarts").to_number<int64_t>(), 0);
}

TEST_F(PluginListTest, SaysWhatWasReplacedAndIsStillInUse) {
  const plugins::Wanted wanted{Kind::kRuntime, "one", "runtime", {}};
  ASSERT_TRUE(registry_.load({wanted}).ok());
  ASSERT_TRUE(registry_.start().ok());
  const auto user = *registry_.runtime("one");
  const plugins::Operation op("replace");
  ASSERT_TRUE(registry_.replace(op, wanted).ok());
  const json::array list = pluginList(registry_, [&](const plugins::Instance& form) {
    return &form == &user->instance() ? std::vector<std::string>{"a/b"}
                                      : std::vector<std::string>();
  });
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].at("state"), "started");
  EXPECT_EQ(list[0].at("pods").to_number<int>(), 0);
  EXPECT_EQ(list[1].at("state"), "draining");
  EXPECT_EQ(list[1].at("pods").to_number<int>(), 1);
}

class Calls final : public plugins::Observer {
 public:
  Calls() { plugins::setObserver(this); }
  ~Calls() { plugins::setObserver(nullptr); }
  void onOperation(plugins::Timeline) override {}
  void onCall(const plugins::Instance&, bool, std::chrono::nanoseconds) override { ++count; }
  int count = 0;
};

// One that hangs, or is about to go, does not hold up the list.
TEST_F(PluginListTest, AsksNoPlugin) {
  ASSERT_TRUE(registry_
                  .load({{Kind::kRuntime, "one", "runtime", {}, {}},
                         {Kind::kSnapshotter, "two", "snapshotter", {}, {}}})
                  .ok());
  ASSERT_TRUE(registry_.start().ok());
  const Calls calls;
  EXPECT_FALSE(row("one").at("capabilities").as_array().empty());
  EXPECT_FALSE(row("two").at("unused").as_array().empty());
  EXPECT_EQ(calls.count, 0);
}

TEST_F(PluginListTest, SaysWhatCouldNotBeLoaded) {
  EXPECT_FALSE(registry_.load({{Kind::kRuntime, "one", "no-such-plugin", {}, {}}}).ok());
  const json::object one = row("one");
  EXPECT_EQ(one.at("state"), "failed");
  EXPECT_EQ(one.at("plugin"), "no-such-plugin");
  EXPECT_THAT(std::string(one.at("error").as_string()), HasSubstr("berth-no-such-plugin.so"));
}

}  // namespace
}  // namespace berth::cri
