// A socket of packets when descriptors run out.
#include "berth/streams/packet_server.hpp"

#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace {
int attempts = 0;
}  // namespace

// In place of the C library's.
extern "C" int accept4(int socket, sockaddr* address, socklen_t* size, int flags) {
  ++attempts;
  return static_cast<int>(::syscall(SYS_accept4, socket, address, size, flags));
}

namespace berth::streams {
namespace {

constexpr const char* kSocketName = "sock";

class ServerTest : public testing::Test, public PacketHandler, public Timer {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-server-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    directory_ = pattern;
    runDir_.reset(::open(pattern, O_PATH | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(isOk(loop_.open()));
    ASSERT_TRUE(isOk(server_.open(runDir_.get(), kSocketName, 1024)));
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit_), 0);
  }
  void TearDown() override {
    server_.close();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit_), 0);
    EXPECT_EQ(::rmdir(directory_.c_str()), 0);
  }

  bool onPacket(Connection&, std::string_view, Fd*, size_t) override { return true; }
  void onDisconnect(uint64_t) override { loop_.stop(); }
  void onTimer() override { loop_.stop(); }

  Fd connectNow() {
    Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory_ + "/" + kSocketName;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    return socket;
  }
  static void allowNoMore() {
    rlimit none{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &none), 0);
    none.rlim_cur = 0;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  }

  std::string directory_;
  Fd runDir_;
  rlimit limit_{};
  Loop loop_;
  PacketServer server_{loop_, *this};
};

TEST_F(ServerTest, WaitsForDescriptorsWithoutSpinning) {
  Fd client = connectNow();
  ASSERT_NO_FATAL_FAILURE(allowNoMore());
  attempts = 0;
  loop_.arm(*this, 500'000'000);
  loop_.run();
  EXPECT_GE(attempts, 1);
  EXPECT_LE(attempts, 10);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit_), 0);
  // It is let in as soon as there is room: its hanging up ends the loop.
  client.reset();
  loop_.arm(*this, 30'000'000'000);
  loop_.run();
  EXPECT_NE(due, 0);
  loop_.disarm(*this);
}

}  // namespace
}  // namespace berth::streams
