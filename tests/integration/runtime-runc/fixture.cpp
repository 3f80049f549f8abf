#include "fixture.hpp"

#include <chrono>
#include <cstdlib>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/process.hpp"
#include "test_paths.hpp"

namespace berth::test {

namespace json = boost::json;
using support::listDirectory;

namespace {

// A root filesystem of Debian's busybox and the libraries it names.
constexpr const char* kRootfsScript = R"sh(
  root=$1
  mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/etc"
  busybox=$(command -v busybox)
  cp "$busybox" "$root/bin/busybox"
  for library in $(ldd "$busybox" 2>/dev/null | grep -o '/[^ )]*'); do
    mkdir -p "$root${library%/*}"
    cp -L "$library" "$root$library"
  done
  for applet in $("$busybox" --list); do
    if [ "$applet" != busybox ]; then ln -sf busybox "$root/bin/$applet"; fi
  done
)sh";

void makeRootfs(const std::string& rootfs) {
  const auto made = support::run({.argv = {"/bin/sh", "-euc", kRootfsScript, "sh", rootfs}});
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_EQ(made->exitCode, 0) << made->standardError;
}

size_t openDescriptors() {
  return listDirectory("/proc/self/fd")->size();
}

json::array list(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

}  // namespace

bool within(std::chrono::seconds time, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::usleep(10000);
  }
  return true;
}

std::vector<pid_t> processesWith(const std::string& text) {
  std::vector<pid_t> found;
  const auto names = listDirectory("/proc");
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    const pid_t pid = std::atoi(name.c_str());
    if (pid <= 0 || pid == ::getpid()) continue;
    // One that has ended and that the system's init has not reaped yet is no process of ours.
    const auto state = support::readFile("/proc/" + name + "/stat");
    if (!state.ok() || state->find(") Z ") != std::string::npos) continue;
    for (const char* file : {"/cmdline", "/cgroup"}) {
      const auto content = support::readFile("/proc/" + name + file);
      if (content.ok() && content->find(text) != std::string::npos) {
        found.push_back(pid);
        break;
      }
    }
  }
  return found;
}

std::string readToEnd(int fd) {
  std::string all;
  char buffer[4096];
  for (;;) {
    pollfd polled{.fd = fd, .events = POLLIN};
    if (::poll(&polled, 1, 30000) != 1) return all + "(no end of file)";
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) return all;
    all.append(buffer, static_cast<size_t>(got));
  }
}

void RuntimeTest::SetUp() {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  char pattern[] = "/tmp/berth-runc-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern), nullptr);
  root_ = pattern;
  cgroup_ = "berth-test-" + support::randomId().substr(0, 12);
  makeRootfs(root_ + "/rootfs");
  restart();
  ASSERT_TRUE(plugin().started().ok()) << ::testing::PrintToString(plugin().started());
  descriptors_ = openDescriptors();
}

void RuntimeTest::TearDown() {
  if (root_.empty()) return;
  // A test that failed half-way must not leave its pods behind either.
  if (HasFailure()) {
    restart();
    const auto pods = listDirectory(root_ + "/run/pods");
    for (const std::string& pod : pods.ok() ? *pods : std::vector<std::string>()) {
      const Result removed = plugin().podRemove(pod);
      if (!removed.ok()) std::fprintf(stderr, "clean-up: %s\n", removed.message.c_str());
    }
  } else {
    expectNothingLeft();
  }
  plugin_.reset();
  EXPECT_TRUE(support::removeTree(root_).ok());
}

