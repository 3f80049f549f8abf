// Deaths: of the host, of a monitor, of both.
#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <future>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "berth/support/files.hpp"
#include "berth/support/process.hpp"
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
  EXPECT_EQ(plugin().containerWait(pod.id, container.id, &status).code, BERTH_NOT_FOUND);
  EXPECT_EQ(plugin().containerStart(pod.id, container.id).code, BERTH_UNAVAILABLE);
  const Result stopped = plugin().podStop(pod.id);
  EXPECT_TRUE(stopped.ok()) << PrintToString(stopped);
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
  EXPECT_EQ(plugin().events().count(BERTH_EVENT_POD_LOST, pod.id), 1);
}

// A runtime that went on alone would make a container after its pod was declared lost.
TEST_F(Recovery, AKilledMonitorTakesItsRuntimeAlong) {
  const std::string fifo = root_ + "/started";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const support::Fd started(::open(fifo.c_str(), O_RDWR | O_CLOEXEC));
  const std::string runtime = root_ + "/runtime";
  ASSERT_TRUE(support::replaceFile(runtime,
                                   "#!/bin/sh\ncase \" $* \" in *\" run \"*)\n  echo $$ >" + fifo +
                                       "\n  exec sleep 1000;;\nesac\nexec /usr/sbin/runc \"$@\"\n",
                                   0755, support::Durability::kVisible)
                  .ok());
  setRuntime(runtime);
  restart();
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container container = newContainer(pod, {"true"});
  ASSERT_TRUE(create(pod, container).ok());
  auto starting =
      std::async(std::launch::async, [&] { return plugin().containerStart(pod.id, container.id); });
  pollfd polled{.fd = started.get(), .events = POLLIN};
  ASSERT_EQ(::poll(&polled, 1, 30000), 1);
  char text[16] = {};
  ASSERT_GT(::read(started.get(), text, sizeof text - 1), 0);
  const support::Fd running = openProcess(std::atoi(text));
  ASSERT_TRUE(running);
  ASSERT_NO_FATAL_FAILURE(killMonitor(pod));
  EXPECT_TRUE(endsSoon(running));
  EXPECT_EQ(starting.get().code, BERTH_UNAVAILABLE);
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

TEST_F(Recovery, DamagedFilesAreNamedAndWhatTheyAreAboutIsEnded) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container running = newContainer(pod, {"sleep", "1000"});
  const support::Fd first = openProcess(run(pod, running).pid);
  const Container ended = newContainer(pod, {"sh", "-c", "exit 5"});
  run(pod, ended);
  EXPECT_EQ(waitFor(pod, ended).exitCode, 5);
  stopPlugin();
  ASSERT_NO_FATAL_FAILURE(killMonitor(pod));
  const std::string record = pod.directory + "/containers/" + running.id + ".json";
  const std::string exit = pod.directory + "/monitor/exits/" + ended.id;
  for (const std::string& file : {record, exit}) {
    ASSERT_TRUE(support::pathExists(file)) << file;
    ASSERT_TRUE(support::replaceFile(file, "{\"ver", 0600, support::Durability::kVisible).ok());
  }
  restart();
  std::map<std::string, Status> found;
  EXPECT_EQ(plugin().podRecover(pod.id, pod.directory, pod.state, &found).code, BERTH_NOT_FOUND);
  EXPECT_TRUE(found.empty());
  EXPECT_TRUE(endsSoon(first));
  for (const std::string& file : {record, exit}) {
    EXPECT_THAT(PluginInstance::log(), ::testing::HasSubstr(file));
  }
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

// Its file is gone, but the monitor knows it, and would not end before it does.
TEST_F(Recovery, AContainerWithoutARecordGoesWithItsPod) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container container = newContainer(pod, {"sleep", "1000"});
  const support::Fd first = openProcess(run(pod, container).pid);
  stopPlugin();
  ASSERT_TRUE(support::removePath(pod.directory + "/containers/" + container.id + ".json").ok());
  restart();
  ASSERT_TRUE(plugin().podRecover(pod.id, pod.directory, pod.state).ok());
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
  EXPECT_TRUE(endsSoon(first));
}

// With its monitor it would go on as if nothing were wrong, but nobody knows its bundle any more.
TEST_F(Recovery, AContainerWithADamagedRecordCanOnlyBeRemoved) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container container = newContainer(pod, {"sleep", "1000"});
  ASSERT_TRUE(create(pod, container).ok());
  stopPlugin();
  const std::string record = pod.directory + "/containers/" + container.id + ".json";
  ASSERT_TRUE(support::replaceFile(record, "{\"ver", 0600, support::Durability::kVisible).ok());
  restart();
  ASSERT_TRUE(plugin().podRecover(pod.id, pod.directory, pod.state).ok());
  EXPECT_EQ(plugin().containerStart(pod.id, container.id).code, BERTH_FAILED_PRECONDITION);
  EXPECT_EQ(plugin().containerUpdate(pod.id, container.id, "{}").code, BERTH_FAILED_PRECONDITION);
  const Result gone = plugin().containerRemove(pod.id, container.id);
  EXPECT_TRUE(gone.ok()) << PrintToString(gone);
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

