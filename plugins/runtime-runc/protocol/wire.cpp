#include "wire.hpp"

namespace berth::runc::protocol {

namespace {

constexpr size_t kFieldHeader = 8;
constexpr size_t kInteger = 8;

void appendLittleEndian(std::string& out, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

uint64_t readLittleEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

void appendFieldHeader(std::string& out, uint16_t tag, size_t length) {
  appendLittleEndian(out, tag, 2);
  appendLittleEndian(out, 0, 2);
  appendLittleEndian(out, length, 4);
}

}  // namespace

void Encoder::header(const Header& header) {
  appendLittleEndian(out_, static_cast<uint16_t>(header.type), 2);
  appendLittleEndian(out_, header.flags, 2);
  appendLittleEndian(out_, header.id, 4);
}

void Encoder::bytes(uint16_t tag, std::string_view value) {
  appendFieldHeader(out_, tag, value.size());
  out_.append(value);
}

void Encoder::integer(uint16_t tag, uint64_t value) {
  appendFieldHeader(out_, tag, kInteger);
  appendLittleEndian(out_, value, kInteger);
}

size_t Encoder::open(uint16_t tag) {
  appendFieldHeader(out_, tag, 0);
  return out_.size();
}

void Encoder::close(size_t at) {
  const size_t length = out_.size() - at;
  for (size_t i = 0; i < 4; ++i) out_[at - 4 + i] = static_cast<char>(length >> (8 * i) & 0xff);
}

bool FieldReader::next() {
  if (error_ || rest_.empty()) return false;
  if (rest_.size() < kFieldHeader) {
    error_ = {"the frame ends within a field's header", 0};
    return false;
  }
  tag_ = static_cast<uint16_t>(readLittleEndian(rest_.substr(0, 2)));
  const uint64_t length = readLittleEndian(rest_.substr(4, 4));
  rest_.remove_prefix(kFieldHeader);
  if (length > rest_.size()) {
    error_ = {"a field is longer than the frame", tag_};
    return false;
  }
  value_ = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return true;
}

uint64_t Decoder::integer() {
  if (value_.size() != kInteger) {
    error_ = {"a number does not have 8 bytes", tag_};
    return 0;
  }
  return readLittleEndian(value_);
}

DecodeError decodeHeader(std::string_view frame, Header& header, std::string_view& fields) {
  if (frame.size() < kHeaderSize) return {"the frame is shorter than its header", 0};
  header.type = static_cast<Type>(readLittleEndian(frame.substr(0, 2)));
  header.flags = static_cast<uint16_t>(readLittleEndian(frame.substr(2, 2)));
  header.id = static_cast<uint32_t>(readLittleEndian(frame.substr(4, 4)));
  fields = frame.substr(kHeaderSize);
  return {};
}

}  // namespace berth::runc::protocol