void RuntimeTest::expectNothingLeft() {
  // A killed monitor's children end with it, though not in the same moment.
  EXPECT_TRUE(within(std::chrono::seconds(10), [&] { return processesWith(root_).empty(); }));
  EXPECT_TRUE(processesWith(cgroup_).empty());
  EXPECT_EQ(support::readFile("/proc/self/mountinfo")->find(root_), std::string::npos);
  const auto hierarchies = listDirectory("/sys/fs/cgroup");
  ASSERT_TRUE(hierarchies.ok()) << hierarchies.status();
  for (const std::string& hierarchy : *hierarchies) {
    EXPECT_FALSE(support::pathExists("/sys/fs/cgroup/" + hierarchy + "/" + cgroup_)) << hierarchy;
  }
  EXPECT_FALSE(support::pathExists("/sys/fs/cgroup/" + cgroup_));
  for (const char* folder : {"/run/pods", "/run/runtime", "/netns", "/pods"}) {
    const auto names = listDirectory(root_ + folder);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      // The host's own part: the pod's directory, emptied.
      const auto inside = listDirectory(root_ + folder + "/" + name);
      EXPECT_TRUE(folder == std::string("/pods") && inside.ok() && inside->empty())
          << folder << "/" << name;
    }
  }
  EXPECT_FALSE(support::pathExists(root_ + "/run/cgroups.json"));
  // The client's shared reader comes with the first pod and stays. A connection that is being
  // settled goes soon after its pod.
  constexpr size_t kReader = 4;
  EXPECT_TRUE(
      within(std::chrono::seconds(10), [&] { return openDescriptors() <= descriptors_ + kReader; }))
      << openDescriptors() << " descriptors, " << descriptors_ << " before";
}

std::string RuntimeTest::options() const {
  return json::serialize(json::object{{"path", runtime_},
                                      {"root", root_ + "/run"},
                                      {"monitor", ""},
                                      {"netns_directory", root_ + "/netns"},
                                      {"args", json::array()},
                                      {"no_pivot", false}});
}

void RuntimeTest::restart() {
  plugin_.reset();
  plugin_ = std::make_unique<PluginInstance>(test_paths::plugin, options());
}

Pod RuntimeTest::newPod() {
  Pod pod;
  pod.id = support::randomId();
  pod.uid = "0a1b-" + pod.id.substr(0, 8);
  pod.name = "pod";
  pod.hostname = "host-of-pod";
  pod.directory = root_ + "/pods/" + pod.id;
  pod.cgroupParent = "/" + cgroup_ + "/pod" + pod.uid;
  return pod;
}

Result RuntimeTest::create(Pod& pod, const TestOp& op) {
  EXPECT_TRUE(support::makeDirectories(pod.directory).ok());
  std::vector<berth_pair> sysctls;
  for (const auto& [key, value] : pod.sysctls) sysctls.push_back({str(key), str(value)});
  berth_pod_spec spec{};
  spec.size = sizeof spec;
  spec.id = str(pod.id);
  spec.name = str(pod.name);
  spec.uid = str(pod.uid);
  spec.new_namespaces = pod.namespaces;
  spec.directory = str(pod.directory);
  spec.hostname = str(pod.hostname);
  spec.cgroup_parent = str(pod.cgroupParent);
  spec.cgroup_driver = BERTH_CGROUP_CGROUPFS;
  spec.sysctls = sysctls.data();
  spec.sysctl_count = sysctls.size();
  MadePod made = plugin().podCreate(spec, op);
  pod.paths = std::move(made.namespaces);
  pod.state = std::move(made.state);
  return made.result;
}

Container RuntimeTest::newContainer(const Pod& pod, std::vector<std::string> args) {
  Container container;
  container.id = support::randomId();
  container.directory = root_ + "/bundles/" + container.id;
  container.logPath = root_ + "/logs/" + pod.id + "/" + container.id + ".log";
  container.rootfs = root_ + "/rootfs";
  container.args = std::move(args);
  return container;
}

