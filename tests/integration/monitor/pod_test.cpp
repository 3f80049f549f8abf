// The pod's monitor: namespaces, failed starts, survival, memory.
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "berth/support/process.hpp"
#include "pod_fixture.hpp"
#include "test_paths.hpp"

namespace berth::runc {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string namespaceOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? absl::StrCat(info.st_ino) : "none";
}

// Runs in the namespaces that the paths name.
std::string outputIn(const std::vector<std::string>& paths, std::vector<std::string> argv) {
  support::Command command;
  command.argv = std::move(argv);
  std::vector<support::Fd> fds;
  for (const std::string& path : paths) {
    auto fd = support::openFile(path, O_RDONLY | O_CLOEXEC);
    EXPECT_OK(fd);
    if (!fd.ok()) return {};
    fds.push_back(*std::move(fd));
    command.namespaces.push_back(fds.back().get());
  }
  const auto output = support::run(command);
  EXPECT_OK(output);
  return output.ok() ? output->standardOutput + output->standardError : std::string();
}

class PodTest : public PodFixture {};

TEST_F(PodTest, NamespacesHostnameAndSysctls) {
  protocol::StartRequest request = podRequest();
  request.sysctls = {{"net.ipv4.ip_forward", "1"},
                     {"net/ipv4/conf/lo/rp_filter", "1"},
                     {"kernel.shm_rmid_forced", "1"},
                     {"kernel.msgmax", "9000"},
                     {"fs.mqueue.msg_max", "20"}};
  startPod(request);
  for (const auto& [path, name] :
       {std::pair<const std::string&, const char*>{facts_.netPath, "net"},
        {facts_.ipcPath, "ipc"},
        {facts_.utsPath, "uts"}}) {
    EXPECT_NE(namespaceOf(path), "none") << path;
    EXPECT_NE(namespaceOf(path), namespaceOf(absl::StrCat("/proc/self/ns/", name)));
  }
  EXPECT_THAT(facts_.pidPath, IsEmpty());
  EXPECT_THAT(facts_.userPath, IsEmpty());
  EXPECT_EQ(outputIn({facts_.utsPath}, {"hostname"}), "berth-test\n");
  EXPECT_EQ(outputIn({facts_.netPath}, {"cat", "/proc/sys/net/ipv4/ip_forward"}), "1\n");
  EXPECT_EQ(outputIn({facts_.netPath}, {"cat", "/proc/sys/net/ipv4/conf/lo/rp_filter"}), "1\n");
  EXPECT_EQ(outputIn({facts_.ipcPath}, {"cat", "/proc/sys/kernel/shm_rmid_forced"}), "1\n");
  EXPECT_EQ(outputIn({facts_.ipcPath}, {"cat", "/proc/sys/kernel/msgmax"}), "9000\n");
  EXPECT_EQ(outputIn({facts_.ipcPath}, {"cat", "/proc/sys/fs/mqueue/msg_max"}), "20\n");

  run("box", {"/bin/sleep", "9999"});
  EXPECT_EQ(execOutput("box", "hostname"), "berth-test\n");
  EXPECT_EQ(execOutput("box", "readlink /proc/self/ns/net"),
            absl::StrCat("net:[", namespaceOf(facts_.netPath), "]\n"));
  EXPECT_EQ(execOutput("box", "readlink /proc/self/ns/ipc"),
            absl::StrCat("ipc:[", namespaceOf(facts_.ipcPath), "]\n"));
}

TEST_F(PodTest, AFailedStartNamesTheSysctlAndLeavesNothing) {
  const struct {
    protocol::Sysctl sysctl;
    const char* message;
  } cases[] = {
      {{"net.ipv4.no_such_thing", "1"}, "net.ipv4.no_such_thing"},
      {{"net.ipv4.ip_forward", "nonsense"}, "net.ipv4.ip_forward"},
      {{"kernel.panic", "1"}, "not namespaced"},
      {{"net/../kernel/panic", "1"}, "no sysctl name"},
  };
  for (const auto& each : cases) {
    protocol::StartRequest request = podRequest();
    request.sysctls = {{"net.ipv4.ip_forward", "1"}, each.sysctl};
    const auto facts = startMonitor(test_paths::monitor, request, soon());
    EXPECT_EQ(facts.status().code(), absl::StatusCode::kInvalidArgument) << facts.status();
    EXPECT_THAT(std::string(facts.status().message()), HasSubstr(each.message));
    EXPECT_FALSE(monitorAlive(runDir()));
    EXPECT_FALSE(support::pathExists(request.netPin));
    EXPECT_THAT(*support::listDirectory(runDir()), IsEmpty());
  }
}

TEST_F(PodTest, HostNamespacesNeedNothing) {
  protocol::StartRequest request = podRequest();
  request.net = request.ipc = request.uts = NamespaceMode::kHost;
  request.netPin.clear();
  startPod(request);
  EXPECT_THAT(facts_.netPath, IsEmpty());
  shell("host", "readlink /proc/self/ns/net");
  awaitExit("host");
  EXPECT_EQ(log("host").at(0).content,
            absl::StrCat("net:[", namespaceOf("/proc/self/ns/net"), "]"));
}

