// The other side of ttrpc connections, for tests: a server on a thread of its own, and raw sockets.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "berth/support/fd.hpp"
#include "ttrpc/client.hpp"
#include "ttrpc/server.hpp"

namespace berth::kata::ttrpc::test {

// A folder whose path is short enough for sockets.
class Folder {
 public:
  Folder() {
    char path[] = "/tmp/ttrpc-XXXXXX";
    path_ = ::mkdtemp(path);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline sockaddr_un addressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

inline support::Fd listenAt(const std::string& path, int flags = 0) {
  support::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  const sockaddr_un address = addressOf(path);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(socket.get(), 8), 0);
  return socket;
}

inline support::Fd connectTo(const std::string& path) {
  support::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = addressOf(path);
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            0);
  return socket;
}

// All that comes until the other side hangs up, or `size` bytes.
inline std::string readFrom(const support::Fd& socket, size_t size = SIZE_MAX) {
  std::string result;
  char buffer[4096];
  while (result.size() < size) {
    const ssize_t count =
        ::recv(socket.get(), buffer, std::min(sizeof buffer, size - result.size()), 0);
    if (count <= 0) break;
    result.append(buffer, static_cast<size_t>(count));
  }
  return result;
}

inline void sendTo(const support::Fd& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

// A server that answers as `answer` says; what it does runs on the server's thread.
class ServerThread final : Handler, streams::Watcher {
 public:
  using Answer = std::function<void(Request, Responder)>;

  ServerThread(const std::string& path, Answer answer)
      : answer_(std::move(answer)), server_(loop_, *this), wake_(::eventfd(0, EFD_CLOEXEC)) {
    EXPECT_TRUE(streams::isOk(loop_.open()));
    EXPECT_TRUE(loop_.add(wake_.get(), EPOLLIN, *this));
    EXPECT_TRUE(streams::isOk(server_.open(listenAt(path, SOCK_NONBLOCK))));
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~ServerThread() {
    run([this] {
      server_.close();
      loop_.stop();
    });
    thread_.join();
  }

  // Does it on the server's thread, and waits for that.
  void run(const std::function<void()>& work) {
    std::promise<void> done;
    {
      const std::lock_guard lock(mutex_);
      work_.push_back([&] {
        work();
        done.set_value();
      });
    }
    ::eventfd_write(wake_.get(), 1);
    done.get_future().wait();
  }
  size_t connections() {
    size_t count = 0;
    run([&] { count = server_.connections(); });
    return count;
  }

 private:
  void onRequest(Request request, Responder responder) override {
    answer_(std::move(request), responder);
  }
  void onReady(uint32_t) override {
    eventfd_t count = 0;
    ::eventfd_read(wake_.get(), &count);
    std::deque<std::function<void()>> work;
    {
      const std::lock_guard lock(mutex_);
      work.swap(work_);
    }
    for (const auto& each : work) each();
  }

  Answer answer_;
  streams::Loop loop_;
  Server server_;
  support::Fd wake_;
  std::mutex mutex_;
  std::deque<std::function<void()>> work_;
  std::thread thread_;
};

}  // namespace berth::kata::ttrpc::test
