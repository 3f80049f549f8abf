// Pods whose network cannot be detached, and which a person lets end all the same.
#include <sqlite3.h>

#include "engine/network_request.hpp"
#include "fixture.hpp"

namespace berth::engine::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AbandonedNetworkTest : public EngineTest {
 protected:
  const Answer gone_{.code = BERTH_FAILED_PRECONDITION, .message = "no program"};
  const std::string detach_ = strCat("net detach ", id('a'));
  const std::string abandon_ = strCat("net abandon ", id('a'));  // the same, for the last time

  // One that is attached.
  void keepAttached(char digit, records::PodState state = records::POD_READY,
                    const std::string& network = "net") {
    records::PodRecord record = podRecord(digit, state);
    record.mutable_network()->set_wanted(true);
    record.mutable_network()->set_network(network);
    record.mutable_network()->add_addresses(strCat("10.0.0.", std::string(1, digit)));
    keep(record);
  }
  void SetUp() override {
    world_.set(detach_, gone_);
    world_.set(abandon_, gone_);
  }

  void startStuck() {
    keepAttached('a');
    start();
    const absl::Status stopped = engine_->stopPodSandbox(id('a'), soon());
    EXPECT_THAT(std::string(stopped.message()), HasSubstr("detach the network: no program"));
  }
  // The pod's end, which hangs where it detaches the network.
  void expectNotWaitedFor(const std::function<absl::Status()>& end) {
    startStuck();
    std::promise<void> hang;
    world_.set(detach_, {.until = hang.get_future().share()});
    const size_t tried = world_.count(detach_);
    auto ended = std::async(std::launch::async, end);
    EXPECT_TRUE(world_.await(detach_, tried + 1));
    const auto lost = engine_->abandonNetwork(id('a').substr(0, 8), soon());
    EXPECT_TRUE(lost.ok()) << lost.status();
    EXPECT_EQ(kept('a').state(), records::POD_STOPPED);
    hang.set_value();
    (void)ended.get();
  }
  void expectRefused(const std::string& pod, const std::string& words) {
    const absl::Status status = engine_->abandonNetwork(pod, soon()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }
  void execute(const std::string& sql) {
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open((directory_ / "berth.db").c_str(), &other), SQLITE_OK);
    sqlite3_busy_timeout(other, 30000);
    EXPECT_EQ(sqlite3_exec(other, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(other);
    sqlite3_close(other);
  }
};

TEST_F(AbandonedNetworkTest, ThePodEndsWithoutIt) {
  startStuck();
  const size_t tried = world_.count(detach_);
  const auto lost = engine_->abandonNetwork("default/pod-a", soon());
  ASSERT_TRUE(lost.ok()) << lost.status();
  EXPECT_EQ(lost->pod, id('a'));
  EXPECT_EQ(lost->network, "net");
  EXPECT_THAT(lost->addresses, ElementsAre("10.0.0.a"));
  EXPECT_EQ(lost->unfinished, "");
  EXPECT_EQ(world_.count(abandon_), 1u);
  EXPECT_EQ(world_.count(strCat("runc pod_remove ", id('a'))), 1u);
  EXPECT_EQ(kept('a').state(), records::POD_STOPPED);
  EXPECT_FALSE(kept('a').network().wanted());
  EXPECT_TRUE(world_.await("net gc")) << "the network is told that nothing of it is wanted";
  const auto again = engine_->abandonNetwork(id('a'), soon());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->addresses, lost->addresses) << "who asks again hears the same";
  EXPECT_EQ(world_.count(abandon_), 1u);
  EXPECT_TRUE(engine_->removePodSandbox(id('a'), soon()).ok());
  EXPECT_EQ(world_.count(detach_), tried);
}

// Which is not the one of new pods when that was changed since.
TEST_F(AbandonedNetworkTest, TheNetworkThatHadItCollects) {
  networks_ = {"net", "former"};
  keepAttached('a', records::POD_READY, "former");
  world_.set(strCat("former detach ", id('a')), gone_);
  start();
  EXPECT_FALSE(engine_->stopPodSandbox(id('a'), soon()).ok());
  EXPECT_EQ(world_.count("former gc"), 0u);
  const auto lost = engine_->abandonNetwork(id('a'), soon());
  ASSERT_TRUE(lost.ok()) << lost.status();
  EXPECT_EQ(lost->network, "former");
  EXPECT_TRUE(world_.await("former gc"));
}

TEST_F(AbandonedNetworkTest, NobodyGetsByWithoutATry) {
  keepAttached('a');
  start();
  expectRefused(id('a'), "is ready");
  EXPECT_EQ(world_.count(abandon_), 0u);
  EXPECT_TRUE(kept('a').network().wanted());
  EXPECT_EQ(engine_->abandonNetwork("pod-b", soon()).status().code(), absl::StatusCode::kNotFound);
}

// A pod cannot have itself forgotten.
TEST_F(AbandonedNetworkTest, OnlyAnOperatorAbandons) {
  records::PodRecord record = podRecord('a', records::POD_STOPPING);
  record.mutable_network()->set_wanted(true);
  record.mutable_network()->set_network("net");
  (*record.mutable_config()->mutable_annotations())[BERTH_NETWORK_ABANDONED] = "true";
  keep(record);
  start();
  EXPECT_TRUE(world_.await(detach_));
  EXPECT_EQ(world_.count(abandon_), 0u);
}

TEST_F(AbandonedNetworkTest, WhatRunsKeepsItsAddress) {
  keep(containerRecord('c', 'a'));
  world_.set(strCat("runc pod_stop ", id('a')), {.code = BERTH_INTERNAL, .message = "it runs on"});
  world_.set(strCat("runc pod_recover ", id('a')),
             {.containers = {{.id = id('c'), .startedAt = 1}}});
  keepAttached('a', records::POD_STOPPING);
  start();
  ASSERT_TRUE(world_.await(detach_));
  ASSERT_TRUE(eventually([&] {
    const absl::Status status = engine_->abandonNetwork(id('a'), soon()).status();
    return support::fromAbsl(status.message()).find(id('c')) != std::string_view::npos;
  }));
  EXPECT_TRUE(kept('a').network().wanted());
}

TEST_F(AbandonedNetworkTest, ADetachThatHangsIsNotWaitedFor) {
  expectNotWaitedFor([this] { return engine_->stopPodSandbox(id('a'), Deadline::max()); });
}

TEST_F(AbandonedNetworkTest, NorIsOneOfARemoval) {
  expectNotWaitedFor([this] { return engine_->removePodSandbox(id('a'), Deadline::max()); });
}

// Nor is one that nobody has asked for: what the start goes on with is tried for a minute.
TEST_F(AbandonedNetworkTest, ATryThatHangsIsNotWaitedForEither) {
  keepAttached('a', records::POD_STOPPING);
  start();
  ASSERT_TRUE(world_.await(detach_));
  std::promise<void> never;
  world_.set(detach_, {.until = never.get_future().share()});
  ASSERT_TRUE(world_.await(detach_, world_.count(detach_) + 1));
  const auto lost = engine_->abandonNetwork(id('a'), soon());
  EXPECT_TRUE(lost.ok()) << lost.status();
  EXPECT_EQ(kept('a').state(), records::POD_STOPPED);
}

// What a daemon that died in between leaves to the next one.
TEST_F(AbandonedNetworkTest, TheNextDaemonDoesNotAskForItEither) {
  world_.set(strCat("runc pod_remove ", id('a')), {.code = BERTH_UNAVAILABLE, .message = "later"});
  startStuck();
  const auto lost = engine_->abandonNetwork(id('a'), soon());
  ASSERT_TRUE(lost.ok()) << lost.status();
  EXPECT_THAT(lost->unfinished, HasSubstr("later"));
  EXPECT_EQ(kept('a').state(), records::POD_STOPPING);
  const size_t tried = world_.count(detach_);
  stop();
  world_.set(strCat("runc pod_remove ", id('a')), {});
  start();
  EXPECT_TRUE(eventually([&] { return kept('a').state() == records::POD_STOPPED; }));
  EXPECT_EQ(world_.count(detach_), tried);
}

TEST_F(AbandonedNetworkTest, WhatIsNotKeptIsNotSo) {
  startStuck();
  execute(strCat("CREATE TRIGGER refuse BEFORE INSERT ON records WHEN NEW.id = '", id('a'),
                 "' BEGIN SELECT RAISE(ABORT, 'refused'); END"));
  EXPECT_FALSE(engine_->abandonNetwork(id('a'), soon()).ok());
  execute("DROP TRIGGER refuse");
  const size_t tried = world_.count(detach_);
  EXPECT_FALSE(engine_->stopPodSandbox(id('a'), soon()).ok());
  EXPECT_EQ(world_.count(detach_), tried + 1);
  EXPECT_TRUE(engine_->abandonNetwork(id('a'), soon()).ok());
}

TEST_F(AbandonedNetworkTest, APodThatWasNeverWholeIsGone) {
  keepAttached('a', records::POD_CREATING);
  start();
  ASSERT_TRUE(eventually([&] { return engine_->abandonNetwork(id('a'), soon()).ok(); }));
  EXPECT_TRUE(absl::IsNotFound(store_->get(kPodKind, id('a')).status()));
  EXPECT_FALSE(support::pathExists(directory_ / strCat("state/pods/", id('a'))));
}

TEST_F(AbandonedNetworkTest, WhatMayMeanSeveralIsAskedFor) {
  for (const char digit : {'a', 'b'}) {
    records::PodRecord record = podRecord(digit, records::POD_STOPPED);
    record.mutable_config()->mutable_metadata()->set_name("web");
    keep(record);
  }
  start();
  for (const char* pod : {"web", "default/web"}) {
    const absl::Status status = engine_->abandonNetwork(pod, soon()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(id('a')), HasSubstr(id('b'))));
  }
  EXPECT_EQ(engine_->abandonNetwork("", soon()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace berth::engine::testing
