#include "pod_fixture.hpp"

#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include <absl/strings/str_split.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "rootfs.hpp"
#include "test_paths.hpp"

namespace berth::runc {

namespace json = boost::json;
using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {

constexpr seconds kPatience{60};

// Shared by all pods of this program's run.
const std::string& sharedRootfs() {
  struct Rootfs {
    std::string path;
    Rootfs() {
      std::string pattern = std::filesystem::temp_directory_path() / "berth-rootfs-XXXXXX";
      path = mkdtemp(pattern.data());
      const absl::Status made = makeRootfs(path);
      if (!made.ok()) ADD_FAILURE() << made;
    }
    ~Rootfs() { support::removeTree(path).IgnoreError(); }
  };
  static const Rootfs rootfs;
  return rootfs.path;
}

bool cgroupV2() {
  return support::pathExists("/sys/fs/cgroup/cgroup.controllers");
}

std::string cgroupParent() {
  return absl::StrCat("/berth-monitor-test-", getpid());
}

json::array mounts() {
  return {
      {{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
      {{"destination", "/dev"},
       {"type", "tmpfs"},
       {"source", "tmpfs"},
       {"options", {"nosuid", "mode=755", "size=65536k"}}},
      {{"destination", "/dev/pts"},
       {"type", "devpts"},
       {"source", "devpts"},
       {"options", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}}},
  };
}

json::array namespaces(const protocol::PodFacts& facts, bool hostPid) {
  json::array list;
  list.push_back(json::object{{"type", "mount"}});
  const std::pair<const char*, const std::string&> paths[] = {{"network", facts.netPath},
                                                              {"ipc", facts.ipcPath},
                                                              {"uts", facts.utsPath},
                                                              {"user", facts.userPath}};
  for (const auto& [type, path] : paths) {
    if (!path.empty()) list.push_back(json::object{{"type", type}, {"path", path}});
  }
  if (!facts.pidPath.empty()) {
    list.push_back(json::object{{"type", "pid"}, {"path", facts.pidPath}});
  } else if (!hostPid) {
    list.push_back(json::object{{"type", "pid"}});
  }
  return list;
}

json::object process(const std::vector<std::string>& command, bool terminal) {
  return {{"terminal", terminal},
          {"consoleSize", {{"height", 40}, {"width", 100}}},
          {"user", {{"uid", 0}, {"gid", 0}}},
          {"args", json::value_from(command)},
          {"env", {"PATH=/bin", "TERM=xterm"}},
          {"cwd", "/"},
          {"capabilities",
           {{"bounding", {"CAP_KILL", "CAP_SYS_ADMIN"}},
            {"effective", {"CAP_KILL", "CAP_SYS_ADMIN"}},
            {"permitted", {"CAP_KILL", "CAP_SYS_ADMIN"}}}}};
}

}  // namespace

CallLimits soon() {
  return {steady_clock::now() + kPatience, -1};
}

EventHandler Events::handler() {
  return [this](const MonitorEvent& event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
    changed_.notify_all();
  };
}

MonitorEvent Events::await(MonitorEvent::Kind kind, const std::string& containerId) {
  std::unique_lock lock(mutex_);
  MonitorEvent found;
  const bool came = changed_.wait_for(lock, kPatience, [&] {
    for (const MonitorEvent& event : events_) {
      if (event.kind == kind && (containerId.empty() || event.status.containerId == containerId)) {
        found = event;
        return true;
      }
    }
    return false;
  });
  EXPECT_TRUE(came) << "no event of kind " << static_cast<int>(kind) << " for " << containerId;
  return found;
}

size_t Events::count(MonitorEvent::Kind kind, const std::string& containerId) const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(
      std::count_if(events_.begin(), events_.end(), [&](const MonitorEvent& event) {
        return event.kind == kind && event.status.containerId == containerId;
      }));
}

Pipe::Pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) abort();
  read.reset(ends[0]);
  write.reset(ends[1]);
}

namespace {
// False at the end.
bool readMore(int fd, std::string& text) {
  pollfd waiting{fd, POLLIN, 0};
  if (poll(&waiting, 1, static_cast<int>(kPatience.count() * 1000)) <= 0) {
    ADD_FAILURE() << "nothing more came after: " << text.substr(0, 2000);
    return false;
  }
  char buffer[4096];
  const ssize_t count = ::read(fd, buffer, sizeof buffer);
  if (count <= 0) return false;
  text.append(buffer, static_cast<size_t>(count));
  return true;
}
}  // namespace

bool processAlive(pid_t pid) {
  const auto stat = support::readFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!stat.ok()) return false;
  const char state = stat->at(stat->rfind(')') + 2);
  return state != 'Z' && state != 'X';
}

