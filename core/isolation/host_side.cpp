// What the process of a plugin asks of its host, and its end.
#include <poll.h>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "isolation/codec.hpp"
#include "isolation/end_patience.hpp"
#include "isolation/lent.hpp"
#include "isolation/plugin_process.hpp"

namespace berth::isolation {

namespace {

constexpr int kLeaveMilliseconds = 2000;

// The operation of the plugin's side on whose behalf it asks.
struct AskingOp {
  support::Fd cancel;
  berth_op op{};

  AskingOp(int64_t deadline, support::Fd fd) : cancel(std::move(fd)) {
    op = {.size = sizeof op,
          .host = this,
          .deadline = deadline,
          .cancel_fd = cancel.get(),
          .cancelled = [](const berth_op* asked) -> int32_t {
            pollfd polled{asked->cancel_fd, POLLIN, 0};
            const auto now = std::chrono::steady_clock::now().time_since_epoch();
            return now >= std::chrono::nanoseconds(asked->deadline) ||
                           (asked->cancel_fd >= 0 && ::poll(&polled, 1, 0) > 0)
                       ? 1
                       : 0;
          },
          .stage = [](const berth_op*, berth_str) {},
          .progress = [](const berth_op*, uint64_t, uint64_t) {}};
  }
  AskingOp(const AskingOp&) = delete;
  AskingOp& operator=(const AskingOp&) = delete;
};

}  // namespace

void PluginProcess::watch() {
  std::vector<bool> served(hostChannels_.size());
  absl::Status heard;
  while (heard.ok()) {
    std::vector<pollfd> polled = {{control_.fd(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}};
    for (size_t i = 0; i < served.size(); ++i)
      polled.push_back({served[i] ? -1 : hostChannels_[i]->fd(), POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;
    // Threads for the plugin's calls: most plugins make none.
    for (size_t i = 0; i < served.size(); ++i) {
      if (polled[2 + i].revents == 0) continue;
      served[i] = true;
      auto thread = support::startThread([this, i] { serveHostChannel(i); });
      heard.Update(thread.status());
      if (thread.ok()) hostThreads_.push_back(*std::move(thread));
    }
    if (polled[0].revents != 0) {
      // What has come with the first frame, the socket does not tell of any more.
      do {
        heard.Update(hearControl());
      } while (heard.ok() && !control_.isEmpty());
    } else if (polled[1].revents != 0) {
      break;
    }
  }
  // A process that was told to leave, or has closed its sockets, leaves; another is ended.
  pollfd left{pidfd_.get(), POLLIN, 0};
  if (absl::IsUnavailable(heard)) ::poll(&left, 1, kLeaveMilliseconds);
  if (!heard.ok()) {
    kill();
    const std::lock_guard lock(mutex_);
    if (reason_.empty() && !absl::IsUnavailable(heard))
      reason_ = support::strCat("broke the protocol: ", support::fromAbsl(heard.message()));
  }
  reap();
  changed_.notify_all();
}

absl::Status PluginProcess::hearControl() {
  EndPatience patience(pidfd_.get());
  BERTH_ASSIGN_OR_RETURN(Frame frame, control_.receive(&patience));
  Decoder in(frame.bytes, frame.descriptors);
  if (frame.kind == Kind::kStopped) {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  } else {
    hear(frame.kind, in);
  }
  if (in.finished()) return absl::OkStatus();
  return absl::InvalidArgumentError("a frame that is not understood");
}

void PluginProcess::hear(Kind kind, Decoder& in) const {
  const berth_host* const host = host_;
  if (kind == Kind::kLog) {
    const auto level = in.raw<berth_log_level>();
    berth_str message;
    const berth_pair* fields = nullptr;
    size_t count = 0;
    decode(in, message);
    decodeArray(in, fields, count);
    if (in.finished() && host != nullptr) host->log(host->context, level, message, fields, count);
  } else if (kind == Kind::kEvent) {
    berth_event event;
    decode(in, event);
    if (in.finished() && host != nullptr) host->emit_event(host->context, &event);
  } else {
    in.fail();
  }
}

void PluginProcess::serveHostChannel(size_t index) {
  Channel& channel = *hostChannels_[index];
  for (;;) {
    absl::StatusOr<Frame> frame = channel.receive();
    Encoder out;
    absl::Status answered = frame.status();
    if (frame.ok()) answered = support::returnThrown([&] { return answerHost(*frame, out); });
    if (answered.ok()) answered = channel.send(Kind::kAnswer, 0, out);
    if (answered.ok()) continue;
    channel.shutDown();
    // One that is closed is for the plugin to do without.
    if (!absl::IsUnavailable(answered))
      blame(support::strCat("broke the protocol: ", support::fromAbsl(answered.message())))
          .IgnoreError();
    return;
  }
}

absl::Status PluginProcess::answerHost(Frame& frame, Encoder& out) const {
  const berth_host* const host = host_;
  Decoder in(frame.bytes, frame.descriptors);
  if (host == nullptr) return absl::FailedPreconditionError("before the instance is created");
  if (frame.kind == Kind::kSaveState) {
    berth_str object;
    berth_bytes state;
    decode(in, object);
    decode(in, state);
    if (!in.finished()) return absl::InvalidArgumentError("a state that is not understood");
    detail::ErrorSlot error;
    const berth_code code = host->save_state(host->context, object, state, error.get());
    out.raw(code);
    out.text(error.status(code).message());
    return absl::OkStatus();
  }
  if (frame.kind != Kind::kCredentials) return absl::InvalidArgumentError("no call of the host");
  const bool hasOp = in.raw<uint8_t>() != 0;
  const auto deadline = in.raw<int64_t>();
  const AskingOp asking(deadline, in.takeDescriptor());
  berth_str registry;
  decode(in, registry);
  if (!in.finished()) return absl::InvalidArgumentError("a registry that is not understood");
  encodeLent(out, [&](Found found, void* user, berth_error* failure) {
    return host->get_credentials(host->context, hasOp ? &asking.op : nullptr, registry, found, user,
                                 failure);
  });
  return absl::OkStatus();
}

}  // namespace berth::isolation
