// The streaming server on a loopback port, with a backend of the test's and clients that speak SPDY
// over sockets.
#pragma once

#include <arpa/inet.h>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
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
#include "streaming/server.hpp"

namespace berth::streaming {

class TestBackend final : public Backend {
 public:
  std::function<absl::StatusOr<std::unique_ptr<Execution>>(const ExecRequest&, const ProcessEnds&)>
      onExec;
  std::function<absl::StatusOr<support::Fd>(uint16_t port)> onConnect;

  absl::StatusOr<std::unique_ptr<Execution>> exec(const ExecRequest& request,
                                                  const ProcessEnds& ends) override {
    return onExec(request, ends);
  }
  absl::Status attach(const AttachRequest&, const ProcessEnds&) override {
    return absl::UnimplementedError("attach");
  }
  absl::Status resizeContainer(const std::string&, TerminalSize) override {
    return absl::UnimplementedError("resizeContainer");
  }
  absl::StatusOr<support::Fd> connect(const std::string&, uint16_t port) override {
    return onConnect(port);
  }
};

// A command that has ended already.
class EndedExecution final : public Execution {
 public:
  absl::StatusOr<int> wait() override { return 0; }
  void cancel() override {}
  absl::Status resize(TerminalSize) override { return absl::OkStatus(); }
};

// A client's socket. What takes longer than 20 s fails.
class SocketClient {
 public:
  explicit SocketClient(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
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

  int fd() const { return fd_.get(); }
  void send(const std::vector<uint8_t>& bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Asks for the URL's stream in a version of SPDY's protocols; the head of the answer.
  std::string upgrade(const std::string& url, const std::string& version) {
    const std::string target = url.substr(url.find('/', url.find("//") + 2));
    const std::string request =
        support::strCat("POST ", target, " HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n",
                        "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ", version, "\r\n\r\n");
    send({request.begin(), request.end()});
    std::string head;
    for (char byte = 0; !head.ends_with("\r\n\r\n") && ::recv(fd_.get(), &byte, 1, 0) == 1;) {
      head += byte;
    }
    return head;
  }
  // The server's frames, one line each (spdy::Client), up to the first that is `last`.
  std::vector<std::string> framesUntil(const std::string& last) {
    std::vector<std::string> lines;
    for (;;) {
      for (std::string& line : spdy.take(received_)) lines.push_back(std::move(line));
      if (std::find(lines.begin(), lines.end(), last) != lines.end()) return lines;
      uint8_t buffer[4096];
      const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (count <= 0) {
        ADD_FAILURE() << "the frame \"" << last << "\" has not come, only "
                      << testing::PrintToString(lines);
        return lines;
      }
      received_.insert(received_.end(), buffer, buffer + count);
    }
  }

  spdy::Client spdy;

 private:
  support::Fd fd_;
  std::vector<uint8_t> received_;
};

class ServerTest : public testing::Test {
 protected:
  void start(const Settings& settings = {}) {
    auto started = Server::start(settings, backend);
    ASSERT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
  }
  std::string portForwardUrl() {
    runtime::v1::PortForwardRequest request;
    request.set_pod_sandbox_id("pod");
    return server->portForwardUrl(request).value_or("");
  }
  static runtime::v1::ExecRequest command() {
    runtime::v1::ExecRequest request;
    request.set_container_id("container");
    request.add_cmd("true");
    request.set_stdout(true);
    return request;
  }
  // Executes a command that ends at once; what the error stream says of it.
  std::string exec(SocketClient& client, const std::string& url) {
    EXPECT_THAT(client.upgrade(url, "v4.channel.k8s.io"), testing::StartsWith("HTTP/1.1 101"));
    client.send(client.spdy.syn(1, {{"streamtype", "error"}}));
    client.send(client.spdy.syn(3, {{"streamtype", "stdout"}}));
    client.framesUntil("DATA 1 0 FIN");
    return client.spdy.payloads[1];
  }
  void endCommandsAtOnce() {
    backend.onExec = [](const ExecRequest&, const ProcessEnds&) {
      return std::make_unique<EndedExecution>();
    };
  }

  TestBackend backend;
  std::unique_ptr<Server> server;
};

}  // namespace berth::streaming
