// Pods and containers for the tests, and the check that they leave nothing behind.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plugin_instance.hpp"

namespace berth::test {

// Arrays that a berth_pod_spec points into, and the spec.
struct Pod {
  std::string id, uid, name, directory, cgroupParent, hostname;
  uint32_t namespaces = BERTH_NAMESPACE_NETWORK | BERTH_NAMESPACE_IPC | BERTH_NAMESPACE_UTS;
  std::vector<std::pair<std::string, std::string>> sysctls;
  std::map<uint32_t, std::string> paths;  // of the namespaces made
  std::string state;
};

struct Container {
  std::string id, directory, logPath, rootfs;
  std::vector<std::string> args;
  uint32_t flags = 0;
  std::string resources = "{}";
};

// Waits until the condition holds; false when it does not in that time.
bool within(std::chrono::seconds time, const std::function<bool()>& condition);

// Root, the OCI runtime and a kernel are needed; without root the tests are skipped, loudly.
class RuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // The instance in use; restart() makes another in its place, as an upgraded host would.
  PluginInstance& plugin() { return *plugin_; }
  void restart();
  void stopPlugin() { plugin_.reset(); }
  std::string options() const;
  // Used from the next (re)start on.
  void setRuntime(std::string path) { runtime_ = std::move(path); }

  Pod newPod();
  Result create(Pod& pod, const TestOp& op = TestOp());
  Container newContainer(const Pod& pod, std::vector<std::string> args);
  Result create(const Pod& pod, const Container& container, const TestOp& op = TestOp());
  // Creates and starts; both must work.
  Status run(const Pod& pod, const Container& container);
  Status waitFor(const Pod& pod, const Container& container);

  std::string logOf(const Container& container) const;
  // Blocks until the container's log has a line that contains the text (30 s).
  ::testing::AssertionResult logHas(const Container& container, const std::string& text) const;
  std::string cgroupOf(const Pod& pod, const Container& container) const;
  // The process that holds the pod, found by its run folder.
  pid_t monitorOf(const Pod& pod) const;

  std::string root_;

 private:
  std::string specOf(const Pod& pod, const Container& container) const;
  void expectNothingLeft();

  std::string cgroup_;  // name of the top cgroup of this test
  std::string runtime_ = "/usr/sbin/runc";
  std::unique_ptr<PluginInstance> plugin_;
  size_t descriptors_ = 0;
};

// Processes whose command line or any of whose cgroups contains the text.
std::vector<pid_t> processesWith(const std::string& text);
// Reads until end of file.
std::string readToEnd(int fd);

}  // namespace berth::test
