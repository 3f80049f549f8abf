// In the plugin's process: what stands for the operation and the receivers of the caller, which are
// on the other side.
#pragma once

#include <chrono>
#include <mutex>
#include <poll.h>

#include "berth/support/clock.hpp"
#include "isolation/calls.hpp"
#include "isolation/channel.hpp"
#include "isolation/lent.hpp"

namespace berth::isolation {

// The host's call that is being answered on a channel. Thread-safe: a plugin may use several
// threads for a call.
class Asked {
 public:
  Asked(Channel& channel, int cancelFd) : channel_(channel), cancelFd_(cancelFd) {}
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;

  // Of this thread; null where it answers none.
  static Asked*& current() {
    static thread_local Asked* current = nullptr;
    return current;
  }
  int cancelFd() const { return cancelFd_; }
  // Without an answer. A host that is gone ends this process anyway. What is handed back may come
  // with the end of the call; stages are for those who look on meanwhile.
  void tell(Kind kind, uint16_t number, const Encoder& content) {
    const std::lock_guard lock(mutex_);
    const absl::Status told = kind == Kind::kCallback ? channel_.post(kind, number, content)
                                                      : channel_.send(kind, number, content);
    told.IgnoreError();
  }
  // The call fails, whatever it returns: the first reason counts.
  void spoil(std::string_view reason) {
    const std::lock_guard lock(mutex_);
    if (spoilt_.empty()) spoilt_ = reason;
  }
  std::string spoilt() const {
    const std::lock_guard lock(mutex_);
    return spoilt_;
  }
  absl::StatusOr<Frame> ask(uint16_t number, const Encoder& content) {
    const std::lock_guard lock(mutex_);
    if (absl::Status sent = channel_.send(Kind::kCallback, number, content); !sent.ok())
      return sent;
    return channel_.receive();
  }

 private:
  Channel& channel_;
  const int cancelFd_;
  mutable std::mutex mutex_;
  std::string spoilt_;
};

inline bool isReadable(int fd) {
  pollfd polled{fd, POLLIN, 0};
  return fd >= 0 && ::poll(&polled, 1, 0) > 0;
}

template <>
class HeldOp<Asked> {
 public:
  const berth_op* take(Decoder& in, Asked& asked) {
    if (in.raw<uint8_t>() == 0) return nullptr;
    asked_ = &asked;
    op_ = {.size = sizeof op_,
           .host = this,
           .deadline = in.raw<int64_t>(),
           .cancel_fd = asked.cancelFd(),
           .cancelled = &cancelled,
           .stage = &stage,
           .progress = &progress};
    return &op_;
  }

 private:
  // Often enough for people who look on.
  static constexpr auto kPause = std::chrono::milliseconds(20);

  static HeldOp& self(const berth_op* op) { return *static_cast<HeldOp*>(op->host); }
  static int64_t now() {
    return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  }
  static int32_t cancelled(const berth_op* op) {
    const HeldOp& held = self(op);
    return now() >= held.op_.deadline || isReadable(held.asked_->cancelFd()) ? 1 : 0;
  }
  static void stage(const berth_op* op, berth_str name) {
    detail::guard(nullptr, [&]() -> Status {
      Encoder out;
      encode(out, name);
      self(op).asked_->tell(Kind::kStage, 0, out);
      return {};
    });
  }
  static void progress(const berth_op* op, uint64_t done, uint64_t total) {
    HeldOp& held = self(op);
    {
      const std::lock_guard lock(held.mutex_);
      const auto time = std::chrono::steady_clock::now();
      if (done != total && time < held.next_) return;
      held.next_ = time + kPause;
    }
    detail::guard(nullptr, [&]() -> Status {
      Encoder out;
      out.raw(done);
      out.raw(total);
      held.asked_->tell(Kind::kProgress, 0, out);
      return {};
    });
  }

