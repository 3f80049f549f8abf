// Connections to monitors that break while the monitors live.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <future>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
      // One that broke before may not have been let go of yet.
      pollfd polled{.fd = fd, .events = POLLIN};
      if (::poll(&polled, 1, 0) == 1 && (polled.revents & POLLHUP) != 0) continue;
      ASSERT_EQ(::shutdown(fd, SHUT_RDWR), 0);
      ++broken;
    }
    ASSERT_EQ(broken, 1);
  }

  // A runtime whose `run` says so and goes on when it may.
  void useSlowRuntime() {
    for (const char* name : {"/started", "/go"}) {
      ASSERT_EQ(::mkfifo((root_ + name).c_str(), 0600), 0);
    }
    started_.reset(::open((root_ + "/started").c_str(), O_RDWR | O_CLOEXEC));
    go_.reset(::open((root_ + "/go").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(started_ && go_);
    const std::string runtime = root_ + "/slow-runtime";
    ASSERT_TRUE(support::replaceFile(runtime,
                                     "#!/bin/sh\ncase \" $* \" in *\" run \"*)\n  echo >" + root_ +
                                         "/started\n  read go <" + root_ +
                                         "/go;;\nesac\nexec /usr/sbin/runc \"$@\"\n",
                                     0755, support::Durability::kVisible)
                    .ok());
    setRuntime(runtime);
    restart();
  }
  void awaitStart() {
    pollfd polled{.fd = started_.get(), .events = POLLIN};
    ASSERT_EQ(::poll(&polled, 1, 30000), 1);
    char byte = 0;
    ASSERT_EQ(::read(started_.get(), &byte, 1), 1);
  }
  void letGo() { ASSERT_EQ(::write(go_.get(), "\n", 1), 1); }

  // Ends with 7 on SIGTERM: a kill would show.
  Container newListener(const Pod& pod) {
    return newContainer(
        pod, {"sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"});
  }

  support::Fd started_;
  support::Fd go_;
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

TEST_F(BrokenConnection, AStartGoesOn) {
  ASSERT_NO_FATAL_FAILURE(useSlowRuntime());
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container container = newListener(pod);
  ASSERT_TRUE(create(pod, container).ok());
  Status status;
  auto starting = std::async(
      std::launch::async, [&] { return plugin().containerStart(pod.id, container.id, &status); });
  ASSERT_NO_FATAL_FAILURE(awaitStart());
  ASSERT_NO_FATAL_FAILURE(breakConnection(monitorOf(pod)));
  ASSERT_NO_FATAL_FAILURE(letGo());
  const Result started = starting.get();
  EXPECT_TRUE(started.ok()) << PrintToString(started);
  EXPECT_EQ(status.state, BERTH_CONTAINER_RUNNING);
  ASSERT_TRUE(logHas(container, "ready"));
  EXPECT_EQ(logOf(container).find("ready"), logOf(container).rfind("ready"));
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

// It did what it was to do, though nobody was there to hear of it.
TEST_F(BrokenConnection, AStartThatIsOverBeforeTheNextConnectionHasWorked) {
  ASSERT_NO_FATAL_FAILURE(useSlowRuntime());
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container container = newContainer(pod, {"sh", "-c", "exit 3"});
  ASSERT_TRUE(create(pod, container).ok());
  Status status;
  auto starting = std::async(
      std::launch::async, [&] { return plugin().containerStart(pod.id, container.id, &status); });
  ASSERT_NO_FATAL_FAILURE(awaitStart());
  const pid_t monitor = monitorOf(pod);
  // While it stands still, requests of the next connection wait behind the runtime's end.
  ASSERT_EQ(::kill(monitor, SIGSTOP), 0);
  ASSERT_NO_FATAL_FAILURE(letGo());
  EXPECT_TRUE(within(std::chrono::seconds(30), [&] {
    return processesWith(root_ + "/slow-runtime").empty() && processesWith("runc init").empty();
  }));
  ASSERT_NO_FATAL_FAILURE(breakConnection(monitor));
  ASSERT_EQ(::kill(monitor, SIGCONT), 0);
  const Result started = starting.get();
  EXPECT_TRUE(started.ok()) << PrintToString(started);
  EXPECT_EQ(waitFor(pod, container).exitCode, 3);
  const auto event = plugin().events().await(BERTH_EVENT_CONTAINER_EXITED, container.id);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->exitCode, 3);
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

// A start that failed for want of time must not come true afterwards: its successor may run by
// then.
TEST_F(BrokenConnection, AStartThatWasGivenUpIsEndedLater) {
  ASSERT_NO_FATAL_FAILURE(useSlowRuntime());
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container container = newContainer(pod, {"sleep", "1000"});
  ASSERT_TRUE(create(pod, container).ok());
  auto starting = std::async(std::launch::async, [&] {
    return plugin().containerStart(pod.id, container.id, nullptr, TestOp(std::chrono::seconds(2)));
  });
  ASSERT_NO_FATAL_FAILURE(awaitStart());
  const pid_t monitor = monitorOf(pod);
  ASSERT_EQ(::kill(monitor, SIGSTOP), 0);
  ASSERT_NO_FATAL_FAILURE(breakConnection(monitor));
  ASSERT_NO_FATAL_FAILURE(letGo());
  EXPECT_EQ(starting.get().code, BERTH_DEADLINE_EXCEEDED);
  Status status = waitFor(pod, container);
  EXPECT_EQ(status.state, BERTH_CONTAINER_EXITED);
  EXPECT_EQ(status.exitCode, 128);
  const std::string cgroup = cgroupOf(pod, container);
  const auto runs = [&] { return !processesWith(cgroup).empty(); };
  EXPECT_TRUE(within(std::chrono::seconds(30), runs));
  ASSERT_EQ(::kill(monitor, SIGCONT), 0);
  EXPECT_TRUE(within(std::chrono::seconds(30), [&] { return !runs(); }));
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

// Of a start that fails no event tells, and here nobody waits for its answer.
TEST_F(BrokenConnection, AStartWhoseHostHasGoneEndsWithItsPod) {
  ASSERT_NO_FATAL_FAILURE(useSlowRuntime());
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container container = newContainer(pod, {"sleep", "1000"});
  ASSERT_TRUE(create(pod, container).ok());
  auto starting = std::async(std::launch::async, [&] {
    return plugin().containerStart(pod.id, container.id, nullptr, TestOp(std::chrono::seconds(1)));
  });
  ASSERT_NO_FATAL_FAILURE(awaitStart());
  const pid_t monitor = monitorOf(pod);
  ASSERT_EQ(::kill(monitor, SIGSTOP), 0);
  EXPECT_EQ(starting.get().code, BERTH_DEADLINE_EXCEEDED);
  stopPlugin();
  ASSERT_EQ(::kill(monitor, SIGCONT), 0);
  restart();
  const Result removed = plugin().podRemove(pod.id, TestOp(std::chrono::seconds(20)));
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

// Nor may one that never came to the monitor, or keep the pod from ending.
TEST_F(BrokenConnection, AStartThatWasNeverHeardOfKeepsNothingFromEnding) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container container = newContainer(pod, {"sh", "-c", "echo ran; sleep 1000"});
  ASSERT_TRUE(create(pod, container).ok());
  const pid_t monitor = monitorOf(pod);
  ASSERT_EQ(::kill(monitor, SIGSTOP), 0);
  ASSERT_NO_FATAL_FAILURE(breakConnection(monitor));
  EXPECT_EQ(
      plugin().containerStart(pod.id, container.id, nullptr, TestOp(std::chrono::seconds(1))).code,
      BERTH_DEADLINE_EXCEEDED);
  ASSERT_EQ(::kill(monitor, SIGCONT), 0);
  const Result stopped = plugin().podStop(pod.id);
  EXPECT_TRUE(stopped.ok()) << PrintToString(stopped);
  EXPECT_EQ(logOf(container).find("ran"), std::string::npos);
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

// So must a creation: nobody would remove what came of it.
TEST_F(BrokenConnection, ACreationThatWasGivenUpGoesWithItsPod) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const pid_t monitor = monitorOf(pod);
  ASSERT_EQ(::kill(monitor, SIGSTOP), 0);
  const Container container = newContainer(pod, {"true"});
  EXPECT_EQ(create(pod, container, TestOp(std::chrono::seconds(1))).code, BERTH_DEADLINE_EXCEEDED);
  ASSERT_EQ(::kill(monitor, SIGCONT), 0);
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

// None of the calls may fail for the moment that it takes to connect.
TEST_F(BrokenConnection, CallsThatComeThenWork) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const pid_t monitor = monitorOf(pod);
  for (int i = 0; i < 5; ++i) {
    const Container container = newContainer(pod, {"sh", "-c", "exit 4"});
    ASSERT_NO_FATAL_FAILURE(breakConnection(monitor));
    const Result created = create(pod, container);
    ASSERT_TRUE(created.ok()) << PrintToString(created);
    ASSERT_NO_FATAL_FAILURE(breakConnection(monitor));
    const Result started = plugin().containerStart(pod.id, container.id);
    ASSERT_TRUE(started.ok()) << PrintToString(started);
    EXPECT_EQ(waitFor(pod, container).exitCode, 4);
    ASSERT_NO_FATAL_FAILURE(breakConnection(monitor));
    const Result removed = plugin().containerRemove(pod.id, container.id);
    EXPECT_TRUE(removed.ok()) << PrintToString(removed);
  }
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
  EXPECT_EQ(plugin().events().count(BERTH_EVENT_POD_LOST, pod.id), 0);
}

}  // namespace
}  // namespace berth::test
