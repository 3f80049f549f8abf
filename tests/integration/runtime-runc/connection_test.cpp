// Connections to monitors that break while the monitors live.
#include <algorithm>
#include <csignal>
#include <future>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "berth/support/files.hpp"
#include "fixture.hpp"

namespace berth::test {
namespace {

using ::testing::PrintToString;

class BrokenConnection : public RuntimeTest {
 protected:
  // Shuts this process's end of the connection down, as an error of it would.
  static void breakConnection(pid_t monitor) {
    int broken = 0;
    const auto names = support::listDirectory("/proc/self/fd");
    ASSERT_TRUE(names.ok()) << names.status();
    for (const std::string& name : *names) {
      const int fd = std::atoi(name.c_str());
      ucred peer{};
      socklen_t size = sizeof peer;
      if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid != monitor) {
        continue;
      }
      ASSERT_EQ(::shutdown(fd, SHUT_RDWR), 0);
      ++broken;
    }
    ASSERT_EQ(broken, 1);
  }

  // Ends with 7 on SIGTERM: a kill would show.
  Container newListener(const Pod& pod) {
    return newContainer(
        pod, {"sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"});
  }
};

TEST_F(BrokenConnection, IsMadeAnewAndTheContainersGoOn) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container container = newListener(pod);
  run(pod, container);
  ASSERT_TRUE(logHas(container, "ready"));
  auto waiting = std::async(std::launch::async, [&] { return waitFor(pod, container); });
  ASSERT_NO_FATAL_FAILURE(breakConnection(monitorOf(pod)));
  const Result killed = plugin().containerKill(pod.id, container.id, SIGTERM);
  EXPECT_TRUE(killed.ok()) << PrintToString(killed);
  EXPECT_EQ(waiting.get().exitCode, 7);
  const auto event = plugin().events().await(BERTH_EVENT_CONTAINER_EXITED, container.id);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->exitCode, 7);
  // The pod is as good as before.
  const Container another = newContainer(pod, {"sh", "-c", "exit 3"});
  run(pod, another);
  EXPECT_EQ(waitFor(pod, another).exitCode, 3);
  const Result stopped = plugin().podStop(pod.id);
  EXPECT_TRUE(stopped.ok()) << PrintToString(stopped);
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
  EXPECT_EQ(plugin().events().count(BERTH_EVENT_POD_LOST, pod.id), 0);
}

// A monitor that lives and does not answer keeps nobody from hearing of another's death.
TEST_F(BrokenConnection, OneThatHangsDoesNotKeepOthersWaiting) {
  Pod hanging = newPod();
  Pod dead = newPod();
  ASSERT_TRUE(create(hanging).ok());
  ASSERT_TRUE(create(dead).ok());
  const Container container = newListener(hanging);
  run(hanging, container);
  ASSERT_TRUE(logHas(container, "ready"));
  run(dead, newContainer(dead, {"sleep", "1000"}));
  const pid_t monitor = monitorOf(hanging);
  ASSERT_EQ(::kill(monitor, SIGSTOP), 0);
  ASSERT_NO_FATAL_FAILURE(breakConnection(monitor));
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(::kill(monitorOf(dead), SIGKILL), 0);
  EXPECT_TRUE(plugin().events().await(BERTH_EVENT_POD_LOST, dead.id).has_value());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  ASSERT_EQ(::kill(monitor, SIGCONT), 0);
  const Result killed = plugin().containerKill(hanging.id, container.id, SIGTERM);
  EXPECT_TRUE(killed.ok()) << PrintToString(killed);
  EXPECT_EQ(waitFor(hanging, container).exitCode, 7);
  EXPECT_EQ(plugin().events().count(BERTH_EVENT_POD_LOST, hanging.id), 0);
  for (const Pod* pod : {&hanging, &dead}) {
    const Result removed = plugin().podRemove(pod->id);
    EXPECT_TRUE(removed.ok()) << PrintToString(removed);
  }
}

}  // namespace
}  // namespace berth::test