  Asked* asked_ = nullptr;
  berth_op op_{};
  std::mutex mutex_;
  std::chrono::steady_clock::time_point next_;
};

template <>
class HeldLender<Asked> {
 public:
  const berth_remote_layer* take(uint8_t argument, Decoder& in, Asked& asked) {
    argument_ = argument;
    asked_ = &asked;
    const berth_remote_layer* given = nullptr;
    decodePointer(in, given);
    const bool lends = in.raw<uint8_t>() != 0;
    if (given == nullptr) return nullptr;
    abi_ = *given;
    abi_.user = this;
    if (lends) abi_.credentials = &credentials;
    return &abi_;
  }

 private:
  static berth_code credentials(void* user, Found found, void* foundUser, berth_error* error) {
    const auto& self = *static_cast<HeldLender*>(user);
    return detail::guard(error, [&]() -> Status {
      const absl::StatusOr<Frame> answer =
          self.asked_->ask(static_cast<uint16_t>(self.argument_ << 8), Encoder());
      if (!answer.ok()) return answer.status();
      return takeLent(*answer, found, foundUser);
    });
  }

  uint8_t argument_ = 0;
  Asked* asked_ = nullptr;
  berth_remote_layer abi_{};
};

template <class T>
class HeldReceiver<T, Asked> {
 public:
  T* take(uint8_t argument, Decoder& in, Asked& asked) {
    argument_ = argument;
    asked_ = &asked;
    std::memset(static_cast<void*>(&abi_), 0, sizeof abi_);
    abi_.size = sizeof abi_;
    abi_.host = this;
    std::apply([&](auto... members) { (decodeMember(in, abi_, members), ...); },
               Functions<T>::data());
    std::apply([&](auto... functions) { (fill(functions), ...); }, Functions<T>::list());
    return &abi_;
  }

 private:
  template <auto Member>
  void fill(Function<Member> /*function*/) {
    abi_.*Member = &callback<Member>::call;
  }
  template <auto Member, class M = decltype(Member)>
  struct callback;
  template <auto Member, class R, class... A>
  struct callback<Member, R (*T::*)(T*, A...)> {
    static R call(T* given, A... rest) {
      auto& self = *static_cast<HeldReceiver*>(given->host);
      if constexpr (std::is_void_v<R>) {
        detail::ErrorSlot error;
        const berth_code failed = detail::guard(error.get(), [&]() -> Status {
          self.template tell<Member>({given, rest...});
          return {};
        });
        if (failed != BERTH_OK) self.asked_->spoil(error.status(failed).message());
      } else {
        static_assert(std::is_same_v<R, berth_code>);
        berth_code code = BERTH_UNAVAILABLE;
        const berth_code failed = detail::guard(nullptr, [&]() -> Status {
          code = self.template ask<Member>({given, rest...});
          return {};
        });
        return failed == BERTH_OK ? code : failed;
      }
    }
  };

  template <auto Member>
  uint16_t number() const {
    return static_cast<uint16_t>(argument_ << 8 | kPlace<Member>);
  }
  template <auto Member>
  void tell(const ArgumentsOf<Member>& arguments) {
    Encoder out;
    encodeArguments<Member>(out, arguments);
    asked_->tell(Kind::kCallback, number<Member>(), out);
  }
  template <auto Member>
  berth_code ask(const ArgumentsOf<Member>& arguments) {
    Encoder out;
    encodeArguments<Member>(out, arguments);
    absl::StatusOr<Frame> answer = asked_->ask(number<Member>(), out);
    if (!answer.ok()) return BERTH_UNAVAILABLE;
    // What a piece is lent from lives until the next one.
    answer_ = *std::move(answer);
    Decoder in(answer_.bytes, answer_.descriptors);
    return decodeResults<Member>(in, arguments);
  }

  uint8_t argument_ = 0;
  Asked* asked_ = nullptr;
  T abi_{};
  Frame answer_;
};

}  // namespace berth::isolation
