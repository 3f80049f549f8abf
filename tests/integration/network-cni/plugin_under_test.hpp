// The plugin's shared object, loaded and driven through the C ABI alone, and a host of a few lines.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "berth/network.h"
#include "berth/plugin.h"
#include "berth/support/fd.hpp"

namespace berth::cni_test {

// An operation that a test can cancel, from any thread.
class TestOp {
 public:
  explicit TestOp(std::chrono::milliseconds time = std::chrono::seconds(60));
  void cancel();
  const berth_op* get() const { return &op_; }
  std::vector<std::string> stages() const;

  // Called with each stage, on the plugin's thread.
  std::function<void(const std::string&)> onStage;

 private:
  berth_op op_{};
  support::Fd event_;
  mutable std::mutex mutex_;
  bool cancelled_ = false;
  std::vector<std::string> stages_;
};

struct Pod {
  std::string id;
  std::string namespacePath;
  std::string name = "web";
  std::string podNamespace = "default";
  std::vector<berth_port_mapping> ports = {};
  uint64_t ingressRate = 0;
  uint64_t ingressBurst = 0;
  std::vector<berth_pair> annotations = {};
};

struct Outcome {
  berth_code code = BERTH_OK;
  std::string message = {};
  std::vector<std::string> addresses = {};
  std::string result = {};
  std::string state = {};

  bool ok() const { return code == BERTH_OK; }
};

struct Wanted {
  std::string pod;
  std::string state;
};

class PluginUnderTest {
 public:
  // Configures and starts an instance; throws with the plugin's message when it refuses.
  explicit PluginUnderTest(const std::string& options);
  ~PluginUnderTest();
  PluginUnderTest(const PluginUnderTest&) = delete;
  PluginUnderTest& operator=(const PluginUnderTest&) = delete;

  static const berth_plugin& description();

  Outcome attach(const Pod& pod, const TestOp& op = TestOp());
  Outcome detach(const Pod& pod, const std::string& state = {}, const TestOp& op = TestOp());
  Outcome check(const Pod& pod, const std::string& state = {}, const TestOp& op = TestOp());
  Outcome status(const TestOp& op = TestOp());
  Outcome gc(const std::vector<Wanted>& wanted, const TestOp& op = TestOp());
  Outcome setPodCidr(const std::string& cidr, const TestOp& op = TestOp());

  // Events of BERTH_EVENT_NETWORK_CHANGED so far.
  unsigned changes() const;
  // Waits for more events than `seen`; false when none has come for half a minute.
  bool awaitChange(unsigned seen);
  std::string log() const;

 private:
  static void onLog(void* context, berth_log_level level, berth_str message,
                    const berth_pair* fields, size_t count);
  static void onEvent(void* context, const berth_event* event);

  berth_host host_{};
  void* instance_ = nullptr;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  unsigned changes_ = 0;
  std::string log_;
};

}  // namespace berth::cni_test