ProcessEnd::ProcessEnd(pid_t pid) : pidfd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {
  EXPECT_TRUE(pidfd_) << "open the pidfd of " << pid;
}

bool ProcessEnd::await() const {
  pollfd ended{pidfd_.get(), POLLIN, 0};
  return poll(&ended, 1, static_cast<int>(kPatience.count() * 1000)) == 1;
}

std::string readToEnd(int fd) {
  std::string text;
  while (readMore(fd, text)) {
  }
  return text;
}

std::string readUntil(int fd, const std::string& wanted) {
  std::string text;
  while (text.find(wanted) == std::string::npos && readMore(fd, text)) {
  }
  return text;
}

std::vector<LogRecord> parseLog(const std::string& text) {
  std::vector<LogRecord> records;
  EXPECT_TRUE(text.empty() || text.back() == '\n') << "the log ends within a record";
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    EXPECT_EQ(parts.size(), 4u) << line;
    if (parts.size() != 4) continue;
    EXPECT_EQ(parts[0].size(), 30u) << line;
    EXPECT_EQ(parts[0].back(), 'Z') << line;
    EXPECT_THAT(parts[1], testing::AnyOf("stdout", "stderr")) << line;
    EXPECT_THAT(parts[2], testing::AnyOf("F", "P")) << line;
    records.push_back({parts[0], parts[1], parts[2], parts[3]});
  }
  return records;
}

std::vector<std::string> logLines(const std::vector<LogRecord>& records,
                                  const std::string& stream) {
  std::vector<std::string> lines;
  std::string line;
  for (const LogRecord& record : records) {
    if (record.stream != stream) continue;
    line += record.content;
    if (record.tag == "P") continue;
    lines.push_back(line);
    line.clear();
  }
  if (!line.empty()) lines.push_back(line);
  return lines;
}

void PodFixture::SetUp() {
  ASSERT_EQ(geteuid(), 0u) << "integration tests run as root";
  std::string pattern = std::filesystem::temp_directory_path() / "berth-monitor-XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  directory_ = pattern;
  const char* runtime = getenv("BERTH_TEST_RUNTIME");
  runtime_ = runtime != nullptr ? runtime : "/usr/sbin/runc";
  netPin_ = absl::StrCat(directory_, "/netns/pod");
  ASSERT_TRUE(support::makeDirectories(runDir(), 0700).ok());
  events_ = std::make_unique<Events>();
}

void PodFixture::TearDown() {
  // A test may have given it up.
  if (!client_ && monitorAlive(runDir())) reconnect();
  if (client_) {
    const auto listing = client_->list(soon());
    EXPECT_OK(listing);
    if (listing.ok()) {
      for (const ContainerStatus& container : listing->containers) {
        if (container.state == ContainerState::kRunning) {
          EXPECT_OK(
              client_->killContainer(container.containerId, SIGKILL, KillScope::kAll, soon()));
          awaitExit(container.containerId);
        }
        EXPECT_OK(client_->deleteContainer(container.containerId, soon()));
        EXPECT_FALSE(support::pathExists(cgroupDir(container.containerId)));
      }
    }
    EXPECT_OK(client_->shutdown(soon()));
    EXPECT_FALSE(monitorAlive(runDir()));
    EXPECT_FALSE(support::pathExists(netPin_)) << "the network namespace is still pinned";
    if (const auto names = support::listDirectory(runDir()); names.ok()) {
      EXPECT_THAT(*names, testing::IsEmpty()) << "left in the run folder";
    }
  }
  client_.reset();
  if (monitorAlive(runDir())) {
    ADD_FAILURE() << "the monitor did not end; it is killed";
    const ProcessEnd end(facts_.monitorPid);
    ::kill(facts_.monitorPid, SIGKILL);
    EXPECT_TRUE(end.await());
    EXPECT_OK(cleanUpMonitor(runDir(), netPin_));
  }
  if (const auto roots = support::listDirectory(runtimeRoot()); roots.ok()) {
    EXPECT_THAT(*roots, testing::IsEmpty()) << "the runtime still knows containers";
  }
  for (const char* hierarchy :
       {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "perf_event",
        "net_cls", "hugetlb", "systemd", "unified", "."}) {
    support::removePath(absl::StrCat("/sys/fs/cgroup/", hierarchy, cgroupParent())).IgnoreError();
  }
  EXPECT_OK(support::removeTree(directory_));
}

