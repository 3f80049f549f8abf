// A SPDY connection with the test as its client.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory_connection.hpp"
#include "spdy_client.hpp"
#include "spdy_vectors.hpp"
#include "streaming/spdy/connection.hpp"
#include "streaming/spdy/frame_splitter.hpp"

namespace berth::streaming::spdy {

class SpdyTest : public testing::Test {
 protected:
  template <typename T>
  using Pending = std::shared_ptr<std::optional<T>>;

  static Limits quickLimits() {
    return {.flush = std::chrono::milliseconds(50), .linger = std::chrono::milliseconds(50)};
  }

  void begin(const Limits& limits = quickLimits()) {
    wire = std::make_shared<Wire>(context.get_executor());
    connection =
        makeConnection(std::make_unique<MemoryConnection>(context.get_executor(), wire), limits);
    client = std::make_unique<Client>();
    ended = launch(connection->run());
  }
  // Starts a coroutine; what it returns, once it has.
  template <typename T>
  Pending<T> launch(Task<T> task) {
    auto result = std::make_shared<std::optional<T>>();
    cancels.push_back(std::make_unique<boost::asio::cancellation_signal>());
    boost::asio::co_spawn(
        context, std::move(task),
        boost::asio::bind_cancellation_slot(cancels.back()->slot(),
                                            [result](const std::exception_ptr& thrown, T value) {
                                              EXPECT_EQ(thrown, nullptr);
                                              *result = std::move(value);
                                            }));
    poll();
    return result;
  }
  // Cancels what was launched last.
  void cancelLast() {
    cancels.back()->emit(boost::asio::cancellation_type::terminal);
    poll();
  }
  void poll() {
    context.restart();
    context.poll();
  }
  // Lets timers run until `reached`; false when it is not within seconds.
  bool until(const std::function<bool()>& reached) {
    const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!reached()) {
      if (std::chrono::steady_clock::now() > late) return false;
      context.restart();
      context.run_one_for(std::chrono::milliseconds(10));
    }
    return true;
  }

  void give(const std::vector<uint8_t>& bytes) {
    wire->input += bytes;
    wire->readable.notify();
    poll();
  }
  void endInput() {
    wire->inputEnded = true;
    wire->readable.notify();
    poll();
  }
  void allowOutput(size_t bytes = std::numeric_limits<size_t>::max()) {
    wire->outputRoom = bytes;
    wire->writable.notify();
    poll();
  }
  std::vector<std::string> frames() { return client->take(wire->output); }

  std::shared_ptr<Stream> accept() {
    const auto stream = launch(connection->accept());
    if (!stream->has_value() || !(*stream)->ok()) {
      ADD_FAILURE() << "no stream to accept";
      return nullptr;
    }
    return ***stream;
  }
  // The client opens a stream and it is accepted; the frames of that are taken.
  std::shared_ptr<Stream> open(uint32_t id, const Headers& headers = {{"streamtype", "stdin"}}) {
    give(client->syn(id, headers));
    auto stream = accept();
    frames();
    return stream;
  }
  // Reads what there is, at most `size` bytes; fails the test when that has to wait.
  std::string read(Stream& stream, size_t size = 1u << 20) {
    std::string text(size, '\0');
    const auto result = launch(stream.read(boost::asio::buffer(text)));
    if (!result->has_value()) {
      ADD_FAILURE() << "nothing to read";
      return {};
    }
    EXPECT_TRUE((*result)->ok()) << (*result)->status();
    text.resize((*result)->value_or(0));
    return text;
  }
  absl::Status readError(Stream& stream) {
    char byte = 0;
    const auto result = launch(stream.read(boost::asio::buffer(&byte, 1)));
    return result->has_value() ? (*result)->status() : absl::UnknownError("the read waits");
  }
  absl::Status result() { return ended->value_or(absl::UnknownError("the connection still runs")); }

  std::vector<std::unique_ptr<boost::asio::cancellation_signal>> cancels;
  boost::asio::io_context context;
  std::shared_ptr<Wire> wire;
  std::unique_ptr<StreamConnection> connection;
  std::unique_ptr<Client> client;
  Pending<absl::Status> ended;
};

}  // namespace berth::streaming::spdy
