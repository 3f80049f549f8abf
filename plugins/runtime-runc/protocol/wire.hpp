// The bytes between berth-monitor and its clients: frames of tagged fields.
//
// A frame is one SOCK_SEQPACKET packet (or the whole of `berth-monitor start`'s stdin and stdout):
//   u16 type | u16 flags | u32 request id | field…
// and a field is
//   u16 tag | u16 zero | u32 length | length bytes
// all little-endian. A field's bytes are text, an 8-byte integer, or fields again (a message). A
// list is the same tag several times. A field that is missing has its default; a field that is
// unknown is skipped, so both sides may be older or newer than the other.
//
// No exceptions, no allocation beyond std::string and std::vector: the monitor links this too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace berth::runc::protocol {

// The newest protocol this build speaks, and the oldest. A monitor outlives upgrades of the
// daemon, so the oldest falls only when no monitor that speaks it may still run.
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kOldestVersion = 1;

// A frame on the socket is never larger; longer lists come as several frames (kMore). It stays
// below the kernel's default socket buffer, which bounds a packet.
inline constexpr size_t kMaxFrame = 128u << 10;
// Bound of the start request, which comes through a pipe.
inline constexpr size_t kMaxStartRequest = 1u << 20;
inline constexpr size_t kHeaderSize = 8;
inline constexpr size_t kMaxDescriptors = 3;

enum class Type : uint16_t {
  kHello = 1,
  kCreateContainer = 2,
  kStartContainer = 3,
  kKillContainer = 4,
  kDeleteContainer = 5,
  kExec = 6,
  kWaitExec = 7,
  kKillExec = 8,
  kAttach = 9,
  kResize = 10,
  kCloseStdin = 11,
  kReopenLog = 12,
  kList = 13,
  kSubscribe = 14,
  kShutdown = 15,
  kStartMonitor = 16,  // stdin and stdout of `berth-monitor start` only
  // Not known to monitors of before: those answer UNIMPLEMENTED.
  kCheckpointContainer = 17,
  kCancelCheckpoint = 18,
  kRestoreContainer = 19,
  kCancelDelete = 20,
  // Sent by the monitor, unasked, with request id 0.
  kContainerExited = 0x100,
  kOomKilled = 0x101,
};

enum Flags : uint16_t {
  kReply = 1,  // answers the request with the same id; its first fields are a Result's
  kMore = 2,   // further frames of this reply follow
};

struct Header {
  Type type{};
  uint16_t flags = 0;
  uint32_t id = 0;
};

// Why a frame was refused; `what` is static text. The tag is the field's, 0 for the frame itself.
struct DecodeError {
  const char* what = nullptr;
  uint16_t tag = 0;
  explicit operator bool() const { return what != nullptr; }
};

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void header(const Header& header);

  void field(uint16_t tag, const std::string& text) {
    if (!text.empty()) bytes(tag, text);
  }
  void field(uint16_t tag, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) bytes(tag, text);
  }
  template <typename T>
  requires(std::is_arithmetic_v<T> || std::is_enum_v<T>) void field(uint16_t tag, const T& number) {
    if (number != T{}) integer(tag, static_cast<uint64_t>(number));
  }
  // For numbers whose default is not zero: a zero is written, too, or it would become the default.
  template <typename T>
  void always(uint16_t tag, const T& number) {
    integer(tag, static_cast<uint64_t>(number));
  }
  template <typename T>
  requires std::is_class_v<T>
  void field(uint16_t tag, const T& message) { nested(tag, message); }
  template <typename T>
  void field(uint16_t tag, const std::vector<T>& messages) {
    for (const T& message : messages) nested(tag, message);
  }

 private:
  void bytes(uint16_t tag, std::string_view value);
  void integer(uint16_t tag, uint64_t value);
  size_t open(uint16_t tag);
  void close(size_t at);
  template <typename T>
  void nested(uint16_t tag, const T& message) {
    const size_t at = open(tag);
    // visit() takes a mutable message because the decoder shares it; the encoder only reads.
    visit(*this, const_cast<T&>(message));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
    close(at);
  }

  std::string& out_;
};

// Goes through the fields of a message; stops at the first that runs past the end.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}
  // False at the end or at a fault, which error() tells apart.
  bool next();
  uint16_t tag() const { return tag_; }
  std::string_view value() const { return value_; }
  DecodeError error() const { return error_; }

 private:
  std::string_view rest_;
  std::string_view value_;
  uint16_t tag_ = 0;
  DecodeError error_;
};

template <typename T>
DecodeError decodeFields(std::string_view bytes, T& message, int depth = 0);

// Offers one received field to a message; the member with its tag takes it.
class Decoder {
 public:
  Decoder(uint16_t tag, std::string_view value, int depth)
      : tag_(tag), value_(value), depth_(depth) {}

  void field(uint16_t tag, std::string& text) {
    if (tag == tag_) text.assign(value_);
  }
  void field(uint16_t tag, std::vector<std::string>& texts) {
    if (tag == tag_) texts.emplace_back(value_);
  }
  template <typename T>
  requires(std::is_arithmetic_v<T> || std::is_enum_v<T>) void field(uint16_t tag, T& number) {
    if (tag == tag_) number = static_cast<T>(integer());
  }
  template <typename T>
  void always(uint16_t tag, T& number) {
    field(tag, number);
  }
  template <typename T>
  requires std::is_class_v<T>
  void field(uint16_t tag, T& message) {
    if (tag == tag_) keep(decodeFields(value_, message, depth_ + 1));
  }
  template <typename T>
  void field(uint16_t tag, std::vector<T>& messages) {
    if (tag != tag_) return;
    messages.emplace_back();
    keep(decodeFields(value_, messages.back(), depth_ + 1));
  }
  DecodeError error() const { return error_; }

 private:
  uint64_t integer();
  void keep(DecodeError error) {
    if (error) error_ = error;
  }

  uint16_t tag_;
  std::string_view value_;
  int depth_;
  DecodeError error_;
};

inline constexpr int kMaxDepth = 4;

template <typename T>
DecodeError decodeFields(std::string_view bytes, T& message, int depth) {
  if (depth > kMaxDepth) return {"messages are nested too deeply", 0};
  FieldReader reader(bytes);
  while (reader.next()) {
    Decoder decoder(reader.tag(), reader.value(), depth);
    visit(decoder, message);
    if (decoder.error()) return decoder.error();
  }
  return reader.error();
}

// The frame of one message, appended to nothing: returns the packet.
template <typename T>
std::string encodeFrame(const Header& header, const T& message) {
  std::string out;
  Encoder encoder(out);
  encoder.header(header);
  visit(encoder, const_cast<T&>(message));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  return out;
}

// Splits the header off; `fields` views into `frame`.
DecodeError decodeHeader(std::string_view frame, Header& header, std::string_view& fields);

}  // namespace berth::runc::protocol
