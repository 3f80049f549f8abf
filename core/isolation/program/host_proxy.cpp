#include "isolation/program/host_proxy.hpp"

#include <cstdlib>
#include <stdexcept>

#include "berth/support/status.hpp"
#include "isolation/held.hpp"
#include "isolation/lent.hpp"

namespace berth::isolation {

namespace {

constexpr size_t kMostFields = 256;

}  // namespace

HostProxy::HostProxy(Channel& control, std::vector<support::Fd> hostChannels) : control_(control) {
  for (support::Fd& fd : hostChannels) {
    channels_.push_back(std::make_unique<Channel>(std::move(fd)));
    idle_.push_back(channels_.back().get());
  }
}

void HostProxy::describe(Decoder& in) {
  version_ = in.text();
  instance_ = in.text();
  root_ = in.text();
  state_ = in.text();
  table_ = {.size = sizeof table_,
            .abi_major = BERTH_ABI_MAJOR,
            .abi_minor = BERTH_ABI_MINOR,
            .version = str(version_),
            .instance = str(instance_),
            .context = this,
            .log = &log,
            .allocate = [](void*, size_t size) { return std::malloc(size); },
            .release = [](void*, void* memory) { std::free(memory); },
            .emit_event = &emit,
            .save_state = &saveState,
            .get_credentials = &getCredentials,
            .get_extension = [](void*, berth_str, uint32_t) -> const void* { return nullptr; },
            .root_directory = str(root_),
            .state_directory = str(state_)};
}

void HostProxy::tell(Kind kind, const Encoder& content) {
  // What a call says comes before its return.
  if (Asked* const asked = Asked::current()) return asked->tell(kind, 0, content);
  tellAfterAll(kind, content);
}

void HostProxy::tellAfterAll(Kind kind, const Encoder& content) {
  const std::lock_guard lock(controlMutex_);
  // A host that is gone ends this process anyway.
  control_.send(kind, 0, content).IgnoreError();
}

absl::StatusOr<Frame> HostProxy::ask(Kind kind, const Encoder& content) {
  Channel* channel = nullptr;
  {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [this] { return !idle_.empty(); });
    channel = idle_.back();
    idle_.pop_back();
  }
  absl::StatusOr<Frame> answer = [&]() -> absl::StatusOr<Frame> {
    BERTH_RETURN_IF_ERROR(channel->send(kind, 0, content));
    return channel->receive();
  }();
  {
    const std::lock_guard lock(mutex_);
    idle_.push_back(channel);
  }
  freed_.notify_one();
  return answer;
}

void HostProxy::log(void* context, berth_log_level level, berth_str message,
                    const berth_pair* fields, size_t count) {
  self(context).hand("log", [&](Encoder& out) {
    out.raw(level);
    encode(out, message);
    // As the host itself takes it: without what cannot be read.
    encodeArray(out, fields, fields != nullptr && count <= kMostFields ? count : 0);
    return Kind::kLog;
  });
}

void HostProxy::emit(void* context, const berth_event* event) {
  self(context).hand("emit_event", [&](Encoder& out) {
    if (event == nullptr) throw std::invalid_argument("a struct that is NULL");
    encode(out, detail::known(event));
    return Kind::kEvent;
  });
}

template <class Body>
void HostProxy::hand(std::string_view function, Body body) {
  detail::ErrorSlot wrong;
  const berth_code code = detail::guard(wrong.get(), [&]() -> Status {
    Encoder out;
    const Kind kind = body(out);
    tell(kind, out);
    return {};
  });
  if (code == BERTH_OK) return;
  detail::guard(nullptr, [&]() -> Status {
    const std::string told = notHeard(function, wrong.status(code).message());
    log(this, BERTH_LOG_ERROR, str(told), nullptr, 0);
    return {};
  });
}

berth_code HostProxy::saveState(void* context, berth_str object, berth_bytes state,
                                berth_error* error) {
  return detail::guard(error, [&]() -> Status {
    Encoder out;
    encode(out, object);
    encode(out, state);
    const absl::StatusOr<Frame> answer = self(context).ask(Kind::kSaveState, out);
    if (!answer.ok()) return answer.status();
    Decoder in(answer->bytes);
    const auto code = in.raw<berth_code>();
    return Status(code, std::string(in.text()));
  });
}

berth_code HostProxy::getCredentials(void* context, const berth_op* op, berth_str registry,
                                     void (*found)(void*, const berth_credentials*), void* user,
                                     berth_error* error) {
  return detail::guard(error, [&]() -> Status {
    if (found == nullptr) return {BERTH_INVALID_ARGUMENT, "credentials for nobody"};
    Encoder out;
    out.raw(static_cast<uint8_t>(op != nullptr));
    const berth_op known = detail::known(op);
    out.raw(known.deadline);
    out.descriptor(op != nullptr ? known.cancel_fd : -1);
    encode(out, registry);
    const absl::StatusOr<Frame> answer = self(context).ask(Kind::kCredentials, out);
    if (!answer.ok()) return answer.status();
    return takeLent(*answer, found, user);
  });
}

}  // namespace berth::isolation
