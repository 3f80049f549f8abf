// What systemd is told, on a socket as it makes them.
#include "common/service_manager.hpp"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/fd.hpp"

namespace berth::common {
namespace {

using ::testing::HasSubstr;

// Systemd's end, under a path or an abstract name.
class Manager {
 public:
  explicit Manager(const std::string& name) : name_(name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    fd_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  }
  ~Manager() {
    if (name_.front() == '/') ::unlink(name_.c_str());
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // Empty: nothing was sent.
  std::string heard() {
    char buffer[512];
    const ssize_t size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    return size < 0 ? std::string() : std::string(buffer, static_cast<size_t>(size));
  }

 private:
  std::string name_;
  support::Fd fd_;
};

class ServiceManagerTest : public ::testing::Test {
 protected:
  ~ServiceManagerTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
};

TEST_F(ServiceManagerTest, WithoutOneNothingIsSent) {
  const ServiceManager manager = ServiceManager::fromEnvironment();
  EXPECT_TRUE(manager.ready("x").ok());
  EXPECT_TRUE(manager.working("x", std::chrono::seconds(1)).ok());
  EXPECT_TRUE(manager.alive().ok());
  EXPECT_TRUE(manager.stopping("x").ok());
  EXPECT_FALSE(manager.patience());
}

TEST_F(ServiceManagerTest, TellsStartAndEnd) {
  for (const std::string& name : {"/tmp/berth-notify-" + std::to_string(::getpid()),
                                  "@berth-notify-" + std::to_string(::getpid())}) {
    Manager systemd(name);
    set("NOTIFY_SOCKET", name);
    const ServiceManager manager = ServiceManager::fromEnvironment();
    ASSERT_TRUE(manager.working("waits for a plugin", std::chrono::seconds(80)).ok());
    EXPECT_EQ(systemd.heard(), "EXTEND_TIMEOUT_USEC=80000000\nSTATUS=waits for a plugin");
    ASSERT_TRUE(manager.ready("serving /x").ok());
    EXPECT_EQ(systemd.heard(), "READY=1\nSTATUS=serving /x");
    ASSERT_TRUE(manager.alive().ok());
    EXPECT_EQ(systemd.heard(), "WATCHDOG=1");
    ASSERT_TRUE(manager.stopping("pods go on").ok());
    EXPECT_EQ(systemd.heard(), "STOPPING=1\nSTATUS=pods go on");
    EXPECT_EQ(systemd.heard(), "");
  }
}

TEST_F(ServiceManagerTest, AStatusIsOneAssignment) {
  const std::string name = "@berth-notify-line-" + std::to_string(::getpid());
  Manager systemd(name);
  set("NOTIFY_SOCKET", name);
  const ServiceManager manager = ServiceManager::fromEnvironment();
  ASSERT_TRUE(manager.working("a plugin\nREADY=1", std::chrono::seconds(1)).ok());
  EXPECT_EQ(systemd.heard(), "EXTEND_TIMEOUT_USEC=1000000\nSTATUS=a plugin READY=1");
}

// One that is busy: what it must hear is not lost, and stages hold nobody up.
TEST_F(ServiceManagerTest, AManagerThatDoesNotListenIsWaitedForWhereItMatters) {
  const std::string name = "@berth-notify-busy-" + std::to_string(::getpid());
  Manager systemd(name);
  set("NOTIFY_SOCKET", name);
  const ServiceManager manager = ServiceManager::fromEnvironment();
  const auto begin = std::chrono::steady_clock::now();
  int sent = 0;
  while (manager.working("x", std::chrono::seconds(1)).ok() && sent < 10'000) ++sent;
  ASSERT_LT(sent, 10'000) << "it never has too much";
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    systemd.heard();
  });
  EXPECT_TRUE(manager.ready("serving").ok());
  later.join();
  EXPECT_FALSE(manager.ready("serving").ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST_F(ServiceManagerTest, ChildrenDoNotInheritIt) {
  set("NOTIFY_SOCKET", "/run/systemd/notify");
  set("WATCHDOG_USEC", "60000000");
  set("WATCHDOG_PID", std::to_string(::getpid()));
  EXPECT_EQ(ServiceManager::fromEnvironment().patience(), std::chrono::seconds(60));
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
    EXPECT_EQ(::getenv(name), nullptr) << name;
}

TEST_F(ServiceManagerTest, WatchesOnlyTheProcessThatIsMeant) {
  const auto patience = [](const std::string& microseconds, const std::string& pid) {
    set("NOTIFY_SOCKET", "/run/systemd/notify");
    set("WATCHDOG_USEC", microseconds);
    if (!pid.empty()) set("WATCHDOG_PID", pid);
    return ServiceManager::fromEnvironment().patience();
  };
  EXPECT_EQ(patience("1000", ""), std::chrono::milliseconds(1));
  EXPECT_FALSE(patience("1000", std::to_string(::getppid())));
  EXPECT_FALSE(patience("0", ""));
  EXPECT_FALSE(patience("1000x", ""));
  EXPECT_FALSE(patience("-5", ""));
  set("WATCHDOG_USEC", "1000");
  EXPECT_FALSE(ServiceManager::fromEnvironment().patience()) << "there is nobody to tell";
}

TEST_F(ServiceManagerTest, SaysWhyNobodyCouldBeTold) {
  set("NOTIFY_SOCKET", "/nonexistent/notify");
  EXPECT_THAT(std::string(ServiceManager::fromEnvironment().alive().message()),
              HasSubstr("/nonexistent/notify"));
  for (const std::string& wrong : {std::string("vsock:2:1"), "/" + std::string(200, 'x')}) {
    set("NOTIFY_SOCKET", wrong);
    EXPECT_TRUE(absl::IsInvalidArgument(ServiceManager::fromEnvironment().alive())) << wrong;
  }
}

}  // namespace
}  // namespace berth::common
