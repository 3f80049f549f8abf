// A byte connection without a network: the test is the other end, and everything happens when it
// says so.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "streaming/stream.hpp"
#include "streaming/wakeup.hpp"

namespace berth::streaming {

// The two directions, and what the test may look at and change.
struct Wire {
  explicit Wire(const boost::asio::any_io_executor& executor)
      : readable(executor), writable(executor) {}

  std::vector<uint8_t> input;  // for the connection to read
  size_t consumed = 0;         // of it
  bool inputEnded = false;     // in order
  std::vector<uint8_t> output;
  size_t outputRoom = std::numeric_limits<size_t>::max();  // what it still takes
  bool broken = false;                                     // reads and writes fail
  bool closed = false;                                     // by the connection's owner
  size_t writes = 0;
  std::vector<const void*> parts;  // where all that was written stood
  Wakeup readable;
  Wakeup writable;
};

class MemoryConnection final : public ByteConnection {
 public:
  MemoryConnection(boost::asio::any_io_executor executor, std::shared_ptr<Wire> wire)
      : executor_(std::move(executor)), wire_(std::move(wire)) {}

  boost::asio::any_io_executor executor() override { return executor_; }

  Task<absl::StatusOr<size_t>> read(boost::asio::mutable_buffer into) override {
    const auto wire = wire_;
    for (;;) {
      if (wire->closed || wire->broken) co_return absl::UnavailableError("the wire is broken");
      const size_t size = std::min(into.size(), wire->input.size() - wire->consumed);
      if (size > 0) {
        std::copy_n(wire->input.begin() + static_cast<std::ptrdiff_t>(wire->consumed), size,
                    static_cast<uint8_t*>(into.data()));
        wire->consumed += size;
        co_return size;
      }
      if (wire->inputEnded) co_return size_t{0};
      co_await wire->readable.wait();
    }
  }

  Task<absl::Status> write(std::span<const boost::asio::const_buffer> parts) override {
    const auto wire = wire_;
    ++wire->writes;
    for (const boost::asio::const_buffer& part : parts) {
      wire->parts.push_back(part.data());
      boost::asio::const_buffer left = part;
      while (left.size() > 0) {
        if (wire->closed || wire->broken) co_return absl::UnavailableError("the wire is broken");
        const size_t size = std::min(left.size(), wire->outputRoom);
        const auto* const bytes = static_cast<const uint8_t*>(left.data());
        wire->output.insert(wire->output.end(), bytes, bytes + size);
        wire->outputRoom -= size;
        left += size;
        if (left.size() > 0) co_await wire->writable.wait();
      }
    }
    co_return absl::OkStatus();
  }

  void close() override {
    wire_->closed = true;
    wire_->readable.notify();
    wire_->writable.notify();
  }

 private:
  const boost::asio::any_io_executor executor_;
  const std::shared_ptr<Wire> wire_;
};

}  // namespace berth::streaming
