// Flow-control windows (2.6.8), of a stream or of the session.
#pragma once

#include <cstddef>
#include <cstdint>

#include "streaming/spdy/frames.hpp"

namespace berth::streaming::spdy {

// How much may still be sent. Below zero when the client has made it smaller meanwhile.
class SendWindow {
 public:
  explicit SendWindow(int64_t size = kInitialWindow) : left_(size) {}
  size_t left() const { return left_ > 0 ? static_cast<size_t>(left_) : 0; }
  void sent(size_t bytes) { left_ -= static_cast<int64_t>(bytes); }
  // False, and nothing changed, when the window would become larger than is legal.
  [[nodiscard]] bool grow(int64_t bytes) {
    if (left_ + bytes > int64_t{kMaxWindow}) return false;
    left_ += bytes;
    return true;
  }

 private:
  int64_t left_;
};

// What has come and is not read yet, and when the client hears that it has been.
class ReceiveWindow {
 public:
  explicit ReceiveWindow(size_t size) : size_(size) {}
  size_t room() const { return held_ < size_ ? size_ - held_ : 0; }
  size_t held() const { return held_; }
  void received(size_t bytes) { held_ += bytes; }
  // `bytes` of those are gone. The delta to send in a WINDOW_UPDATE; 0 while that is not worth a
  // frame, which it is at half a window.
  [[nodiscard]] uint32_t released(size_t bytes) {
    held_ -= bytes;
    unannounced_ += bytes;
    if (unannounced_ < size_ / 2) return 0;
    const auto delta = static_cast<uint32_t>(unannounced_);
    unannounced_ = 0;
    return delta;
  }

 private:
  size_t size_;
  size_t held_ = 0;
  size_t unannounced_ = 0;
};

}  // namespace berth::streaming::spdy
