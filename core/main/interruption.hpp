// The signals by which people give up what a process is at.
#pragma once

#include <atomic>
#include <csignal>
#include <functional>
#include <initializer_list>
#include <string>
#include <thread>

#include <absl/status/status.h>

#include "berth/support/fd.hpp"

namespace berth::program {

// Until its end these signals do not end the process: `interrupted` is called, once for each, on a
// thread of its own. To be made before any other thread, and once. Where there is no thread to be
// had they do what they did before.
class Interruption {
 public:
  explicit Interruption(std::function<void()> interrupted,
                        std::initializer_list<int> signals = {SIGINT, SIGTERM, SIGHUP});
  ~Interruption() { end(); }
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // From its return on `interrupted` is not called; signals that come stay pending. Idempotent.
  void end();
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