// The host's copy is what is left then.
TEST_F(Recovery, ADamagedRecordOfAPodIsMadeUpFor) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Container container = newContainer(pod, {"sleep", "1000"});
  run(pod, container);
  stopPlugin();
  ASSERT_TRUE(support::replaceFile(pod.directory + "/pod.json", "{\"ver", 0600,
                                   support::Durability::kVisible)
                  .ok());
  restart();
  EXPECT_EQ(plugin().podRecover(pod.id, pod.directory, "").code, BERTH_DATA_LOSS);
  std::map<std::string, Status> found;
  const Result recovered = plugin().podRecover(pod.id, pod.directory, pod.state, &found);
  EXPECT_TRUE(recovered.ok()) << PrintToString(recovered);
  EXPECT_EQ(found[container.id].state, BERTH_CONTAINER_RUNNING);
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

// A folder that was put in another's place.
TEST_F(Recovery, TheMonitorOfAnotherPodIsLeftAlone) {
  Pod pod = newPod();
  Pod other = newPod();
  ASSERT_TRUE(create(pod).ok());
  ASSERT_TRUE(create(other).ok());
  const Container container = newContainer(other, {"sleep", "1000"});
  const support::Fd first = openProcess(run(other, container).pid);
  stopPlugin();
  const std::string folder = pod.directory + "/monitor";
  ASSERT_EQ(::rename(folder.c_str(), (folder + ".own").c_str()), 0);
  ASSERT_EQ(::symlink((other.directory + "/monitor").c_str(), folder.c_str()), 0);
  restart();
  const Result refused = plugin().podRecover(pod.id, pod.directory, pod.state);
  EXPECT_EQ(refused.code, BERTH_FAILED_PRECONDITION);
  EXPECT_THAT(refused.message, ::testing::HasSubstr(other.id));
  pollfd polled{.fd = first.get(), .events = POLLIN};
  EXPECT_EQ(::poll(&polled, 1, 0), 0);
  ASSERT_EQ(::unlink(folder.c_str()), 0);
  ASSERT_EQ(::rename((folder + ".own").c_str(), folder.c_str()), 0);
  for (const Pod* each : {&pod, &other}) {
    const Result removed = plugin().podRemove(each->id);
    EXPECT_TRUE(removed.ok()) << PrintToString(removed);
  }
}

// The machine's PID 1 may reap nothing (or late): what a dead monitor leaves comes to this process,
// which does not reap either until the end.
class NobodyReaps : public Recovery {
 protected:
  void SetUp() override {
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    Recovery::SetUp();
  }
  void TearDown() override {
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
    holder_ = {};
    // What a test that failed has left alive is not waited for.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (::waitpid(-1, nullptr, WNOHANG) >= 0 && std::chrono::steady_clock::now() < deadline) {
      ::usleep(1000);
    }
    Recovery::TearDown();
  }
  void expectSoonRemoved(const Pod& pod) {
    const auto begin = std::chrono::steady_clock::now();
    const Result stopped = plugin().podStop(pod.id);
    EXPECT_TRUE(stopped.ok()) << PrintToString(stopped);
    const Result removed = plugin().podRemove(pod.id);
    EXPECT_TRUE(removed.ok()) << PrintToString(removed);
    // Far below the limits of either call.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  }

  support::Process holder_;
};

// The init's last act is to wait for the container's first process, whose parent was the monitor.
TEST_F(NobodyReaps, TheInitOfAPodIsNotWaitedForForEver) {
  Pod pod = newPod();
  pod.namespaces |= BERTH_NAMESPACE_PID;
  ASSERT_TRUE(create(pod).ok());
  run(pod, newContainer(pod, {"sleep", "1000"}));
  ASSERT_NO_FATAL_FAILURE(killMonitor(pod));
  expectSoonRemoved(pod);
}

// The same of a container's own namespace: somebody has entered it and does not reap.
TEST_F(NobodyReaps, TheFirstProcessOfAContainerIsNotWaitedForForEver) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  const Status running = run(pod, newContainer(pod, {"sleep", "1000"}));
  const auto space =
      support::openFile("/proc/" + std::to_string(running.pid) + "/ns/pid", O_RDONLY | O_CLOEXEC);
  ASSERT_TRUE(space.ok()) << space.status();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const support::Fd reader(ends[0]);
  support::Fd writer(ends[1]);
  auto holder =
      support::spawn({.argv = {"/bin/sh", "-c", "(echo; exec sleep 1000) & exec sleep 1000"},
                      .standardOutput = writer.get(),
                      .namespaces = {space->get()}});
  ASSERT_TRUE(holder.ok()) << holder.status();
  holder_ = *std::move(holder);
  char entered = 0;
  ASSERT_EQ(::read(reader.get(), &entered, 1), 1);
  ASSERT_NO_FATAL_FAILURE(killMonitor(pod));
  expectSoonRemoved(pod);
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
