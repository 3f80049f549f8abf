// SPDY/3.1 frames as bytes and as values, both ways. Pure functions; the section numbers are those
// of "SPDY Protocol - Draft 3.1", which carries version number 3 on the wire.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::streaming::spdy {

using Bytes = std::span<const uint8_t>;

inline constexpr uint16_t kVersion = 3;
inline constexpr size_t kHeaderSize = 8;               // of every frame
inline constexpr uint32_t kMaxPayload = 0xffffff;      // the length field has 24 bits
inline constexpr uint32_t kMaxStreamId = 0x7fffffff;   // 31 bits
inline constexpr uint32_t kMaxWindow = 0x7fffffff;     // 2.6.8
inline constexpr uint32_t kInitialWindow = 64u << 10;  // 2.6.8: of each stream, and of the session
inline constexpr uint32_t kSettingMaxStreams = 4;      // 2.6.4: MAX_CONCURRENT_STREAMS
inline constexpr uint32_t kSettingInitialWindow = 7;   // 2.6.4: INITIAL_WINDOW_SIZE

enum class FrameType : uint16_t {
  synStream = 1,
  synReply = 2,
  rstStream = 3,
  settings = 4,
  ping = 6,
  goAway = 7,
  headers = 8,
  windowUpdate = 9,
};

// 2.6.3. Others may arrive.
enum class ResetCode : uint32_t {
  protocolError = 1,
  invalidStream = 2,
  refusedStream = 3,
  cancel = 5,
  internalError = 6,
  flowControlError = 7,
  streamAlreadyClosed = 9,
};

// 2.6.6
enum class GoAwayCode : uint32_t { ok = 0, protocolError = 1, internalError = 2 };

// The eight bytes that every frame begins with (2.2).
struct FrameHeader {
  bool control = false;
  uint16_t version = 0;              // control frames
  FrameType type = FrameType::ping;  // control frames; may be none of the known ones
  uint32_t streamId = 0;             // data frames
  uint8_t flags = 0;
  uint32_t length = 0;  // of the payload, in bytes
  bool fin() const { return (flags & 0x01) != 0; }
};

FrameHeader parseFrameHeader(std::span<const uint8_t, kHeaderSize> bytes);

// Header blocks are compressed; their bytes are borrowed.
struct SynStream {
  uint32_t streamId = 0;
  uint32_t associatedStreamId = 0;
  uint8_t priority = 0;  // 0 (highest) to 7
  bool fin = false;
  bool unidirectional = false;
  Bytes block;
};
struct SynReply {
  uint32_t streamId = 0;
  bool fin = false;
  Bytes block;
};
struct HeadersFrame {
  uint32_t streamId = 0;
  bool fin = false;
  Bytes block;
};
struct RstStream {
  uint32_t streamId = 0;
  ResetCode code = ResetCode::protocolError;
};
struct Setting {
  uint32_t id = 0;  // 24 bits
  uint32_t value = 0;
  uint8_t flags = 0;
};
struct Settings {
  std::vector<Setting> entries;  // as they came; of those with the same id the first one counts
  uint8_t flags = 0;
};
struct Ping {
  uint32_t id = 0;
};
struct GoAway {
  uint32_t lastStreamId = 0;
  GoAwayCode code = GoAwayCode::ok;
};
struct WindowUpdate {
  uint32_t streamId = 0;  // 0: the session
  uint32_t delta = 0;     // bytes; 0 is not legal, and for the caller to refuse
};

using ControlFrame = std::variant<SynStream, SynReply, RstStream, Settings, Ping, GoAway,
                                  HeadersFrame, WindowUpdate>;

// Types that this protocol does not know are skipped, never parsed.
bool isKnown(FrameType type);
// "SYN_STREAM"; "frame" when it is not known.
std::string_view name(FrameType type);

// `header` is of a control frame of a known type, `payload` all of its payload; the result borrows
// it. INVALID_ARGUMENT when the length does not fit the type, or the version is another one.
absl::StatusOr<ControlFrame> parseControlFrame(const FrameHeader& header, Bytes payload);

// Appends the whole frame. Header blocks that do not fit a frame are the caller's mistake.
void append(std::vector<uint8_t>& out, const SynStream& frame);
void append(std::vector<uint8_t>& out, const SynReply& frame);
void append(std::vector<uint8_t>& out, const HeadersFrame& frame);
void append(std::vector<uint8_t>& out, const RstStream& frame);
void append(std::vector<uint8_t>& out, const Settings& frame);
void append(std::vector<uint8_t>& out, const Ping& frame);
void append(std::vector<uint8_t>& out, const GoAway& frame);
void append(std::vector<uint8_t>& out, const WindowUpdate& frame);

// The eight bytes before a data frame's payload of `length` bytes, at most kMaxPayload.
enum class Fin : uint8_t { no = 0, yes = 1 };
void writeDataHeader(std::span<uint8_t, kHeaderSize> out, uint32_t streamId, uint32_t length,
                     Fin fin);

}  // namespace berth::streaming::spdy
