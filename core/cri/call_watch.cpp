#include "cri/call_watch.hpp"

#include "berth/support/threads.hpp"

namespace berth::cri {

namespace {

constexpr std::chrono::milliseconds kPause{250};

}  // namespace

CallWatch::~CallWatch() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

CallWatch::Guard::Guard(CallWatch& watch, const grpc::ServerContext& context,
                        plugins::Operation& operation)
    : watch_(watch), operation_(operation) {
  {
    std::lock_guard lock(watch_.mutex_);
    watch_.calls_.push_back({&context, &operation});
    if (!watch_.thread_.joinable()) {
      // Without one the call goes on unwatched, until a later one can start it.
      if (auto thread = support::startThread([&watch] { watch.run(); }); thread.ok())
        watch_.thread_ = *std::move(thread);
    }
  }
  watch_.wake_.notify_all();
}

CallWatch::Guard::~Guard() {
  std::lock_guard lock(watch_.mutex_);
  std::erase_if(watch_.calls_, [this](const Call& call) { return call.operation == &operation_; });
}

void CallWatch::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !calls_.empty(); });
    if (stopping_) return;
    for (const Call& call : calls_) {
      if (call.context->IsCancelled()) call.operation->cancel();
    }
    wake_.wait_for(lock, kPause, [this] { return stopping_; });
  }
}

}  // namespace berth::cri
