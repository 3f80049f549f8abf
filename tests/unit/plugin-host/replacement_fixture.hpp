// An instance of a plugin that is replaced, and what keeps the plugin from going on.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/plugin.hpp"
#include "test_host.hpp"

namespace berth::plugins::testing {

using Clock = std::chrono::steady_clock;

inline bool eventually(const std::function<bool()>& holds) {
  const auto until = Clock::now() + std::chrono::seconds(20);
  while (Clock::now() < until) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return holds();
}

// Keeps plugins that say one of `messages` from going on until it is opened for that.
class Gate {
 public:
  Gate(TestHost& host, std::set<std::string> messages) {
    state_->closed = std::move(messages);
    host.onLog = [state = state_](std::string_view said, const LogFields&) {
      std::unique_lock lock(state->mutex);
      state->changed.wait(lock, [&] { return !state->closed.contains(std::string(said)); });
    };
  }
  ~Gate() {
    while (!state_->closed.empty()) open(std::string(*state_->closed.begin()));
  }
  void open(const std::string& message) const {
    const std::lock_guard lock(state_->mutex);
    state_->closed.erase(message);
    state_->changed.notify_all();
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::set<std::string> closed;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

class ReplacementTest : public ::testing::Test {
 protected:
  TestHost host_;
  Registry registry_{{}, host_.services()};
  const std::string path_ = host_.directory() / "berth-mine.so";
  Wanted wanted_{Kind::kNetwork, "net", path_, {}};

  void put(const std::string& plugin) const {
    const std::string next = host_.directory() / "next.so";
    std::filesystem::copy_file(pluginPath(plugin), next);
    std::filesystem::rename(next, path_);
  }
  void start() {
    put("parallel");
    ASSERT_TRUE(registry_.load({wanted_}).ok());
    ASSERT_TRUE(registry_.start().ok());
  }
  absl::StatusOr<Registry::Replacement> replace(
      std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    const Operation op("replace", Clock::now() + limit);
    return registry_.replace(op, wanted_);
  }
  void awaitLogged(const std::string& message, size_t times) const {
    EXPECT_TRUE(eventually([&] { return host_.logged({message}).size() >= times; })) << message;
  }
  // Of any operation.
  static void awaitStage(const std::string& stage) {
    EXPECT_TRUE(eventually([&] {
      const auto running = runningOperations();
      return std::any_of(running.begin(), running.end(),
                         [&](const auto& one) { return one.stage == stage; });
    })) << stage;
  }
  static std::string versionOf(const Instance& instance) {
    return copy(instance.library().description().version);
  }
  std::string serving() const { return versionOf(*registry_.instances()[0]); }
};

}  // namespace berth::plugins::testing
