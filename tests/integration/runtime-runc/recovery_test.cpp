// Deaths: of the host, of a monitor, of both.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "berth/support/files.hpp"
#include "fixture.hpp"

namespace berth::test {
namespace {

using ::testing::PrintToString;

support::Fd openProcess(int64_t pid) {
  return support::Fd(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
}

bool endsSoon(const support::Fd& pidfd) {
  pollfd polled{.fd = pidfd.get(), .events = POLLIN};
  return ::poll(&polled, 1, 30000) == 1;
}

class Recovery : public RuntimeTest {
 protected:
  void killMonitor(const Pod& pod) {
    const pid_t monitor = monitorOf(pod);
    ASSERT_GT(monitor, 1);
    const support::Fd pidfd = openProcess(monitor);
    ASSERT_TRUE(pidfd);
    ASSERT_EQ(::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0), 0);
    ASSERT_TRUE(endsSoon(pidfd));
  }
};

TEST_F(Recovery, ContainersGoOnAndExitsInTheGapAreKnown) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  std::vector<Container> running;
  for (int i = 0; i < 3; ++i) {
    running.push_back(newContainer(pod, {"sh", "-c", "echo on; sleep 1000"}));
    run(pod, running.back());
  }
  const Container ends = newContainer(pod, {"sh", "-c", "read line; exit 9"});
  const Status started = run(pod, ends);
  const Container fresh = newContainer(pod, {"true"});
  ASSERT_TRUE(create(pod, fresh).ok());
  const support::Fd pidfd = openProcess(started.pid);
  stopPlugin();
  // Its stdin is /dev/null: it may have ended already.
  if (pidfd) {
    ASSERT_TRUE(endsSoon(pidfd));
  }
  restart();
  std::map<std::string, Status> found;
  const Result recovered = plugin().podRecover(pod.id, pod.directory, pod.state, &found);
  ASSERT_TRUE(recovered.ok()) << PrintToString(recovered);
  EXPECT_EQ(found.size(), 5u);
  for (const Container& container : running) {
    EXPECT_EQ(found[container.id].state, BERTH_CONTAINER_RUNNING);
    EXPECT_GT(found[container.id].pid, 0);
  }
  const Status ended = waitFor(pod, ends);
  EXPECT_EQ(ended.exitCode, 9);
  EXPECT_EQ(found[fresh.id].state, BERTH_CONTAINER_CREATED);
  // The new host has the pod in hand.
  ASSERT_TRUE(plugin().containerStart(pod.id, fresh.id).ok());
  EXPECT_EQ(waitFor(pod, fresh).exitCode, 0);
  EXPECT_EQ(plugin().containerStats(pod.id, {running[0].id}).size(), 1u);
  ASSERT_TRUE(plugin().containerKill(pod.id, running[0].id, SIGKILL).ok());
  EXPECT_TRUE(plugin().events().await(BERTH_EVENT_CONTAINER_EXITED, running[0].id).has_value());
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

TEST_F(Recovery, APodWhoseStateWasNeverSavedCanBeRemoved) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  run(pod, newContainer(pod, {"sleep", "1000"}));
  restart();
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

TEST_F(Recovery, ADeadMonitorIsALostPod) {
  Pod pod = newPod();
  pod.namespaces |= BERTH_NAMESPACE_PID;
  ASSERT_TRUE(create(pod).ok());
  const Container container = newContainer(pod, {"sleep", "1000"});
  const support::Fd first = openProcess(run(pod, container).pid);
  ASSERT_TRUE(first);
  ASSERT_NO_FATAL_FAILURE(killMonitor(pod));
  ASSERT_TRUE(plugin().events().await(BERTH_EVENT_POD_LOST, pod.id).has_value());
  EXPECT_TRUE(endsSoon(first));
  Status status;
  EXPECT_EQ(plugin().containerWait(pod.id, container.id, &status).code, BERTH_ABORTED);
  EXPECT_EQ(plugin().containerStart(pod.id, container.id).code, BERTH_UNAVAILABLE);
  const Result stopped = plugin().podStop(pod.id);
  EXPECT_TRUE(stopped.ok()) << PrintToString(stopped);
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
  EXPECT_EQ(plugin().events().count(BERTH_EVENT_POD_LOST, pod.id), 1);
}

TEST_F(Recovery, ExitsOutliveTheirMonitor) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container ended = newContainer(pod, {"sh", "-c", "exit 5"});
  run(pod, ended);
  EXPECT_EQ(waitFor(pod, ended).exitCode, 5);
  const Container running = newContainer(pod, {"sh", "-c", "sleep 1000 & sleep 1000"});
  const support::Fd first = openProcess(run(pod, running).pid);
  stopPlugin();
  ASSERT_NO_FATAL_FAILURE(killMonitor(pod));
  restart();
  std::map<std::string, Status> found;
  EXPECT_EQ(plugin().podRecover(pod.id, pod.directory, pod.state, &found).code, BERTH_NOT_FOUND);
  EXPECT_TRUE(endsSoon(first));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[ended.id].exitCode, 5);
  EXPECT_EQ(found[ended.id].state, BERTH_CONTAINER_EXITED);
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

TEST_F(Recovery, TheSavedStateIsEnoughWhenTheFileIsGone) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  stopPlugin();
  ASSERT_TRUE(support::removePath(pod.directory + "/pod.json").ok());
  restart();
  const Result recovered = plugin().podRecover(pod.id, pod.directory, pod.state);
  EXPECT_TRUE(recovered.ok()) << PrintToString(recovered);
  EXPECT_TRUE(plugin().podRemove(pod.id).ok());
}

}  // namespace
}  // namespace berth::test
