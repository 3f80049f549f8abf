// How far pulls are.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "plugins/operation.hpp"

namespace berth::images {

// Of one pull, or of several that one request asks for. Thread-safe.
class PullProgress {
 public:
  struct Figures {
    uint64_t bytes = 0;  // that are here, of layers as they are transferred
    uint64_t totalBytes = 0;
    unsigned layers = 0;  // that are unpacked
    unsigned totalLayers = 0;
    bool operator==(const Figures&) const = default;
  };
  // Layers that are to come, as far as that is known.
  void expect(unsigned layers, uint64_t bytes);
  void received(uint64_t bytes);
  // A layer is unpacked; `bytes` of it did not come in through received(): it was there already, or
  // has come through another pull.
  void unpacked(uint64_t bytes);
  // Its own figures, and those of what it follows.
  Figures read() const;
  // The same pull, which another request has begun; null for none any more.
  void follow(std::shared_ptr<const PullProgress> other);

 private:
  mutable std::mutex mutex_;
  Figures figures_;
  std::shared_ptr<const PullProgress> followed_;
};

// Tells of pulls that take long, again and again, on a thread that runs while there are pulls.
// Thread-safe.
class PullWatch {
 public:
  // Called with the watch's lock held: not to block, nor to begin a pull.
  using Teller = std::function<void(const std::string& reference, const PullProgress::Figures&)>;
  PullWatch(std::chrono::milliseconds pause, Teller tell) : pause_(pause), tell_(std::move(tell)) {}
  ~PullWatch();
  PullWatch(const PullWatch&) = delete;
  PullWatch& operator=(const PullWatch&) = delete;

  // For the length of a pull.
  class Guard {
   public:
    Guard(PullWatch& watch, std::string reference, const PullProgress& progress);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    PullWatch& watch_;
    const PullProgress& progress_;
  };

 private:
  struct Pull {
    std::string reference;
    const PullProgress* progress;
    std::chrono::steady_clock::time_point due;
  };
  void run();

  const std::chrono::milliseconds pause_;
  const Teller tell_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Pull> pulls_;
  bool stopping_ = false;
  std::thread thread_;
};

// "12.3 of 45.6 MiB, 2 of 7 layers".
std::string textOf(const PullProgress::Figures& figures);

}  // namespace berth::images
