// Cancels the work of calls whose clients have gone.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "plugins/operation.hpp"

namespace berth::cri {

// gRPC tells a synchronous handler of a cancellation only when it asks; a thread asks for those
// that block. It runs while there are such calls. Thread-safe.
class CallWatch {
 public:
  CallWatch() = default;
  ~CallWatch();
  CallWatch(const CallWatch&) = delete;
  CallWatch& operator=(const CallWatch&) = delete;

  // For the length of a call.
  class Guard {
   public:
    // All must outlive the guard.
    Guard(CallWatch& watch, const grpc::ServerContext& context, plugins::Operation& operation);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    CallWatch& watch_;
    plugins::Operation& operation_;
  };

 private:
  struct Call {
    const grpc::ServerContext* context;
    plugins::Operation* operation;
  };
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Call> calls_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::cri
