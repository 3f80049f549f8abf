// A monitor of a few lines that behaves as badly as a test wants.
#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <list>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "../protocol/messages.hpp"
#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"

namespace berth::runc {

// Holds the run folder and serves its socket, until it is destroyed. What its members say may be
// changed at any time.
class FakeMonitor {
 public:
  // `pid`: of the process that it says it is.
  FakeMonitor(std::string runDir, std::string pod, pid_t pid)
      : runDir_(std::move(runDir)), pod_(std::move(pod)), pid_(pid) {
    hold();
    serve();
  }
  ~FakeMonitor() {
    (void)::eventfd_write(end_.get(), 1);
    if (thread_.joinable()) thread_.join();
    (void)::unlink(socketPath().c_str());
  }
  FakeMonitor(const FakeMonitor&) = delete;
  FakeMonitor& operator=(const FakeMonitor&) = delete;

  // How many of the next kills are answered by hanging up.
  std::atomic<int> hangUps = 0;
  // Whether kills are left without an answer.
  std::atomic<bool> silent = false;
  // Whether hello is left without an answer, too.
  std::atomic<bool> mute = false;
  std::atomic<protocol::Code> shutdownCode = protocol::Code::kOk;
  std::atomic<protocol::Code> cancelDeleteCode = protocol::Code::kOk;

  std::atomic<int> connections = 0;
  std::atomic<int> kills = 0;

  // Hangs up on everybody.
  void hangUp() {
    breaks_ = true;
    (void)::eventfd_write(end_.get(), 1);
    while (breaks_) std::this_thread::yield();
  }

 private:
  std::string socketPath() const { return runDir_ + "/sock"; }

  void hold() {
    auto folder = support::openFile(runDir_, O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(folder.ok()) << folder.status();
    folder_ = *std::move(folder);
    ASSERT_EQ(::flock(folder_.get(), LOCK_EX | LOCK_NB), 0);
  }

  void serve() {
    end_.reset(::eventfd(0, EFD_CLOEXEC));
    listener_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socketPath().copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    ASSERT_EQ(::listen(listener_.get(), 16), 0);
    thread_ = std::thread([this] { run(); });
  }

  void run() {
    for (;;) {
      std::vector<pollfd> polled{{end_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
      for (const support::Fd& client : clients_) polled.push_back({client.get(), POLLIN, 0});
      if (::poll(polled.data(), polled.size(), -1) < 0) return;
      if (polled[0].revents != 0) {
        if (!breaks_) return;
        eventfd_t ignored = 0;
        (void)::eventfd_read(end_.get(), &ignored);
        clients_.clear();
        breaks_ = false;
        continue;
      }
      size_t at = 2;
      for (auto client = clients_.begin(); client != clients_.end(); ++at) {
        const bool ends = polled[at].revents != 0 && !answer(*client);
        client = ends ? clients_.erase(client) : std::next(client);
      }
      if (polled[1].revents != 0) {
        clients_.emplace_back(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        ++connections;
      }
    }
  }

  template <typename Reply>
  static void send(const support::Fd& client, const protocol::Header& to, const Reply& reply) {
    const std::string frame = protocol::encodeFrame({to.type, protocol::kReply, to.id}, reply);
    (void)!::send(client.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
  }

  bool answer(const support::Fd& client) {
    std::string frame(protocol::kMaxFrame, '\0');
    const ssize_t size = ::recv(client.get(), frame.data(), frame.size(), 0);
    if (size <= 0) return false;
    frame.resize(static_cast<size_t>(size));
    protocol::Header header;
    std::string_view fields;
    if (protocol::decodeHeader(frame, header, fields)) return false;
    if (header.type == protocol::Type::kHello) {
      if (mute) return true;
      send(client, header,
           protocol::HelloReply{.version = protocol::kVersion,
                                .facts = {.podId = pod_, .monitorPid = pid_}});
    } else if (header.type == protocol::Type::kSubscribe) {
      send(client, header, protocol::ListReply{});
    } else if (header.type == protocol::Type::kShutdown) {
      send(client, header, protocol::PlainReply{{shutdownCode, "as it was told"}});
      return shutdownCode != protocol::Code::kOk;
    } else if (header.type == protocol::Type::kCancelDelete) {
      send(client, header, protocol::PlainReply{{cancelDeleteCode, "as it was told"}});
    } else {
      ++kills;
      if (hangUps > 0 && hangUps-- > 0) return false;
      if (!silent) send(client, header, protocol::PlainReply{});
    }
    return true;
  }

  const std::string runDir_;
  const std::string pod_;
  const pid_t pid_;
  support::Fd folder_;
  support::Fd end_;
  support::Fd listener_;
  std::list<support::Fd> clients_;
  std::atomic<bool> breaks_ = false;
  std::thread thread_;
};

}  // namespace berth::runc
