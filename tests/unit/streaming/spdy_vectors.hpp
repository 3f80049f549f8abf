// Frames as other implementations write them, and bytes in the form that tests read best.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace berth::streaming::spdy {

// Hexadecimal digits, blanks between them as one likes.
inline std::vector<uint8_t> hex(std::string_view text) {
  std::vector<uint8_t> bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<uint8_t>(high * 16 + digit));
      high = -1;
    }
  }
  return bytes;
}

inline std::vector<uint8_t> bytesOf(std::string_view text) {
  return {text.begin(), text.end()};
}

inline void operator+=(std::vector<uint8_t>& bytes, const std::vector<uint8_t>& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

// What one framer of moby/spdystream v0.5.1 (Go) writes, in this order: the compression goes on
// from header block to header block.
namespace moby {
// SYN_STREAM 1, streamtype: error
inline constexpr std::string_view kSynError =
    "8003000100000029 00000001 00000000 0000"
    "78f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff";
// SYN_STREAM 3, streamtype: stdin
inline constexpr std::string_view kSynStdin =
    "8003000100000017 00000003 00000000 0000 c22e555c92929907000000ffff";
// SYN_STREAM 5, streamtype: stdout
inline constexpr std::string_view kSynStdout =
    "8003000100000019 00000005 00000000 0000 c22ac5565c92925f5a02000000ffff";
// SYN_STREAM 7 with FIN, priority 3, streamtype: data, port: 8080, requestid: 0
inline constexpr std::string_view kSynForward =
    "800300010100002f 00000007 00000000 6000"
    "02 25630c3950e1940829e78bc059cac2c0c280818181b308922e3241f985d100000000ffff";
// SYN_STREAM 9, unidirectional, associated to 7, x: one and two
inline constexpr std::string_view kSynTwoValues =
    "800300010200001d 00000009 00000007 0000 829acb5801ae25f252194acaf301000000ffff";
// SYN_REPLY 3 without headers
inline constexpr std::string_view kReply = "800300020000000e 00000003 6260606000000000ffff";
// HEADERS 3 with FIN, late: yes
inline constexpr std::string_view kHeaders =
    "8003000801000014 00000003 828ab3e440b21873656a31000000ffff";
inline constexpr std::string_view kData = "00000003 00000005 68656c6c6f";  // hello
inline constexpr std::string_view kDataFin = "00000003 01000000";
inline constexpr std::string_view kReset = "8003000300000008 00000005 00000005";  // CANCEL
inline constexpr std::string_view kPing = "8003000600000004 00000001";
// Persisted INITIAL_WINDOW_SIZE 65536, MAX_CONCURRENT_STREAMS 100
inline constexpr std::string_view kSettings =
    "8003000400000014 00000002 0200000700010000 0000000400000064";
inline constexpr std::string_view kGoAway = "8003000700000008 00000007 00000001";
inline constexpr std::string_view kWindowUpdate = "8003000900000008 00000005 00008000";
}  // namespace moby

}  // namespace berth::streaming::spdy
