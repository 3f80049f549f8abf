// A pod with a real monitor and a real OCI runtime, in folders of its own.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/fd.hpp"
#include "monitor_client.hpp"

namespace berth::runc {

using protocol::ContainerState;
using protocol::ContainerStatus;
using protocol::KillScope;
using protocol::NamespaceMode;

#define EXPECT_OK(expression)                               \
  do {                                                      \
    const absl::Status expect_ok_ = statusFrom(expression); \
    EXPECT_TRUE(expect_ok_.ok()) << expect_ok_;             \
  } while (false)
#define REQUIRE_OK(expression)                               \
  do {                                                       \
    const absl::Status require_ok_ = statusFrom(expression); \
    ASSERT_TRUE(require_ok_.ok()) << require_ok_;            \
  } while (false)
inline absl::Status statusFrom(absl::Status status) {
  return status;
}
template <typename T>
absl::Status statusFrom(const absl::StatusOr<T>& value) {
  return value.status();
}

// Within this everything must have happened; only a hang reaches it.
CallLimits soon();

// Keeps what a client's handler hears.
class Events {
 public:
  EventHandler handler();
  // The first event of this kind for the container ("" any), waiting for it.
  MonitorEvent await(MonitorEvent::Kind kind, const std::string& containerId = {});
  size_t count(MonitorEvent::Kind kind, const std::string& containerId) const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<MonitorEvent> events_;
};

// False for a zombie too.
bool processAlive(pid_t pid);

// Waits for the end of a process that need not be a child.
class ProcessEnd {
 public:
  explicit ProcessEnd(pid_t pid);
  // False when it lives on.
  bool await() const;

 private:
  support::Fd pidfd_;
};

// What a test asks of a container beyond its command.
struct ContainerOptions {
  bool terminal = false;
  protocol::StdinMode stdinMode = protocol::StdinMode::kNone;
  protocol::StartMode startMode = protocol::StartMode::kRun;
  std::vector<std::string> createArgs;
  int64_t memoryLimit = 0;
  bool hostPid = false;
  bool log = true;
};

struct Pipe {
  Pipe();
  support::Fd read;
  support::Fd write;
};
// Until the end.
std::string readToEnd(int fd);
// Until `text` has been seen; what came so far.
std::string readUntil(int fd, const std::string& text);

struct LogRecord {
  std::string time;
  std::string stream;
  std::string tag;
  std::string content;
};
// Fails the test when a line is not a record.
std::vector<LogRecord> parseLog(const std::string& text);
// The contents of one stream, parts joined.
std::vector<std::string> logLines(const std::vector<LogRecord>& records, const std::string& stream);

class PodFixture : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  protocol::StartRequest podRequest() const;
  // Starts the monitor and connects.
  void startPod(const protocol::StartRequest& request);
  void startPod() { startPod(podRequest()); }
  void reconnect();

  // Bundle, registration.
  void create(const std::string& id, const std::vector<std::string>& command,
              const ContainerOptions& options = {});
  // And start.
  void run(const std::string& id, const std::vector<std::string>& command,
           const ContainerOptions& options = {});
  void shell(const std::string& id, const std::string& script,
             const ContainerOptions& options = {}) {
    run(id, {"/bin/sh", "-c", script}, options);
  }
  MonitorEvent awaitExit(const std::string& id) {
    return events_->await(MonitorEvent::Kind::kContainerExited, id);
  }
  ContainerStatus statusOf(const std::string& id);

  ExecOptions execOptions(const std::string& id, const std::string& execId,
                          const std::string& script, bool terminal = false) const;
  // Exec without a terminal; its stdout, and the exit status in `status`.
  std::string execOutput(const std::string& id, const std::string& script,
                         protocol::ExecStatus* status = nullptr);

  std::string logPath(const std::string& id) const { return directory_ + "/" + id + ".log"; }
  std::vector<LogRecord> log(const std::string& id) const;
  std::string cgroupDir(const std::string& id) const;
  std::string runDir() const { return directory_ + "/run"; }
  std::string runtimeRoot() const { return directory_ + "/root"; }

  std::string directory_;
  std::string runtime_;
  protocol::PodFacts facts_;
  std::unique_ptr<Events> events_;
  std::unique_ptr<MonitorClient> client_;

 private:
  void writeBundle(const std::string& id, const std::vector<std::string>& command,
                   const ContainerOptions& options);
  std::string netPin_;
};

}  // namespace berth::runc