TEST_F(PodTest, SysctlsOfTheHostsNamespacesAreRefused) {
  protocol::StartRequest request = podRequest();
  request.net = NamespaceMode::kHost;
  request.sysctls = {{"net.ipv4.ip_forward", "1"}};
  const auto facts = startMonitor(test_paths::monitor, request, soon());
  EXPECT_EQ(facts.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(facts.status().message()), HasSubstr("network namespace"));
}

TEST_F(PodTest, OneMonitorForAFolder) {
  startPod();
  protocol::StartRequest request = podRequest();
  request.netPin += "-second";
  const auto second = startMonitor(test_paths::monitor, request, soon());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists) << second.status();
  EXPECT_FALSE(support::pathExists(request.netPin));
  EXPECT_EQ(cleanUpMonitor(runDir(), "").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_OK(client_->list(soon()));
}

TEST_F(PodTest, SharedPidNamespace) {
  protocol::StartRequest request = podRequest();
  request.pid = NamespaceMode::kNew;
  startPod(request);
  ASSERT_GT(facts_.initPid, 0);
  EXPECT_NE(namespaceOf(facts_.pidPath), namespaceOf("/proc/self/ns/pid"));
  run("first", {"/bin/sleep", "4321"});
  run("second", {"/bin/sleep", "9999"});
  EXPECT_THAT(execOutput("second", "ps"), HasSubstr("sleep 4321"));
  // An orphan comes to the pod's init, which must reap it.
  EXPECT_EQ(execOutput("second", "(sh -c 'exit 3' &); kill -0 1 && echo init"), "init\n");
  EXPECT_OK(client_->killContainer("first", SIGKILL, KillScope::kProcess, soon()));
  EXPECT_EQ(awaitExit("first").status.exitCode, 128 + SIGKILL);
  EXPECT_TRUE(processAlive(facts_.initPid));
}

TEST_F(PodTest, UserNamespace) {
  protocol::StartRequest request = podRequest();
  request.user = NamespaceMode::kNew;
  request.uidMappings = {{0, 100000, 65536}};
  request.gidMappings = {{0, 200000, 65536}};
  request.sysctls = {{"net.ipv4.ip_forward", "1"}, {"kernel.msgmax", "9000"}};
  startPod(request);
  EXPECT_NE(namespaceOf(facts_.userPath), namespaceOf("/proc/self/ns/user"));
  EXPECT_THAT(outputIn({facts_.userPath}, {"cat", "/proc/self/uid_map"}), HasSubstr("100000"));
  EXPECT_THAT(outputIn({facts_.userPath}, {"cat", "/proc/self/gid_map"}), HasSubstr("200000"));
  // The others belong to it: who is root there may configure the pod's network.
  for (const std::string& path : {facts_.netPath, facts_.ipcPath, facts_.utsPath}) {
    const auto held = support::openFile(path, O_RDONLY | O_CLOEXEC);
    REQUIRE_OK(held);
    const support::Fd owner(ioctl(held->get(), NS_GET_USERNS));
    ASSERT_TRUE(owner) << path;
    EXPECT_EQ(namespaceOf(absl::StrCat("/proc/self/fd/", owner.get())),
              namespaceOf(facts_.userPath));
  }

  request.runDir += "-second";
  request.netPin += "-second";
  ASSERT_TRUE(support::makeDirectories(request.runDir).ok());
  request.uidMappings = {{0, 100000, 0}};
  const auto refused = startMonitor(test_paths::monitor, request, soon());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("uid_map"));
  EXPECT_FALSE(support::pathExists(request.netPin));
}

TEST_F(PodTest, ExitsWhileNoClientIsThereAreToldToTheNext) {
  startPod();
  ContainerOptions options;
  options.stdinMode = protocol::StdinMode::kOnce;
  shell("alone", "read x; echo on my own; exit 21", options);
  Pipe in, out;
  REQUIRE_OK(client_->attach("alone", {in.read.get(), out.write.get(), -1}, soon()));
  in.read.reset();
  out.write.reset();
  client_.reset();
  EXPECT_TRUE(monitorAlive(runDir()));
  REQUIRE_OK(support::writeAll(in.write.get(), "go\n"));
  readToEnd(out.read.get());  // sessions end after the exit
  const auto record = readExitRecord(runDir(), "alone");
  REQUIRE_OK(record);
  EXPECT_EQ(record->exitCode, 21);
  reconnect();
  EXPECT_EQ(statusOf("alone").exitCode, 21);
  EXPECT_EQ(logLines(log("alone"), "stdout"), std::vector<std::string>{"on my own"});
  EXPECT_EQ(events_->count(MonitorEvent::Kind::kContainerExited, "alone"), 0u)
      << "the listing has told it";
}

