// A client's end of a connection to the streaming server.
#pragma once

#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/fd.hpp"
#include "berth/support/status.hpp"
#include "spdy_client.hpp"

namespace berth::streaming {

// What takes longer than 20 s fails.
class SocketClient {
 public:
  explicit SocketClient(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    // What breaks is an error that the test shows, not its end.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const timeval patience{20, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  virtual ~SocketClient() = default;

  int fd() const { return fd_.get(); }
  void send(const std::vector<uint8_t>& bytes) {
    EXPECT_EQ(transmit(bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void send(std::string_view text) { send(std::vector<uint8_t>(text.begin(), text.end())); }
  // Shorter when the connection ends before.
  std::string receive(size_t size) {
    std::string text(size, '\0');
    size_t have = 0;
    while (have < size) {
      const ssize_t count = take(text.data() + have, size - have);
      if (count <= 0) break;
      have += static_cast<size_t>(count);
    }
    text.resize(have);
    return text;
  }
  // What comes until the server ends the connection; it must.
  std::string receiveAll() {
    std::string text;
    for (;;) {
      char buffer[4096];
      const ssize_t count = take(buffer, sizeof buffer);
      if (count < 0) ADD_FAILURE() << "the connection does not end, after: " << text;
      if (count <= 0) return text;
      text.append(buffer, static_cast<size_t>(count));
    }
  }
  // The head of an answer.
  std::string receiveHead() {
    std::string head;
    for (char byte = 0; !head.ends_with("\r\n\r\n") && take(&byte, 1) == 1;) head += byte;
    return head;
  }

  // The part of the URL that a request names.
  static std::string targetOf(const std::string& url) {
    return url.substr(url.find('/', url.find("//") + 2));
  }
  static std::string upgradeRequest(const std::string& url, const std::string& version) {
    return support::strCat("POST ", targetOf(url),
                           " HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n",
                           "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ", version, "\r\n\r\n");
  }
  // Asks for the URL's stream in a version of SPDY's protocols; the head of the answer.
  std::string upgrade(const std::string& url, const std::string& version) {
    send(upgradeRequest(url, version));
    return receiveHead();
  }
  // The server's frames, one line each (spdy::Client), up to the first that is `last`.
  std::vector<std::string> framesUntil(const std::string& last) {
    std::vector<std::string> lines;
    for (;;) {
      for (std::string& line : spdy.take(received_)) lines.push_back(std::move(line));
      if (std::find(lines.begin(), lines.end(), last) != lines.end()) return lines;
      uint8_t buffer[4096];
      const ssize_t count = take(buffer, sizeof buffer);
      if (count <= 0) {
        ADD_FAILURE() << "the frame \"" << last << "\" has not come, only "
                      << testing::PrintToString(lines);
        return lines;
      }
      received_.insert(received_.end(), buffer, buffer + count);
    }
  }

  spdy::Client spdy;

 protected:
  // As send(2) and recv(2).
  virtual ssize_t transmit(const void* bytes, size_t size) {
    return ::send(fd_.get(), bytes, size, MSG_NOSIGNAL);
  }
  virtual ssize_t take(void* into, size_t size) { return ::recv(fd_.get(), into, size, 0); }

 private:
  support::Fd fd_;
  std::vector<uint8_t> received_;
};

}  // namespace berth::streaming
