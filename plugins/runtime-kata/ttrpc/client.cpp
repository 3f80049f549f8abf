#include "client.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "berth/support/lock_within.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::kata::ttrpc {

using support::strCat;

namespace {

constexpr uint32_t kLastStream = 0x7fffffff;

absl::StatusOr<socklen_t> parseAddress(std::string_view address, sockaddr_un& out) {
  constexpr std::string_view kScheme = "unix://";
  std::string_view path = address;
  if (path.starts_with(kScheme)) path.remove_prefix(kScheme.size());
  const bool abstract = path.starts_with('@');
  if (path.empty() || (!abstract && path.front() != '/')) {
    return absl::InvalidArgumentError(strCat("\"", address, "\" is no address of a Unix socket"));
  }
  if (path.size() >= sizeof out.sun_path) {
    return absl::InvalidArgumentError(strCat("the address \"", address, "\" is too long"));
  }
  out.sun_family = AF_UNIX;
  std::memcpy(out.sun_path, path.data(), path.size());
  if (abstract) out.sun_path[0] = '\0';
  // An abstract name ends with the address, a path with its zero.
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
}

absl::Status broken() {
  return absl::UnavailableError("the connection to the server has broken");
}

absl::Status statusOf(const Response& response) {
  const int code = response.code > 0 && response.code <= 16 ? response.code : 2;
  return absl::Status(static_cast<absl::StatusCode>(code), response.message);
}

int64_t timeoutOf(const CallLimits& limits) {
  using Clock = std::chrono::steady_clock;
  if (limits.deadline == Clock::time_point::max()) return 0;
  const auto left =
      std::chrono::duration_cast<std::chrono::nanoseconds>(limits.deadline - Clock::now());
  return std::max<int64_t>(left.count(), 1);
}

}  // namespace

// A caller that waits.
struct Client::Waiter {
  support::Fd wake;
  std::mutex mutex;
  absl::StatusOr<std::string> result = absl::UnknownError("no response");

  void give(absl::StatusOr<std::string> given) {
    {
      const std::lock_guard lock(mutex);
      result = std::move(given);
    }
    // It can only fail when the counter is full, and then it is readable all the same.
    (void)::eventfd_write(wake.get(), 1);
  }
};

absl::StatusOr<std::shared_ptr<Client>> Client::connect(const std::string& address,
                                                        const CallLimits& limits,
                                                        std::function<void()> onBroken) {
  const std::string doing = strCat("connect to ", address);
  sockaddr_un name{};
  BERTH_ASSIGN_OR_RETURN(const socklen_t size, parseAddress(address, name));
  support::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  support::Fd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!socket || !stop) return support::errnoStatus(errno, doing);
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), size) != 0) {  // NOLINT
    if (errno == ECONNREFUSED) return absl::UnavailableError(strCat(doing, ": nobody listens"));
    if (errno != EAGAIN && errno != EINTR) return support::errnoStatus(errno, doing);
    // A queue of connections that is full tells nobody when it is so no more.
    constexpr auto kLookAgain = std::chrono::milliseconds(5);
    absl::Status paused = waitFor(-1, 0, within(limits, kLookAgain), doing);
    if (!absl::IsDeadlineExceeded(paused) || pollTimeout(limits) == 0) return paused;
  }
  std::shared_ptr<Client> client(
      new Client(std::move(socket), std::move(stop), std::move(onBroken)));
  auto thread = support::startThread([raw = client.get()] { raw->read(); });
  if (!thread.ok()) return support::annotate(thread.status(), doing);
  client->thread_ = *std::move(thread);
  return client;
}

absl::StatusOr<std::string> Client::call(Method method, std::string_view payload,
                                         const CallLimits& limits) {
  const std::string doing = strCat("call ", method.name);
  const auto waiter = std::make_shared<Waiter>();
  waiter->wake.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!waiter->wake) return support::errnoStatus(errno, doing);
  const auto stream =
      send(method, payload, timeoutOf(limits), limits,
           [waiter](absl::StatusOr<std::string> result) { waiter->give(std::move(result)); });
  if (!stream.ok()) return support::annotate(stream.status(), doing);
  absl::Status waited = waitFor(waiter->wake.get(), POLLIN, limits, doing);
  if (!waited.ok()) {
    take(*stream);
    return waited;
  }
  const std::lock_guard lock(waiter->mutex);
  if (!waiter->result.ok()) return support::annotate(waiter->result.status(), doing);
  return std::move(waiter->result);
}

