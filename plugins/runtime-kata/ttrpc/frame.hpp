// ttrpc's frames (github.com/containerd/ttrpc, PROTOCOL.md): a header of ten bytes
//   u32 length of the data | u32 stream | u8 type | u8 flags      (big-endian)
// and the data. A client's streams have odd numbers, each larger than the one before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace berth::kata::ttrpc {

inline constexpr size_t kHeaderSize = 10;
// Of data in one frame. More is refused, but not its connection.
inline constexpr uint32_t kMaxData = 4u << 20;

enum class FrameType : uint8_t { kRequest = 1, kResponse = 2, kData = 3 };

enum FrameFlags : uint8_t { kRemoteClosed = 1, kRemoteOpen = 2, kNoData = 4 };

struct FrameHeader {
  uint32_t length = 0;
  uint32_t stream = 0;
  FrameType type{};  // may be one that nobody knows
  uint8_t flags = 0;
};

// `bytes` has kHeaderSize of them.
FrameHeader decodeHeader(std::string_view bytes);

// `data` has at most kMaxData bytes.
std::string encodeFrame(uint32_t stream, FrameType type, std::string_view data, uint8_t flags = 0);

class FrameSink {
 public:
  // `data` is whole, and lent for the call.
  virtual void onFrame(const FrameHeader& header, std::string_view data) = 0;
  // One of more than kMaxData bytes: they are skipped. Comes when the header has.
  virtual void onOversized(const FrameHeader& header) = 0;

 protected:
  ~FrameSink() = default;
};

// Puts frames together from the pieces that a connection brings; holds one frame at most.
class FrameReader {
 public:
  explicit FrameReader(FrameSink& sink) : sink_(sink) {}
  // Calls the sink for each frame that is whole then.
  void push(std::string_view piece);
  // Whether the connection may end here.
  bool atBoundary() const { return held_.empty() && skip_ == 0; }

 private:
  // Takes from `piece` until `size` bytes are held; false when it was not enough.
  bool hold(std::string_view& piece, size_t size);

  FrameSink& sink_;
  std::string held_;
  uint64_t skip_ = 0;
};

}  // namespace berth::kata::ttrpc
