#include "main/interruption.hpp"

#include <array>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "berth/support/threads.hpp"

namespace berth::program {

Interruption::Interruption(std::function<void()> interrupted, std::initializer_list<int> signals)
    : interrupted_(std::move(interrupted)) {
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  for (const int number : signals) sigaddset(&set, number);
  signals_ = support::Fd(::signalfd(-1, &set, SFD_CLOEXEC));
  end_ = support::Fd(::eventfd(0, EFD_CLOEXEC));
  if (!signals_ || !end_) return;
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  auto thread = support::startThread([this] { watch(); });
  if (thread.ok())
    thread_ = *std::move(thread);
  else
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Interruption::end() {
  if (!thread_.joinable()) return;
  ::eventfd_write(end_.get(), 1);
  thread_.join();
}

void Interruption::watch() {
  std::array<pollfd, 2> waits{pollfd{signals_.get(), POLLIN, 0}, pollfd{end_.get(), POLLIN, 0}};
  for (;;) {
    if (::poll(waits.data(), waits.size(), -1) < 0) continue;
    if (waits[1].revents != 0) return;
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    happened_ = true;
    interrupted_();
  }
}

absl::Status Interruption::explain(const absl::Status& status) const {
  return happened_ && !status.ok() ? absl::CancelledError("cancelled") : status;
}

}  // namespace berth::program
