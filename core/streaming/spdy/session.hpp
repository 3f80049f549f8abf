// One SPDY connection: its streams, what comes from the client, what goes to it, its end.
//
// Two coroutines carry the frames: receive() reads and acts on them, transmit() writes what the
// outbox has. They end together, in run(). Everything happens on one strand.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/steady_timer.hpp>

#include "streaming/spdy/byte_queue.hpp"
#include "streaming/spdy/connection.hpp"
#include "streaming/spdy/frame_splitter.hpp"
#include "streaming/spdy/frames.hpp"
#include "streaming/spdy/header_block.hpp"
#include "streaming/spdy/outbox.hpp"
#include "streaming/spdy/window.hpp"
#include "streaming/stream.hpp"
#include "streaming/wakeup.hpp"

namespace berth::streaming::spdy {

struct StreamState {
  StreamState(uint32_t id, Headers given, size_t receiveWindow, int64_t sendWindow,
              const boost::asio::any_io_executor& executor)
      : headers(std::move(given)),
        window(receiveWindow),
        readable(executor),
        out(id, sendWindow, executor) {}

  uint32_t id() const { return out.streamId; }

  const Headers headers;
  bool isOpen = true;        // the session knows it
  bool isAbandoned = false;  // nobody reads or writes it any more
  // From the client.
  ByteQueue received;
  ReceiveWindow window;
  std::optional<absl::Status> inputEnd;  // behind `received`; OK: the client has closed its side
  boost::asio::mutable_buffer reader;    // of the read that waits
  size_t delivered = 0;                  // into it
  bool isReading = false;
  Wakeup readable;
  // To the client.
  Outgoing out;
  absl::Status outputEnd;  // when not OK, nothing more may be written
};

// The functions that take the session as an argument are coroutines that keep it alive; they may
// be awaited after everybody else has let go of it.
class Session : public std::enable_shared_from_this<Session> {
 public:
  using Self = std::shared_ptr<Session>;
  using StreamRef = std::shared_ptr<StreamState>;

  Session(std::unique_ptr<ByteConnection> bytes, const Limits& limits);

  // The connection's functions (StreamConnection).
  static Task<absl::StatusOr<StreamRef>> accept(Self self);
  static Task<absl::Status> run(Self self);
  static Task<void> shutdown(Self self);
  // Ends everything at once.
  void abandon();

  // A stream's functions (Stream).
  static Task<absl::StatusOr<size_t>> read(Self self, StreamRef stream,
                                           boost::asio::mutable_buffer into);
  static Task<absl::Status> write(Self self, StreamRef stream, boost::asio::const_buffer bytes);
  static Task<absl::Status> closeWrite(Self self, StreamRef stream);
  void reset(const StreamRef& stream);
  // Its last user has gone.
  void letGo(const StreamRef& stream);

 private:
  // session.cpp: life and end.
  void startLoops();
  void beginClosing(const absl::Status& why, GoAwayCode code);
  Task<void> farewell();
  Task<void> waitAtMost(std::chrono::milliseconds limit, std::function<bool()> reached);
  void end(const absl::Status& why);

  // session_input.cpp: what comes from the client.
  Task<absl::Status> receive();
  Task<absl::Status> fillSplitter();
  void greet();
  absl::Status takeControl(const FrameSplitter::Control& control);
  absl::Status take(const SynStream& frame);
  absl::Status take(const SynReply& frame);
  absl::Status take(const HeadersFrame& frame);
  absl::Status take(const RstStream& frame);
  absl::Status take(const Settings& frame);
  absl::Status take(const Ping& frame);
  absl::Status take(const GoAway& frame);
  absl::Status take(const WindowUpdate& frame);
  absl::Status setInitialSendWindow(uint32_t size);
  absl::StatusOr<std::vector<uint8_t>> inflate(Bytes block);
  void open(const SynStream& frame, Bytes block);
  size_t takeData(const FrameSplitter::Data& piece);
  size_t deliver(StreamState& stream, Bytes bytes);
  void discard(size_t bytes);
  void refuseData(uint32_t streamId);
  void inputClosed(const StreamRef& stream);
  // Sleeps until something that receive() waits for may have changed.
  Task<void> stall();
  void armProbe();

  // session_output.cpp: what goes to the client.
  Task<absl::Status> transmit();
  bool isFlushed() const;
  void settle(Outbox::Batch& batch, Outbox::Fate fate);
  void finSent(const StreamRef& stream);
  template <typename Frame>
  void queue(const Frame& frame) {
    if (goodbyeQueued_ || ended_) return;
    outbox_.control(frame);
    writable_.notify();
  }
  void scheduleOutput(const StreamRef& stream);

  // streams.cpp: the streams, one by one.
  StreamRef find(uint32_t streamId) const;
  void released(StreamState& stream, size_t bytes);
  void resetStream(const StreamRef& stream, ResetCode code, const absl::Status& why);
  void finish(const StreamRef& stream, const absl::Status& why);
  void forget(const StreamRef& stream);

  const Limits limits_;
  const std::unique_ptr<ByteConnection> bytes_;
  const boost::asio::any_io_executor executor_;

  std::unordered_map<uint32_t, StreamRef> streams_;  // open ones, those not accepted among them
  std::deque<StreamRef> unaccepted_;
  uint32_t lastStreamId_ = 0;       // that the client has used
  uint32_t lastOpenedId_ = 0;       // that was not refused
  uint32_t lastRefusedData_ = 0;    // the stream, not open, that data came for last
  bool clientSaidGoodbye_ = false;  // it opens no more streams
  Wakeup acceptable_;

  FrameSplitter splitter_;
  HeaderInflater inflater_;
  ReceiveWindow window_;
  bool greeted_ = false;
  bool stalled_ = false;        // on room for data
  bool controlIsFull_ = false;  // stalled on the client's reading of answers
  Wakeup resume_;               // receive() may go on
  boost::asio::steady_timer probe_;

  Outbox outbox_;
  HeaderDeflater deflater_;
  int64_t initialSendWindow_ = kInitialWindow;
  bool goodbyeQueued_ = false;
  Wakeup writable_;  // transmit() may go on

  bool started_ = false;
  bool closing_ = false;
  bool ended_ = false;
  bool receiving_ = false;
  bool transmitting_ = false;
  absl::Status broken_;  // of the bytes' connection
  absl::Status result_;  // of run(), once closing
  GoAwayCode goodbye_ = GoAwayCode::ok;
  Wakeup changed_;   // run() looks at all of these
  Wakeup finished_;  // for shutdown()
};

}  // namespace berth::streaming::spdy
