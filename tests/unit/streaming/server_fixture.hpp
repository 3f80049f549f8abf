// The streaming server on a loopback port, with a backend of the test's and clients that speak SPDY
// over sockets.
#pragma once

#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/fd.hpp"
#include "berth/support/status.hpp"
#include "socket_client.hpp"
#include "streaming/server.hpp"
#include "test_command.hpp"

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

  // Each command is the next of these.
  void runCommands(std::initializer_list<TestCommand*> commands) {
    auto left = std::make_shared<std::deque<TestCommand*>>(commands);
    backend.onExec = [left](const ExecRequest&,
                            const ProcessEnds& ends) -> absl::StatusOr<std::unique_ptr<Execution>> {
      if (left->empty()) return absl::InternalError("there are no more commands");
      TestCommand* const next = left->front();
      left->pop_front();
      return next->run(ends);
    };
  }

  TestBackend backend;
  std::unique_ptr<Server> server;
};

}  // namespace berth::streaming
