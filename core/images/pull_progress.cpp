#include "images/pull_progress.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "berth/support/threads.hpp"

namespace berth::images {

void PullProgress::expect(unsigned layers, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  figures_.totalLayers += layers;
  figures_.totalBytes += bytes;
}

void PullProgress::received(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  figures_.bytes += bytes;
}

void PullProgress::unpacked(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  ++figures_.layers;
  figures_.bytes += bytes;
}

void PullProgress::follow(std::shared_ptr<const PullProgress> other) {
  std::lock_guard lock(mutex_);
  followed_ = std::move(other);
}

PullProgress::Figures PullProgress::read() const {
  std::shared_ptr<const PullProgress> followed;
  Figures sum;
  {
    std::lock_guard lock(mutex_);
    sum = figures_;
    followed = followed_;
  }
  if (followed == nullptr) return sum;
  const Figures other = followed->read();
  return {sum.bytes + other.bytes, sum.totalBytes + other.totalBytes, sum.layers + other.layers,
          sum.totalLayers + other.totalLayers};
}

PullWatch::~PullWatch() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

PullWatch::Guard::Guard(PullWatch& watch, std::string reference, const PullProgress& progress)
    : watch_(watch), progress_(progress) {
  {
    std::lock_guard lock(watch_.mutex_);
    watch_.pulls_.push_back(
        {std::move(reference), &progress, std::chrono::steady_clock::now() + watch_.pause_});
    if (!watch_.thread_.joinable()) {
      // Without one nothing is told, until a later pull can start it.
      if (auto thread = support::startThread([&watch] { watch.run(); }); thread.ok())
        watch_.thread_ = *std::move(thread);
    }
  }
  watch_.wake_.notify_all();
}

PullWatch::Guard::~Guard() {
  std::lock_guard lock(watch_.mutex_);
  std::erase_if(watch_.pulls_, [this](const Pull& pull) { return pull.progress == &progress_; });
}

void PullWatch::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !pulls_.empty(); });
    if (stopping_) return;
    const auto now = std::chrono::steady_clock::now();
    auto next = now + pause_;
    for (Pull& pull : pulls_) {
      if (pull.due <= now) {
        tell_(pull.reference, pull.progress->read());
        pull.due = now + pause_;
      }
      next = std::min(next, pull.due);
    }
    wake_.wait_until(lock, next, [this] { return stopping_; });
  }
}

std::string textOf(const PullProgress::Figures& figures) {
  constexpr double kMiB = 1u << 20;
  std::array<char, 128> text{};
  std::snprintf(text.data(), text.size(), "%.1f of %.1f MiB, %u of %u layers",
                static_cast<double>(figures.bytes) / kMiB,
                static_cast<double>(figures.totalBytes) / kMiB, figures.layers,
                figures.totalLayers);
  return text.data();
}

}  // namespace berth::images
