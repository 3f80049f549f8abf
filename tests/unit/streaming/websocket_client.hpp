// A WebSocket client of channels, down to the frames (RFC 6455).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "socket_client.hpp"

namespace berth::streaming {

class WebSocketClient : public SocketClient {
 public:
  // First bytes of frames that end a message, and of those that only begin or continue one.
  static constexpr uint8_t kText = 0x81;
  static constexpr uint8_t kBinary = 0x82;
  static constexpr uint8_t kClose = 0x88;
  static constexpr uint8_t kPing = 0x89;
  static constexpr uint8_t kPong = 0x8a;
  static constexpr uint8_t kTextBegins = 0x01;
  static constexpr uint8_t kBinaryBegins = 0x02;
  static constexpr uint8_t kGoesOn = 0x00;
  static constexpr uint8_t kEnds = 0x80;

  struct Frame {
    uint8_t first = 0;  // 0: the connection has ended
    std::string payload;

    uint16_t closeCode() const {
      if (first != kClose || payload.size() < 2) return 0;
      return static_cast<uint16_t>(static_cast<uint8_t>(payload[0]) << 8 |
                                   static_cast<uint8_t>(payload[1]));
    }
    bool operator==(const Frame&) const = default;
    friend void PrintTo(const Frame& frame, std::ostream* out) {
      *out << std::hex << int{frame.first} << std::dec << ' '
           << testing::PrintToString(frame.payload.substr(0, 200));
    }
  };

  using SocketClient::SocketClient;

  static std::string handshake(const std::string& url, const std::string& protocol) {
    return support::strCat(
        "GET ", targetOf(url),
        " HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        protocol.empty() ? "" : support::strCat("Sec-WebSocket-Protocol: ", protocol, "\r\n"),
        "\r\n");
  }
  // The head of the answer.
  std::string open(const std::string& url, const std::string& protocol) {
    send(handshake(url, protocol));
    return receiveHead();
  }
  void frame(uint8_t first, std::string_view payload) {
    std::string bytes = header(first, payload.size(), 0x80);
    constexpr std::string_view kMask = "\x12\xe4\x56\x78";
    bytes += kMask;
    for (size_t i = 0; i < payload.size(); ++i) {
      bytes += static_cast<char>(payload[i] ^ kMask[i % 4]);
    }
    send(bytes);
  }
  void message(uint8_t channel, std::string_view payload) {
    frame(kBinary, support::strCat(std::string(1, static_cast<char>(channel)), payload));
  }
  // A header of a frame; `mask` is 0x80 in those of clients.
  static std::string header(uint8_t first, uint64_t size, uint8_t mask) {
    std::string bytes(1, static_cast<char>(first));
    const int lengthBytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    const uint64_t length = lengthBytes == 0 ? size : lengthBytes == 2 ? 126 : 127;
    bytes += static_cast<char>(mask | length);
    for (int i = lengthBytes - 1; i >= 0; --i) bytes += static_cast<char>(size >> (8 * i));
    return bytes;
  }
  // The next frame of the server's.
  Frame next() {
    const std::string head = receive(2);
    if (head.size() < 2) return {};
    uint64_t size = static_cast<uint8_t>(head[1]);  // a server masks nothing
    if (size >= 126) {
      const std::string length = receive(size == 126 ? 2 : 8);
      size = 0;
      for (const char byte : length) size = size << 8 | static_cast<uint8_t>(byte);
    }
    return {static_cast<uint8_t>(head[0]), receive(size)};
  }
  // Says goodbye and reads the server's; what came before it goes.
  void goAway() {
    frame(kClose, std::string_view("\x03\xe8", 2));
    while (true) {
      const Frame frame = next();
      if (frame.first == kClose || frame.first == 0) break;
    }
  }
};

}  // namespace berth::streaming
