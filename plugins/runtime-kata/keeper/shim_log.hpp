// What the shim writes into its log FIFO, kept in a file beside it.
#pragma once

#include <string>

#include "berth/streams/loop.hpp"

namespace berth::kata::keeper {

using streams::Fd;

// The file is bounded: it begins anew when it has grown too large. A shim whose log nobody reads
// hangs, so reading goes on when writing fails.
class ShimLog final : streams::Watcher {
 public:
  static constexpr int64_t kMaxBytes = 1 << 20;

  explicit ShimLog(streams::Loop& loop) : loop_(loop) {}
  ~ShimLog();
  ShimLog(const ShimLog&) = delete;
  ShimLog& operator=(const ShimLog&) = delete;

  streams::Status open(const std::string& fifo, const std::string& file);

 private:
  void onReady(uint32_t events) override;

  streams::Loop& loop_;
  Fd fifo_;
  Fd file_;
  int64_t size_ = 0;
};

}  // namespace berth::kata::keeper
