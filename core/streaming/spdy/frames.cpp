#include "streaming/spdy/frames.hpp"

#include "berth/support/status.hpp"
#include "streaming/spdy/big_endian.hpp"

namespace berth::streaming::spdy {

using support::strCat;

namespace {

constexpr uint32_t kControlBit = 0x80000000;
constexpr uint8_t kFlagFin = 0x01;
constexpr uint8_t kFlagUnidirectional = 0x02;
constexpr size_t kSynStreamFixed = 10;
constexpr size_t kReplyFixed = 4;
constexpr size_t kSettingSize = 8;

uint32_t get31(const uint8_t* from) {
  return get32(from) & kMaxStreamId;
}

absl::Status wrongLength(const FrameHeader& header, std::string_view expected) {
  return absl::InvalidArgumentError(strCat("a SPDY ", name(header.type), " frame has a payload of ",
                                           header.length, " bytes, it must have ", expected));
}

absl::StatusOr<ControlFrame> parseSynStream(const FrameHeader& header, Bytes payload) {
  if (payload.size() < kSynStreamFixed) return wrongLength(header, "at least 10");
  SynStream frame;
  frame.streamId = get31(payload.data());
  frame.associatedStreamId = get31(payload.data() + 4);
  frame.priority = static_cast<uint8_t>(payload[8] >> 5);
  frame.fin = header.fin();
  frame.unidirectional = (header.flags & kFlagUnidirectional) != 0;
  frame.block = payload.subspan(kSynStreamFixed);
  return frame;
}

template <typename Frame>  // SYN_REPLY and HEADERS have the same layout
absl::StatusOr<ControlFrame> parseReply(const FrameHeader& header, Bytes payload) {
  if (payload.size() < kReplyFixed) return wrongLength(header, "at least 4");
  Frame frame;
  frame.streamId = get31(payload.data());
  frame.fin = header.fin();
  frame.block = payload.subspan(kReplyFixed);
  return frame;
}

absl::StatusOr<ControlFrame> parseSettings(const FrameHeader& header, Bytes payload) {
  if (payload.size() < 4) return wrongLength(header, "at least 4");
  const uint32_t count = get32(payload.data());
  if (payload.size() - 4 != uint64_t{count} * kSettingSize) {
    return wrongLength(header,
                       strCat(4 + uint64_t{count} * kSettingSize, " for ", count, " entries"));
  }
  Settings frame;
  frame.flags = header.flags;
  frame.entries.reserve(count);
  for (size_t at = 4; at < payload.size(); at += kSettingSize) {
    frame.entries.push_back(
        {.id = get24(&payload[at + 1]), .value = get32(&payload[at + 4]), .flags = payload[at]});
  }
  return frame;
}

void appendHeader(std::vector<uint8_t>& out, FrameType type, uint8_t flags, size_t length) {
  append32(out, kControlBit | (uint32_t{kVersion} << 16) | static_cast<uint16_t>(type));
  append32(out, (uint32_t{flags} << 24) | static_cast<uint32_t>(length));
}

template <typename Frame>
void appendReply(std::vector<uint8_t>& out, FrameType type, const Frame& frame) {
  appendHeader(out, type, frame.fin ? kFlagFin : 0, kReplyFixed + frame.block.size());
  append32(out, frame.streamId);
  out.insert(out.end(), frame.block.begin(), frame.block.end());
}

void appendWords(std::vector<uint8_t>& out, FrameType type, uint32_t first, uint32_t second) {
  appendHeader(out, type, 0, 8);
  append32(out, first);
  append32(out, second);
}

}  // namespace

FrameHeader parseFrameHeader(std::span<const uint8_t, kHeaderSize> bytes) {
  FrameHeader header;
  header.control = (bytes[0] & 0x80) != 0;
  if (header.control) {
    header.version = get16(bytes.data()) & 0x7fff;
    header.type = static_cast<FrameType>(get16(bytes.data() + 2));
  } else {
    header.streamId = get31(bytes.data());
  }
  header.flags = bytes[4];
  header.length = get24(bytes.data() + 5);
  return header;
}

bool isKnown(FrameType type) {
  return name(type) != "frame";
}

std::string_view name(FrameType type) {
  switch (type) {
    case FrameType::synStream:
      return "SYN_STREAM";
    case FrameType::synReply:
      return "SYN_REPLY";
    case FrameType::rstStream:
      return "RST_STREAM";
    case FrameType::settings:
      return "SETTINGS";
    case FrameType::ping:
      return "PING";
    case FrameType::goAway:
      return "GOAWAY";
    case FrameType::headers:
      return "HEADERS";
    case FrameType::windowUpdate:
      return "WINDOW_UPDATE";
  }
  return "frame";
}

absl::StatusOr<ControlFrame> parseControlFrame(const FrameHeader& header, Bytes payload) {
  if (header.version != kVersion) {
    return absl::InvalidArgumentError(strCat("a SPDY ", name(header.type), " frame has version ",
                                             header.version, ", only version 3 is spoken here"));
  }
  switch (header.type) {
    case FrameType::synStream:
      return parseSynStream(header, payload);
    case FrameType::synReply:
      return parseReply<SynReply>(header, payload);
    case FrameType::headers:
      return parseReply<HeadersFrame>(header, payload);
    case FrameType::settings:
      return parseSettings(header, payload);
    case FrameType::ping:
      if (payload.size() != 4) return wrongLength(header, "4");
      return Ping{.id = get32(payload.data())};
    case FrameType::rstStream:
      if (payload.size() != 8) return wrongLength(header, "8");
      return RstStream{.streamId = get31(payload.data()),
                       .code = static_cast<ResetCode>(get32(payload.data() + 4))};
    case FrameType::goAway:
      if (payload.size() != 8) return wrongLength(header, "8");
      return GoAway{.lastStreamId = get31(payload.data()),
                    .code = static_cast<GoAwayCode>(get32(payload.data() + 4))};
    case FrameType::windowUpdate:
      if (payload.size() != 8) return wrongLength(header, "8");
      return WindowUpdate{.streamId = get31(payload.data()), .delta = get31(payload.data() + 4)};
  }
  return absl::InternalError("a SPDY frame of an unknown type was not skipped");
}

void append(std::vector<uint8_t>& out, const SynStream& frame) {
  const int flags = (frame.fin ? kFlagFin : 0) | (frame.unidirectional ? kFlagUnidirectional : 0);
  appendHeader(out, FrameType::synStream, static_cast<uint8_t>(flags),
               kSynStreamFixed + frame.block.size());
  append32(out, frame.streamId);
  append32(out, frame.associatedStreamId);
  out.push_back(static_cast<uint8_t>(frame.priority << 5));
  out.push_back(0);
  out.insert(out.end(), frame.block.begin(), frame.block.end());
}

void append(std::vector<uint8_t>& out, const SynReply& frame) {
  appendReply(out, FrameType::synReply, frame);
}

void append(std::vector<uint8_t>& out, const HeadersFrame& frame) {
  appendReply(out, FrameType::headers, frame);
}

void append(std::vector<uint8_t>& out, const RstStream& frame) {
  appendWords(out, FrameType::rstStream, frame.streamId, static_cast<uint32_t>(frame.code));
}

void append(std::vector<uint8_t>& out, const Settings& frame) {
  appendHeader(out, FrameType::settings, frame.flags, 4 + frame.entries.size() * kSettingSize);
  append32(out, static_cast<uint32_t>(frame.entries.size()));
  for (const Setting& entry : frame.entries) {
    append32(out, (uint32_t{entry.flags} << 24) | (entry.id & 0xffffff));
    append32(out, entry.value);
  }
}

void append(std::vector<uint8_t>& out, const Ping& frame) {
  appendHeader(out, FrameType::ping, 0, 4);
  append32(out, frame.id);
}

void append(std::vector<uint8_t>& out, const GoAway& frame) {
  appendWords(out, FrameType::goAway, frame.lastStreamId, static_cast<uint32_t>(frame.code));
}

void append(std::vector<uint8_t>& out, const WindowUpdate& frame) {
  appendWords(out, FrameType::windowUpdate, frame.streamId, frame.delta);
}

void writeDataHeader(std::span<uint8_t, kHeaderSize> out, uint32_t streamId, uint32_t length,
                     Fin fin) {
  put32(out.data(), streamId);
  put32(out.data() + 4, (uint32_t{static_cast<uint8_t>(fin)} << 24) | length);
}

}  // namespace berth::streaming::spdy
