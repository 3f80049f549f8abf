#include "frame.hpp"

#include <algorithm>

namespace berth::kata::ttrpc {

namespace {

uint32_t readBigEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

void appendBigEndian(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

}  // namespace

FrameHeader decodeHeader(std::string_view bytes) {
  return {.length = readBigEndian(bytes),
          .stream = readBigEndian(bytes.substr(4)),
          .type = static_cast<FrameType>(bytes[8]),
          .flags = static_cast<uint8_t>(bytes[9])};
}

std::string encodeFrame(uint32_t stream, FrameType type, std::string_view data, uint8_t flags) {
  std::string frame;
  frame.reserve(kHeaderSize + data.size());
  appendBigEndian(frame, static_cast<uint32_t>(data.size()));
  appendBigEndian(frame, stream);
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  frame.append(data);
  return frame;
}

bool FrameReader::hold(std::string_view& piece, size_t size) {
  const size_t taken = std::min(piece.size(), size - held_.size());
  held_.append(piece.substr(0, taken));
  piece.remove_prefix(taken);
  return held_.size() == size;
}

void FrameReader::push(std::string_view piece) {
  while (!piece.empty()) {
    if (skip_ > 0) {
      const size_t skipped = std::min<uint64_t>(skip_, piece.size());
      piece.remove_prefix(skipped);
      skip_ -= skipped;
      continue;
    }
    if (held_.size() < kHeaderSize && !hold(piece, kHeaderSize)) return;
    const FrameHeader header = decodeHeader(held_);
    if (header.length > kMaxData) {
      skip_ = header.length;
      held_.clear();
      sink_.onOversized(header);
      continue;
    }
    if (!hold(piece, kHeaderSize + header.length)) return;
    sink_.onFrame(header, std::string_view(held_).substr(kHeaderSize));
    // Gives a large frame's memory back.
    if (held_.capacity() > (64u << 10)) std::string().swap(held_);
    held_.clear();
  }
}

}  // namespace berth::kata::ttrpc
