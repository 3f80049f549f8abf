// The signals by which people give a command up.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include <absl/status/status.h>

#include "berth/support/fd.hpp"

namespace berth::program {

// While it exists SIGINT, SIGTERM and SIGHUP do not end the process: `interrupted` is called, once
// for each, on a thread of its own. To be made before any other thread, and once.
class Interruption {
 public:
  explicit Interruption(std::function<void()> interrupted);
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  bool happened() const { return happened_; }
  // CANCELLED in the words of whoever gave up, in place of what that has led to.
  absl::Status explain(const absl::Status& status) const;

 private:
  void watch();

  const std::function<void()> interrupted_;
  support::Fd signals_;
  support::Fd end_;
  std::atomic<bool> happened_ = false;
  std::thread thread_;
};

}  // namespace berth::program