std::string RuntimeTest::specOf(const Pod& pod, const Container& container) const {
  json::array namespaces;
  namespaces.push_back(json::object{{"type", "mount"}});
  const std::pair<uint32_t, const char*> kinds[] = {{BERTH_NAMESPACE_NETWORK, "network"},
                                                    {BERTH_NAMESPACE_IPC, "ipc"},
                                                    {BERTH_NAMESPACE_UTS, "uts"},
                                                    {BERTH_NAMESPACE_PID, "pid"}};
  for (const auto& [bit, name] : kinds) {
    const auto made = pod.paths.find(bit);
    if (made != pod.paths.end()) {
      namespaces.push_back(json::object{{"type", name}, {"path", made->second}});
    } else if (bit == BERTH_NAMESPACE_PID) {
      namespaces.push_back(json::object{{"type", name}});
    }
  }
  const bool terminal = (container.flags & BERTH_CONTAINER_TERMINAL) != 0;
  return json::serialize(
      json::object{{"ociVersion", "1.0.2"},
                   {"process",
                    {{"terminal", terminal},
                     {"user", {{"uid", 0}, {"gid", 0}}},
                     {"args", list(container.args)},
                     {"env", {"PATH=/bin"}},
                     {"cwd", "/"}}},
                   {"root", {{"path", container.rootfs}}},
                   {"mounts",
                    {{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
                     {{"destination", "/dev"},
                      {"type", "tmpfs"},
                      {"source", "tmpfs"},
                      {"options", {"nosuid", "mode=755", "size=65536k"}}},
                     {{"destination", "/dev/pts"},
                      {"type", "devpts"},
                      {"source", "devpts"},
                      {"options", {"newinstance", "ptmxmode=0666", "mode=0620"}}}}},
                   {"linux",
                    {{"cgroupsPath", pod.cgroupParent + "/" + container.id},
                     {"namespaces", namespaces},
                     {"resources", json::parse(container.resources)}}}});
}

Result RuntimeTest::create(const Pod& pod, const Container& container, const TestOp& op) {
  EXPECT_TRUE(support::makeDirectories(container.directory).ok());
  EXPECT_TRUE(
      support::makeDirectories(container.logPath.substr(0, container.logPath.rfind('/'))).ok());
  const std::string document = specOf(pod, container);
  berth_container_spec spec{};
  spec.size = sizeof spec;
  spec.pod = str(pod.id);
  spec.id = str(container.id);
  spec.name = str("container");
  spec.flags = container.flags;
  spec.directory = str(container.directory);
  spec.rootfs = str(container.rootfs);
  spec.spec = str(document);
  spec.log_path = str(container.logPath);
  return plugin().containerCreate(spec, op);
}

Status RuntimeTest::run(const Pod& pod, const Container& container) {
  const Result created = create(pod, container);
  EXPECT_TRUE(created.ok()) << ::testing::PrintToString(created);
  Status status;
  const Result started = plugin().containerStart(pod.id, container.id, &status);
  EXPECT_TRUE(started.ok()) << ::testing::PrintToString(started);
  return status;
}

Status RuntimeTest::waitFor(const Pod& pod, const Container& container) {
  Status status;
  const Result waited = plugin().containerWait(pod.id, container.id, &status);
  EXPECT_TRUE(waited.ok()) << ::testing::PrintToString(waited);
  return status;
}

std::string RuntimeTest::logOf(const Container& container) const {
  const auto text = support::readFile(container.logPath);
  return text.ok() ? *text : std::string();
}

::testing::AssertionResult RuntimeTest::logHas(const Container& container,
                                               const std::string& text) const {
  const support::Fd watch(::inotify_init1(IN_CLOEXEC));
  if (::inotify_add_watch(watch.get(), container.logPath.c_str(), IN_MODIFY) < 0) {
    return ::testing::AssertionFailure() << "cannot watch " << container.logPath;
  }
  while (logOf(container).find(text) == std::string::npos) {
    pollfd polled{.fd = watch.get(), .events = POLLIN};
    if (::poll(&polled, 1, 30000) != 1) {
      return ::testing::AssertionFailure() << "no \"" << text << "\" in:\n" << logOf(container);
    }
    char buffer[4096];
    if (::read(watch.get(), buffer, sizeof buffer) < 0) break;
  }
  return ::testing::AssertionSuccess();
}

std::string RuntimeTest::cgroupOf(const Pod& pod, const Container& container) const {
  return pod.cgroupParent + "/" + container.id;
}

pid_t RuntimeTest::monitorOf(const Pod& pod) const {
  // Its IPC and UTS namespaces can be reached through it.
  const std::string& path = pod.paths.at(BERTH_NAMESPACE_UTS);
  return std::atoi(path.c_str() + std::string("/proc/").size());
}

}  // namespace berth::test
