// What waits to be sent on a connection: control frames first, then data, one frame of each stream
// in turn. No I/O; payloads stay where their writers have them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>

#include "streaming/spdy/frames.hpp"
#include "streaming/spdy/window.hpp"
#include "streaming/wakeup.hpp"

namespace berth::streaming::spdy {

// A stream's way to the client.
struct Outgoing {
  enum class End { open, queued, sending, sent };  // of the FIN

  Outgoing(uint32_t id, int64_t size, const boost::asio::any_io_executor& executor)
      : streamId(id), window(size), changed(executor) {}

  bool isIdle() const { return unsent.size() == 0 && inFlight == 0; }

  const uint32_t streamId;
  SendWindow window;
  boost::asio::const_buffer unsent;  // of the write under way, borrowed from its caller
  size_t inFlight = 0;               // frames of it that the connection has
  End end = End::open;
  bool dropped = false;    // a write's bytes were given up
  bool scheduled = false;  // the outbox has it in a queue
  Wakeup changed;          // a write may be over
};

class Outbox {
 public:
  static constexpr size_t kFrame = 64u << 10;  // the longest data frame
  static constexpr size_t kBatchFrames = 16;
  static constexpr size_t kBatchBytes = 256u << 10;

  // What one write to the connection sends. Reused, for its memory.
  struct Batch {
    struct Frame {
      std::shared_ptr<Outgoing> stream;
      Fin fin = Fin::no;
    };
    std::vector<boost::asio::const_buffer> parts;  // borrowed from the rest and from writers
    std::vector<uint8_t> control;
    std::array<std::array<uint8_t, kHeaderSize>, kBatchFrames> headers;
    std::vector<Frame> frames;
  };

  template <typename Frame>
  void control(const Frame& frame) {
    append(control_, frame);
  }
  size_t controlBytes() const { return control_.size(); }

  // The stream has something to send, or its window has grown.
  void schedule(const std::shared_ptr<Outgoing>& stream);
  // Gives up what the stream has not sent, and its places in the queues.
  void drop(Outgoing& stream);

  // The client keeps windows, from now on: of the streams; of the session, which grows by `delta`
  // (false when it must not).
  void keepStreamWindows() { streamWindowsKept_ = true; }
  [[nodiscard]] bool growSessionWindow(uint32_t delta);

  // False when there is nothing that may be sent. Each filled batch is settled before the next.
  bool fill(Batch& batch);
  // The connection is done with the batch; its buffers are free again.
  enum class Fate { sent, lost };
  static void settle(Batch& batch, Fate fate);

 private:
  size_t mayBeSent(const Outgoing& stream) const;
  void addData(Batch& batch, const std::shared_ptr<Outgoing>& stream, size_t size, Fin fin);

  std::vector<uint8_t> control_;
  std::deque<std::shared_ptr<Outgoing>> ready_;
  std::deque<std::shared_ptr<Outgoing>> blocked_;  // on the session's window
  SendWindow session_;
  bool streamWindowsKept_ = false;
  bool sessionWindowKept_ = false;
};

}  // namespace berth::streaming::spdy
