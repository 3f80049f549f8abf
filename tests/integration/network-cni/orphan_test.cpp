// Plugins that outlive the daemon that ran them.
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <future>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "../../unit/no_more_threads.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "network_fixture.hpp"

namespace berth::cni_test {
namespace {

using std::chrono::seconds;
using support::strCat;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Its ADD says that it has begun, and takes an address only when it is told to go on.
class OrphanTest : public NetworkTest {
 protected:
  void SetUp() override {
    NetworkTest::SetUp();
    write("net.d/10-test.conflist", bridgeNetwork());
    for (const char* name : {"begun", "go"}) ASSERT_EQ(::mkfifo(path(name).c_str(), 0600), 0);
    // Opened for both directions, which never waits.
    go_.reset(::open(path("go").c_str(), O_RDWR | O_CLOEXEC));
    writePlugin("bridge", strCat("if [ $CNI_COMMAND = ADD ]; then\n  exec 9>", path("begun"),
                                 "\n  echo begun >&9\n  read word <", path("go"), "\nfi\n",
                                 kDebianPlugins, "/bridge"));
  }

  // A daemon that is killed while the plugin is at work.
  void attachAndBeKilled(const Pod& pod) {
    // Anew: the end of an earlier plugin would be read from it for ever.
    begun_.reset(::open(path("begun").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    const pid_t daemon = ::fork();
    ASSERT_GE(daemon, 0);
    if (daemon == 0) {
      start().attach(pod);
      ::_exit(0);
    }
    ASSERT_TRUE(readable(seconds(30)));
    char text[8];
    ASSERT_EQ(::read(begun_.get(), text, sizeof text), 6);
    ASSERT_EQ(::kill(daemon, SIGKILL), 0);
    ASSERT_EQ(::waitpid(daemon, nullptr, 0), daemon);
  }
  void goOn() { ASSERT_EQ(::write(go_.get(), "go\n", 3), 3); }
  // Once the plugin has ended nobody has the other end.
  bool pluginEnds() {
    char text[8];
    return readable(seconds(30)) && ::read(begun_.get(), text, sizeof text) == 0;
  }

  // Tells when its call waits for an orphan.
  static std::unique_ptr<TestOp> opThatTells(std::promise<void>& waits) {
    auto op = std::make_unique<TestOp>();
    op->onStage = [&waits](const std::string& stage) {
      if (stage == "wait for CNI plugins of an earlier daemon") waits.set_value();
    };
    return op;
  }

 private:
  bool readable(seconds time) {
    pollfd polled{.fd = begun_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&polled, 1, static_cast<int>(std::chrono::milliseconds(time).count())) == 1;
  }

  support::Fd go_;
  support::Fd begun_;
};

TEST_F(OrphanTest, DetachWaitsForAnAddThatIsStillAtWork) {
  const Pod pod = newPod("pod-a");
  ASSERT_NO_FATAL_FAILURE(attachAndBeKilled(pod));
  start();
  std::promise<void> waits;
  const auto op = opThatTells(waits);
  auto detached = std::async(std::launch::async, [&] { return plugin().detach(pod, {}, *op); });
  ASSERT_EQ(waits.get_future().wait_for(seconds(30)), std::future_status::ready);
  goOn();
  EXPECT_TRUE(pluginEnds());
  const Outcome outcome = detached.get();
  EXPECT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_THAT(reservations(), IsEmpty());
  EXPECT_THAT(records(), IsEmpty());
}

TEST_F(OrphanTest, CollectionWaitsLikewise) {
  const Pod pod = newPod("pod-a");
  ASSERT_NO_FATAL_FAILURE(attachAndBeKilled(pod));
  start();
  std::promise<void> waits;
  const auto op = opThatTells(waits);
  auto collected = std::async(std::launch::async, [&] { return plugin().gc({}, *op); });
  ASSERT_EQ(waits.get_future().wait_for(seconds(30)), std::future_status::ready);
  goOn();
  EXPECT_TRUE(pluginEnds());
  const Outcome outcome = collected.get();
  EXPECT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_THAT(reservations(), IsEmpty());
}

TEST_F(OrphanTest, TheNextAttachmentWaitsLikewise) {
  const Pod pod = newPod("pod-a");
  ASSERT_NO_FATAL_FAILURE(attachAndBeKilled(pod));
  start();
  // For the one that is left, and for this call's own.
  goOn();
  goOn();
  const Outcome attached = plugin().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  EXPECT_EQ(reservations(), attached.addresses);
  EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
  EXPECT_THAT(reservations(), IsEmpty());
}

TEST_F(OrphanTest, OneThatHangsIsKilled) {
  const Pod pod = newPod("pod-a");
  ASSERT_NO_FATAL_FAILURE(attachAndBeKilled(pod));
  start();
  const Outcome outcome = plugin().detach(pod);
  EXPECT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_TRUE(pluginEnds());
  EXPECT_THAT(reservations(), IsEmpty());
  EXPECT_THAT(records(), IsEmpty());
}

// An operator's pager, a backup.
TEST_F(OrphanTest, WhoOnlyReadsTheRecordIsNotKilled) {
  const Pod pod = newPod("pod-a");
  ASSERT_NO_FATAL_FAILURE(attachAndBeKilled(pod));
  start();
  ASSERT_EQ(records().size(), 1u);
  const support::Fd record(::open(path("cache/" + records()[0]).c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(record);
  auto reader = support::spawn(
      {.argv = {"sleep", "1000"}, .standardInput = record.get(), .newSession = true});
  ASSERT_TRUE(reader.ok()) << reader.status();
  const Outcome outcome = plugin().detach(pod);
  EXPECT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_TRUE(pluginEnds());
  pollfd ended{.fd = reader->pidfd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&ended, 1, 0), 0) << "it was killed";
}

TEST_F(OrphanTest, WithoutAThreadOnlyTheEventIsMissing) {
  const testing_support::NoMoreThreads shortage;
  EXPECT_THAT(start().log(), HasSubstr("CNI configuration is not watched"));
}

TEST_F(OrphanTest, TheCallsEndComesFirst) {
  const Pod pod = newPod("pod-a");
  ASSERT_NO_FATAL_FAILURE(attachAndBeKilled(pod));
  start();
  const TestOp op(seconds(1));
  const Outcome outcome = plugin().detach(pod, {}, op);
  EXPECT_EQ(outcome.code, BERTH_DEADLINE_EXCEEDED);
  EXPECT_THAT(outcome.message, HasSubstr("at work"));
  goOn();
  EXPECT_TRUE(pluginEnds());
  const Outcome again = plugin().detach(pod);
  EXPECT_TRUE(again.ok()) << again.message;
  EXPECT_THAT(reservations(), IsEmpty());
}

}  // namespace
}  // namespace berth::cni_test
