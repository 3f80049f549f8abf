#include "interrupt.hpp"

#include <csignal>
#include <cstdint>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <grpcpp/grpcpp.h>

namespace berth::bench {
namespace {

void makeReadable(int fd) {
  const uint64_t one = 1;
  // Can only fail when the counter is full: then it is readable already.
  [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof(one));
}

}  // namespace

Interrupt::Interrupt() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Interrupt::raise() {
  raised_.store(true);
  makeReadable(event_.get());
  const std::lock_guard lock(mutex_);
  for (grpc::ClientContext* context : contexts_) context->TryCancel();
}

absl::Status Interrupt::status() const {
  return raised() ? absl::CancelledError("the run was interrupted") : absl::OkStatus();
}

void Interrupt::watch(grpc::ClientContext* context) {
  const std::lock_guard lock(mutex_);
  contexts_.insert(context);
  if (raised()) context->TryCancel();
}

void Interrupt::forget(grpc::ClientContext* context) {
  const std::lock_guard lock(mutex_);
  contexts_.erase(context);
}

SignalWatcher::SignalWatcher(Interrupt& interrupt) : stop_(::eventfd(0, EFD_CLOEXEC)) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signals_.reset(::signalfd(-1, &signals, SFD_CLOEXEC));
  thread_ = std::thread([this, &interrupt] {
    pollfd awaited[] = {{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    while (::poll(awaited, 2, -1) >= 0 || errno == EINTR) {
      if (awaited[1].revents != 0) return;
      if (awaited[0].revents == 0) continue;
      signalfd_siginfo ignored;
      if (::read(signals_.get(), &ignored, sizeof(ignored)) > 0) interrupt.raise();
    }
  });
}

SignalWatcher::~SignalWatcher() {
  makeReadable(stop_.get());
  thread_.join();
}

}  // namespace berth::bench
