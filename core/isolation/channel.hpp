// Frames over a Unix socket, with descriptors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"
#include "isolation/wire.hpp"

namespace berth::isolation {

// What the frames are about.
enum class Kind : uint16_t {
  // On a channel of calls. Of the host:
  kCall = 1,   // number: kNumber of tables.hpp
  kCreate,     // an instance
  kExtension,  // number: the place in kExtensions
  kAnswer,     // to a callback that returns something
  // … and of the plugin:
  kReply,     // the end of a call
  kCallback,  // number: the argument that is the receiver, and the place of its function
  kStage,
  kProgress,
  kLog,  // these two also on the control channel, from threads of the plugin's own
  kEvent,
  // On the control channel. Of the host:
  kLoad,  // the first of all
  kOpen,  // a channel of calls
  // … and of the plugin:
  kLoaded,
  kStopped,  // before stop returns: whatever was logged or emitted until then has come
  // On a channel of the plugin's calls into the host; answered with kAnswer.
  kSaveState,
  kCredentials,
};

struct Frame {
  Kind kind{};
  uint16_t number = 0;
  std::string bytes;
  std::vector<support::Fd> descriptors;
};

// Bytes of one frame: more than any document or piece that goes over.
inline constexpr size_t kMostFrameBytes = 64u << 20;

// Waits in place of a channel that would block; a failure ends what it was about to do.
class Patience {
 public:
  virtual absl::Status wait(int fd, short events) = 0;

 protected:
  ~Patience() = default;
};

// One side of a socket pair. One thread sends and one receives at a time.
class Channel {
 public:
  explicit Channel(support::Fd socket) : socket_(std::move(socket)) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int fd() const { return socket_.get(); }
  // Blocks, or has `patience` wait. UNAVAILABLE when the other side is gone.
  absl::Status send(Kind kind, uint16_t number, const Encoder& content,
                    Patience* patience = nullptr);
  // A frame that need not arrive before the next one that is sent.
  absl::Status post(Kind kind, uint16_t number, const Encoder& content);
  // As send(); INVALID_ARGUMENT when what came is no frame.
  absl::StatusOr<Frame> receive(Patience* patience = nullptr);
  // Nothing has come beyond the frames that were received.
  bool isEmpty() const { return buffer_.empty() && descriptors_.empty(); }
  // Ends waiting on both sides; any thread.
  void shutDown() const;

 private:
  absl::Status fill(Patience* patience);
  absl::StatusOr<bool> takeFrame(Frame& frame);
  absl::Status takeDescriptors(const void* message);

  support::Fd socket_;
  std::string posted_;
  std::string buffer_;  // received, from begin_ on
  size_t begin_ = 0;
  std::vector<support::Fd> descriptors_;  // received, of frames that are not whole yet
};

// Both ends of a new socket pair, closed on exec.
absl::StatusOr<std::pair<support::Fd, support::Fd>> socketPair();

}  // namespace berth::isolation
