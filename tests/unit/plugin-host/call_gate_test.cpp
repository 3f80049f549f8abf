// How many calls are in a plugin at once. Calls meet at a rendezvous inside the plugin: where they
// may run together all arrive, where they may not each is alone.
#include <atomic>
#include <condition_variable>
#include <thread>

#include <gtest/gtest.h>

#include "test_host.hpp"
#include "test_paths.hpp"

namespace berth::plugins {
namespace {

using testing::TestHost;

// Waits until `expected` calls are inside together; a time limit turns a hang into a failure.
class Rendezvous {
 public:
  explicit Rendezvous(int expected) : expected_(expected) {}
  bool arrive() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return arrived_ >= expected_; });
  }

 private:
  const int expected_;
  int arrived_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
};

class CallGateTest : public ::testing::Test {
 protected:
  TestHost host_;
  Registry registry_{{test_paths::plugins}, host_.services()};
  Network* network_ = nullptr;

  void load(const std::string& plugin) {
    ASSERT_TRUE(registry_.load({{Kind::kNetwork, "net", plugin, {}}}).ok());
    ASSERT_TRUE(registry_.start().ok());
    network_ = registry_.network("net")->get();
  }
  void attach(const std::string& pod) {
    Operation op("attach");
    NetworkRequest request;
    request.pod = pod;
    EXPECT_TRUE(network_->attach(op, request).ok());
  }
  // One thread for each pod; true when all were inside at the same moment.
  bool allMeet(const std::vector<std::string>& pods) {
    Rendezvous rendezvous(static_cast<int>(pods.size()));
    std::atomic<bool> met{true};
    host_.onLog = [&](std::string_view message, const LogFields&) {
      if (message == "enter" && !rendezvous.arrive()) met = false;
    };
    std::vector<std::thread> threads;
    for (const std::string& pod : pods) threads.emplace_back([this, pod] { attach(pod); });
    for (std::thread& thread : threads) thread.join();
    host_.onLog = nullptr;
    return met;
  }
  // The largest number of calls inside together, of many.
  int mostTogether(const std::vector<std::string>& pods) {
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    host_.onLog = [&](std::string_view message, const LogFields&) {
      if (message == "enter") {
        int now = ++inside;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        std::this_thread::yield();
      } else if (message == "leave") {
        --inside;
      }
    };
    std::vector<std::thread> threads;
    for (const std::string& pod : pods) {
      threads.emplace_back([this, pod] {
        for (int i = 0; i < 200; ++i) attach(pod);
      });
    }
    for (std::thread& thread : threads) thread.join();
    host_.onLog = nullptr;
    return most;
  }
};

TEST_F(CallGateTest, ParallelCallsAboutOneObjectRunTogether) {
  load("parallel");
  EXPECT_TRUE(allMeet({"a", "a", "a", "b"}));
}

TEST_F(CallGateTest, PerObjectCallsAboutDifferentObjectsRunTogether) {
  load("per_object");
  EXPECT_TRUE(allMeet({"a", "b", "c", "d"}));
}

TEST_F(CallGateTest, PerObjectCallsAboutOneObjectRunAlone) {
  load("per_object");
  EXPECT_EQ(mostTogether({"a", "a", "a", "a"}), 1);
}

TEST_F(CallGateTest, SerializedCallsRunAlone) {
  load("serialized");
  EXPECT_EQ(mostTogether({"a", "b", "c", "d"}), 1);
}

TEST_F(CallGateTest, InstancesOfOneSerializedPluginRunTogether) {
  ASSERT_TRUE(registry_
                  .load({{Kind::kNetwork, "one", "serialized", {}},
                         {Kind::kNetwork, "two", "serialized", {}}})
                  .ok());
  ASSERT_TRUE(registry_.start().ok());
  Rendezvous rendezvous(2);
  std::atomic<bool> met{true};
  host_.onLog = [&](std::string_view message, const LogFields&) {
    if (message == "enter" && !rendezvous.arrive()) met = false;
  };
  std::vector<std::thread> threads;
  for (const char* name : {"one", "two"}) {
    threads.emplace_back([this, name] {
      Operation op("attach");
      EXPECT_TRUE((*registry_.network(name))->attach(op, NetworkRequest{}).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(met);
}

TEST(CallGate, AnObjectsTurnIsFreeAgainAfterItsPass) {
  CallGate gate(BERTH_THREADING_PER_OBJECT);
  for (int i = 0; i < 3; ++i) {
    const auto a = gate.enter("a");
    const auto b = gate.enter("b");
  }
}

// What hangs in the plugin must not keep another call longer than that may last.
TEST(CallGate, AnOperationsEndEndsTheWait) {
  CallGate gate(BERTH_THREADING_SERIALIZED);
  const auto hanging = gate.enter("a");
  ASSERT_TRUE(hanging.ok());
  const Operation late("late", Operation::Clock::now() + std::chrono::milliseconds(100));
  const absl::Status refused = gate.enter("b", [&] { return late.check(); }).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(refused)) << refused;
  Operation cancelled("cancelled");
  std::thread canceller([&] { cancelled.cancel(); });
  EXPECT_TRUE(absl::IsCancelled(gate.enter("b", [&] { return cancelled.check(); }).status()));
  canceller.join();
}

}  // namespace
}  // namespace berth::plugins