protocol::StartRequest PodFixture::podRequest() const {
  protocol::StartRequest request;
  request.podId = "pod";
  request.runDir = runDir();
  request.hostname = "berth-test";
  request.net = NamespaceMode::kNew;
  request.ipc = NamespaceMode::kNew;
  request.uts = NamespaceMode::kNew;
  request.netPin = netPin_;
  request.runtimePath = runtime_;
  request.runtimeRoot = runtimeRoot();
  request.setOomScoreAdj = 1;
  request.oomScoreAdj = -998;
  return request;
}

void PodFixture::startPod(const protocol::StartRequest& request) {
  const auto facts = startMonitor(test_paths::monitor, request, soon());
  REQUIRE_OK(facts);
  facts_ = *facts;
  reconnect();
}

void PodFixture::reconnect() {
  client_.reset();
  events_ = std::make_unique<Events>();
  auto client = MonitorClient::connect(runDir(), events_->handler(), soon());
  REQUIRE_OK(client);
  client_ = *std::move(client);
  REQUIRE_OK(client_->subscribe(soon()));
}

std::string PodFixture::cgroupDir(const std::string& id) const {
  return absl::StrCat(cgroupV2() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory", cgroupParent(), "/",
                      id);
}

void PodFixture::writeBundle(const std::string& id, const std::vector<std::string>& command,
                             const ContainerOptions& options) {
  json::object resources;
  if (options.memoryLimit != 0) resources["memory"] = {{"limit", options.memoryLimit}};
  const json::object config{{"ociVersion", "1.0.2"},
                            {"process", process(command, options.terminal)},
                            {"root", {{"path", sharedRootfs()}, {"readonly", false}}},
                            {"mounts", mounts()},
                            {"linux",
                             {{"namespaces", namespaces(facts_, options.hostPid)},
                              {"cgroupsPath", absl::StrCat(cgroupParent(), "/", id)},
                              {"resources", resources}}}};
  const std::string bundle = absl::StrCat(directory_, "/", id);
  REQUIRE_OK(support::makeDirectories(bundle));
  REQUIRE_OK(support::replaceFile(bundle + "/config.json", json::serialize(config), 0600,
                                  support::Durability::kVisible));
}

void PodFixture::create(const std::string& id, const std::vector<std::string>& command,
                        const ContainerOptions& options) {
  writeBundle(id, command, options);
  protocol::CreateContainerRequest request;
  request.containerId = id;
  request.bundle = absl::StrCat(directory_, "/", id);
  if (options.log) request.logPath = logPath(id);
  request.terminal = options.terminal ? 1 : 0;
  request.stdinMode = options.stdinMode;
  request.startMode = options.startMode;
  request.cgroupKind = cgroupV2() ? protocol::CgroupKind::kV2 : protocol::CgroupKind::kV1;
  request.cgroupDir = cgroupDir(id);
  request.createArgs = options.createArgs;
  REQUIRE_OK(client_->createContainer(request, soon()));
}

void PodFixture::run(const std::string& id, const std::vector<std::string>& command,
                     const ContainerOptions& options) {
  ASSERT_NO_FATAL_FAILURE(create(id, command, options));
  REQUIRE_OK(client_->startContainer(id, soon()));
}

ContainerStatus PodFixture::statusOf(const std::string& id) {
  const auto listing = client_->list(soon());
  EXPECT_OK(listing);
  if (listing.ok()) {
    for (const ContainerStatus& status : listing->containers) {
      if (status.containerId == id) return status;
    }
  }
  ADD_FAILURE() << "no container " << id;
  return {};
}

ExecOptions PodFixture::execOptions(const std::string& id, const std::string& execId,
                                    const std::string& script, bool terminal) const {
  ExecOptions options;
  options.containerId = id;
  options.execId = execId;
  options.processJson = json::serialize(process({"/bin/sh", "-c", script}, terminal));
  options.terminal = terminal;
  return options;
}

std::string PodFixture::execOutput(const std::string& id, const std::string& script,
                                   protocol::ExecStatus* status) {
  static int serial = 0;
  const std::string execId = absl::StrCat("output-", ++serial);
  Pipe out;
  EXPECT_OK(client_->exec(execOptions(id, execId, script), {-1, out.write.get(), -1}, soon()));
  out.write.reset();
  std::string text = readToEnd(out.read.get());
  const auto exit = client_->waitExec(id, execId, soon());
  EXPECT_OK(exit);
  if (exit.ok() && status != nullptr) *status = *exit;
  return text;
}

std::vector<LogRecord> PodFixture::log(const std::string& id) const {
  const auto text = support::readFile(logPath(id));
  EXPECT_OK(text);
  return text.ok() ? parseLog(*text) : std::vector<LogRecord>{};
}

}  // namespace berth::runc
