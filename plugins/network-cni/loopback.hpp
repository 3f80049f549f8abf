// The loopback interface of a pod.
#pragma once

#include <string>
#include <thread>

#include <absl/status/status.h>

namespace berth::cni {

// Sets "lo" up in a network namespace; the kernel then adds 127.0.0.1 and ::1. Works on a thread of
// its own, because entering a namespace changes the thread: no other thread ever leaves ours. The
// thread starts at once and is joined by wait() or on destruction.
class LoopbackSetup {
 public:
  explicit LoopbackSetup(std::string namespacePath);
  LoopbackSetup(const LoopbackSetup&) = delete;
  LoopbackSetup& operator=(const LoopbackSetup&) = delete;
  ~LoopbackSetup();

  // NOT_FOUND when there is no such namespace, RESOURCE_EXHAUSTED when there is no thread to be
  // had. Once.
  absl::Status wait();

 private:
  std::string path_;
  absl::Status status_;
  std::thread thread_;
};

}  // namespace berth::cni
