// The other side of a SPDY connection, as bytes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "berth/support/status.hpp"
#include "streaming/spdy/frames.hpp"
#include "streaming/spdy/header_block.hpp"

namespace berth::streaming::spdy {

// Writes a client's frames and reads a server's.
class Client {
 public:
  std::vector<uint8_t> syn(uint32_t id, const Headers& headers = {{"streamtype", "stdin"}},
                           Fin fin = Fin::no) {
    std::vector<uint8_t> bytes;
    const auto compressed = block(headers);
    append(bytes, SynStream{.streamId = id, .fin = fin == Fin::yes, .block = compressed});
    return bytes;
  }
  std::vector<uint8_t> block(const Headers& headers) {
    std::vector<uint8_t> plain;
    appendHeaderBlock(plain, headers);
    return *deflater_.deflate(plain);
  }
  template <typename Frame>
  static std::vector<uint8_t> frame(const Frame& value) {
    std::vector<uint8_t> bytes;
    append(bytes, value);
    return bytes;
  }
  static std::vector<uint8_t> data(uint32_t id, std::string_view payload, Fin fin = Fin::no) {
    std::vector<uint8_t> bytes(kHeaderSize);
    writeDataHeader(std::span<uint8_t, kHeaderSize>(bytes), id,
                    static_cast<uint32_t>(payload.size()), fin);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return bytes;
  }

  // One line for each frame in `output`, whose bytes go; a frame's beginning stays for later.
  // Payloads are added up in `payloads`.
  std::vector<std::string> take(std::vector<uint8_t>& output) {
    std::vector<std::string> lines;
    size_t at = 0;
    while (output.size() - at >= kHeaderSize) {
      const FrameHeader header =
          parseFrameHeader(std::span<const uint8_t, kHeaderSize>(output.data() + at, kHeaderSize));
      if (output.size() - at < kHeaderSize + header.length) break;
      const Bytes payload = std::span(output).subspan(at + kHeaderSize, header.length);
      at += kHeaderSize + header.length;
      if (header.control) {
        const auto control = parseControlFrame(header, payload);
        EXPECT_TRUE(control.ok()) << control.status();
        if (control.ok()) {
          lines.push_back(
              std::visit([this](const auto& known) { return this->line(known); }, *control));
        }
      } else {
        payloads[header.streamId].append(payload.begin(), payload.end());
        lines.push_back(support::strCat("DATA ", header.streamId, " ", header.length,
                                        header.fin() ? " FIN" : ""));
      }
    }
    output.erase(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(at));
    return lines;
  }

  std::map<uint32_t, std::string> payloads;

 private:
  std::string line(const SynReply& frame) {
    const auto plain = inflater_.inflate(frame.block, 1u << 20);
    EXPECT_TRUE(plain.ok() && parseHeaderBlock(*plain, 0).ok());
    return support::strCat("SYN_REPLY ", frame.streamId);
  }
  static std::string line(const RstStream& frame) {
    return support::strCat("RST_STREAM ", frame.streamId, " ", static_cast<uint32_t>(frame.code));
  }
  static std::string line(const Settings& frame) {
    std::string text = "SETTINGS";
    for (const Setting& entry : frame.entries) {
      text = support::strCat(text, " ", entry.id, "=", entry.value);
    }
    return text;
  }
  static std::string line(const Ping& frame) { return support::strCat("PING ", frame.id); }
  static std::string line(const GoAway& frame) {
    return support::strCat("GOAWAY ", frame.lastStreamId, " ", static_cast<uint32_t>(frame.code));
  }
  static std::string line(const WindowUpdate& frame) {
    return support::strCat("WINDOW_UPDATE ", frame.streamId, " ", frame.delta);
  }
  static std::string line(const SynStream&) { return "SYN_STREAM"; }
  static std::string line(const HeadersFrame&) { return "HEADERS"; }

  HeaderDeflater deflater_;
  HeaderInflater inflater_;
};

}  // namespace berth::streaming::spdy