TEST_F(PodTest, AKilledMonitorIsNoticedAndClearedUp) {
  protocol::StartRequest request = podRequest();
  request.pid = NamespaceMode::kNew;
  startPod(request);
  const ProcessEnd initEnd(facts_.initPid);
  ASSERT_EQ(kill(facts_.monitorPid, SIGKILL), 0);
  events_->await(MonitorEvent::Kind::kConnectionLost);
  EXPECT_TRUE(initEnd.await()) << "the shared PID namespace's init lives on";
  EXPECT_EQ(client_->list(soon()).status().code(), absl::StatusCode::kUnavailable);
  client_.reset();
  EXPECT_FALSE(monitorAlive(runDir()));
  EXPECT_TRUE(absl::IsNotFound(MonitorClient::connect(runDir(), {}, soon()).status()));
  EXPECT_OK(cleanUpMonitor(runDir(), request.netPin));
  EXPECT_OK(cleanUpMonitor(runDir(), request.netPin));
  EXPECT_FALSE(support::pathExists(request.netPin));
  // The folder serves again.
  startPod(request);
}

TEST_F(PodTest, ShutdownNeedsAnEmptyPod) {
  startPod();
  create("there", {"/bin/true"});
  const absl::Status status = client_->shutdown(soon());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("there"));
}

TEST_F(PodTest, SigtermEndsItOnlyWithoutContainers) {
  protocol::StartRequest request = podRequest();
  request.pid = NamespaceMode::kNew;
  startPod(request);
  const ProcessEnd initEnd(facts_.initPid);
  run("busy", {"/bin/sleep", "9999"});
  ASSERT_EQ(kill(facts_.monitorPid, SIGTERM), 0);
  EXPECT_OK(client_->list(soon()));
  ASSERT_EQ(kill(facts_.monitorPid, SIGTERM), 0);
  EXPECT_OK(client_->killContainer("busy", SIGKILL, KillScope::kAll, soon()));
  awaitExit("busy");
  events_->await(MonitorEvent::Kind::kConnectionLost);
  EXPECT_TRUE(initEnd.await()) << "the shared PID namespace's init lives on";
  client_.reset();
  const auto records = readExitRecords(runDir());
  REQUIRE_OK(records);
  ASSERT_THAT(*records, SizeIs(1));
  EXPECT_EQ(records->front().containerId, "busy");
  EXPECT_OK(cleanUpMonitor(runDir(), request.netPin));
  support::Command command;
  command.argv = {runtime_, "--root", runtimeRoot(), "delete", "busy"};
  EXPECT_OK(support::run(command));
}

TEST_F(PodTest, CallsEndAtTheirLimits) {
  startPod();
  run("box", {"/bin/sleep", "9999"});
  REQUIRE_OK(client_->exec(execOptions("box", "e", "sleep 9999"), {}, soon()));
  const CallLimits passed{std::chrono::steady_clock::now(), -1};
  EXPECT_TRUE(absl::IsDeadlineExceeded(client_->waitExec("box", "e", passed).status()));
  Pipe cancel;
  cancel.write.reset();
  CallLimits cancelled = soon();
  cancelled.cancelFd = cancel.read.get();
  EXPECT_TRUE(absl::IsCancelled(client_->waitExec("box", "e", cancelled).status()));
}

// ---- memory ------------------------------------------------------------------------------------

#ifndef BERTH_SANITIZED
TEST_F(PodTest, TwentyMonitorsStaySmall) {
  startPod();
  std::vector<std::unique_ptr<MonitorClient>> clients;
  std::vector<pid_t> pids = {facts_.monitorPid};
  for (int i = 1; i < 20; ++i) {
    protocol::StartRequest request = podRequest();
    request.runDir = absl::StrCat(directory_, "/run-", i);
    request.netPin = absl::StrCat(directory_, "/netns/pod-", i);
    ASSERT_TRUE(support::makeDirectories(request.runDir).ok());
    REQUIRE_OK(startMonitor(test_paths::monitor, request, soon()));
    auto client = MonitorClient::connect(request.runDir, {}, soon());
    REQUIRE_OK(client);
    pids.push_back((*client)->facts().monitorPid);
    clients.push_back(*std::move(client));
  }
  // Two containers that have said something, and an exec.
  for (const char* id : {"a", "b"}) {
    ContainerOptions options;
    options.stdinMode = protocol::StdinMode::kOpen;
    shell(id, "seq 1 5000; read x", options);
    EXPECT_EQ(execOutput(id, "echo exec"), "exec\n");
  }
  for (const pid_t pid : pids) {
    const auto rollup = support::readFile(absl::StrCat("/proc/", pid, "/smaps_rollup"));
    REQUIRE_OK(rollup);
    const size_t at = rollup->find("Pss:");
    ASSERT_NE(at, std::string::npos);
    EXPECT_LE(atoi(rollup->c_str() + at + 4), 300) << *rollup;
  }
  for (const auto& client : clients) EXPECT_OK(client->shutdown(soon()));
}
#endif

}  // namespace
}  // namespace berth::runc