void Client::begin(Method method, std::string_view payload, const CallLimits& limits,
                   const Reply& reply) {
  const auto stream = send(method, payload, 0, limits, reply);
  if (!stream.ok()) reply(stream.status());
}

// The number is taken and the frame is sent under one lock: streams must come in their order.
absl::StatusOr<uint32_t> Client::send(Method method, std::string_view payload, int64_t timeoutNs,
                                      const CallLimits& limits, Reply reply) {
  const std::string data = encode(Request{.service = std::string(method.service),
                                          .method = std::string(method.name),
                                          .payload = std::string(payload),
                                          .timeoutNs = timeoutNs});
  if (data.size() > kMaxData) {
    return absl::ResourceExhaustedError("the request is larger than a frame may be");
  }
  std::unique_lock sending(sending_, std::defer_lock);
  BERTH_RETURN_IF_ERROR(
      support::lockWithin(sending, limits, "wait for another request to be sent"));
  uint32_t stream = 0;
  {
    const std::lock_guard lock(mutex_);
    if (broken_ || nextStream_ > kLastStream) return broken();
    stream = nextStream_;
    nextStream_ += 2;
    pending_.emplace(stream, std::move(reply));
  }
  absl::Status written = write(encodeFrame(stream, FrameType::kRequest, data), limits);
  if (written.ok()) return stream;
  take(stream);
  return written;
}

absl::Status Client::write(std::string_view frame, const CallLimits& limits) {
  const size_t whole = frame.size();
  while (!frame.empty()) {
    const ssize_t count = ::send(socket_.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      frame.remove_prefix(static_cast<size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    const bool full = errno == EAGAIN;
    absl::Status status =
        full ? waitFor(socket_.get(), POLLOUT, limits, "send the request") : broken();
    if (status.ok()) continue;
    // What follows half a frame would be taken for its rest.
    if (!full || frame.size() < whole) ::shutdown(socket_.get(), SHUT_RDWR);
    return status;
  }
  return absl::OkStatus();
}

Client::Reply Client::take(uint32_t stream) {
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(stream);
  if (found == pending_.end()) return nullptr;
  Reply reply = std::move(found->second);
  pending_.erase(found);
  return reply;
}

void Client::read() {
  FrameReader reader(*this);
  std::string buffer(32u << 10, '\0');
  for (;;) {
    pollfd polled[2] = {{.fd = socket_.get(), .events = POLLIN},
                        {.fd = stop_.get(), .events = POLLIN}};
    if (::poll(polled, 2, -1) < 0 && errno != EINTR) break;
    if (polled[1].revents != 0) break;
    if (polled[0].revents == 0) continue;
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count <= 0) break;
    reader.push(std::string_view(buffer).substr(0, static_cast<size_t>(count)));
  }
  breakOff();
}

void Client::breakOff() {
  ::shutdown(socket_.get(), SHUT_RDWR);
  std::map<uint32_t, Reply> left;
  bool expected = false;
  {
    const std::lock_guard lock(mutex_);
    broken_ = true;
    expected = closing_;
    left.swap(pending_);
  }
  for (const auto& [stream, reply] : left) reply(broken());
  if (!expected && onBroken_) onBroken_();
}

// Frames of other types, and of streams that nobody waits for any more, are nothing to us.
void Client::onFrame(const FrameHeader& header, std::string_view data) {
  if (header.type != FrameType::kResponse) return;
  const Reply reply = take(header.stream);
  if (!reply) return;
  Response response;
  if (!decode(data, response)) return reply(absl::InternalError("the response is malformed"));
  if (response.code != 0) return reply(statusOf(response));
  reply(std::move(response.payload));
}

void Client::onOversized(const FrameHeader& header) {
  if (header.type != FrameType::kResponse) return;
  if (const Reply reply = take(header.stream)) {
    reply(absl::ResourceExhaustedError("the response is larger than a frame may be"));
  }
}

bool Client::isBroken() const {
  const std::lock_guard lock(mutex_);
  return broken_;
}

void Client::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  (void)::eventfd_write(stop_.get(), 1);
  if (thread_.joinable()) thread_.join();
}

}  // namespace berth::kata::ttrpc
