// memory.oom.group, which systemd writes at moments of its own choice.
#include <chrono>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "oom_group_keeper.hpp"

namespace berth::runc {
namespace {

using support::strCat;

class OomGroupKeeperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    raw_.size = sizeof raw_;
    raw_.log = [](void*, berth_log_level, berth_str, const berth_pair*, size_t) {};
    ASSERT_TRUE(support::makeDirectories(cgroup_).ok());
    write("0");
  }
  void TearDown() override { EXPECT_TRUE(support::removeTree(bundle_).ok()); }

  void want(const std::string& unified) {
    ASSERT_TRUE(
        support::replaceFile(bundle_ + "/config.json",
                             strCat(R"({"linux": {"resources": {"unified": {)", unified, "}}}}"),
                             0600, support::Durability::kVisible)
            .ok());
  }
  // In place, as a control file is.
  void write(const std::string& text) { std::ofstream(file_, std::ios::trunc) << text; }
  bool becomes(const std::string& text) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (support::readFile(file_).value_or("") != text) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  berth_host raw_{};
  Host host_{&raw_};
  const std::string bundle_ = strCat(::testing::TempDir(), "/berth-oom-group");
  const std::string cgroup_ = bundle_ + "/cgroup";
  const std::string file_ = cgroup_ + "/memory.oom.group";
};

TEST_F(OomGroupKeeperTest, WhatIsSetBackIsWrittenAgain) {
  OomGroupKeeper keeper(host_);
  want(R"("memory.oom.group": "1")");
  keeper.keep(bundle_, cgroup_);
  EXPECT_TRUE(becomes("1")) << "what was set back before";
  for (int repeat = 0; repeat < 3; ++repeat) {
    write("0");
    EXPECT_TRUE(becomes("1"));
  }
  // An update counts from then on.
  want(R"("memory.oom.group": "0")");
  write("1");
  EXPECT_TRUE(becomes("0"));
}

TEST_F(OomGroupKeeperTest, WhatNobodyAskedForIsLeft) {
  OomGroupKeeper keeper(host_);
  want(R"("memory.high": "4096")");
  keeper.keep(bundle_, cgroup_);
  write("1");
  write("0");
  keeper.stop();
  EXPECT_EQ(*support::readFile(file_), "0");
}

// Of a container that has ended meanwhile.
TEST_F(OomGroupKeeperTest, ACgroupThatIsGoneIsForgotten) {
  OomGroupKeeper keeper(host_);
  want(R"("memory.oom.group": "1")");
  keeper.keep(bundle_, cgroup_ + "/none");
  keeper.keep(bundle_, cgroup_);
  EXPECT_TRUE(becomes("1"));
  EXPECT_TRUE(support::removeTree(cgroup_).ok());
  ASSERT_TRUE(support::makeDirectories(cgroup_).ok());
  write("0");
  keeper.keep(bundle_, cgroup_);
  EXPECT_TRUE(becomes("1")) << "another one in its place";
}

}  // namespace
}  // namespace berth::runc
