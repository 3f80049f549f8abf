#include "engine/loopback.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::engine {

using support::Fd;
using support::strCat;
using Clock = std::chrono::steady_clock;

namespace {

// A loopback address answers at once, unless what listens there no longer accepts.
constexpr std::chrono::seconds kPatience{5};

int millisecondsUntil(Clock::time_point time) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1 << 30));
}

// 0, or why the connection that is under way failed.
int finishConnect(int socket, Clock::time_point until) {
  pollfd wait{socket, POLLOUT, 0};
  int ready = 0;
  do {
    ready = ::poll(&wait, 1, millisecondsUntil(until));
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return errno;
  if (ready == 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

absl::StatusOr<Fd> connectTo(const sockaddr* address, socklen_t size, Clock::time_point until) {
  Fd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return absl::UnavailableError(std::strerror(errno));
  int error = ::connect(socket.get(), address, size) == 0 ? 0 : errno;
  if (error == EINPROGRESS || error == EINTR) error = finishConnect(socket.get(), until);
  if (error != 0) return absl::UnavailableError(std::strerror(error));
  const int on = 1;
  // What is forwarded is often a conversation: it must not wait for more to come.
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::fcntl(socket.get(), F_SETFL, 0) != 0) {
    return support::errnoStatus(errno, "make a socket blocking");
  }
  return socket;
}

}  // namespace

absl::StatusOr<Fd> connectLoopback(uint16_t port, Clock::time_point deadline) {
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto first = connectTo(reinterpret_cast<const sockaddr*>(&four), sizeof four,
                         std::min(deadline, Clock::now() + kPatience));
  if (first.ok()) return first;
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  six.sin6_addr = in6addr_loopback;
  auto second = connectTo(reinterpret_cast<const sockaddr*>(&six), sizeof six,
                          std::min(deadline, Clock::now() + kPatience));
  if (second.ok()) return second;
  return absl::UnavailableError(strCat("127.0.0.1:", port, ": ", first.status().message(),
                                       "; [::1]:", port, ": ", second.status().message()));
}

absl::StatusOr<Fd> connectLoopbackIn(const std::string& path, uint16_t port,
                                     Clock::time_point deadline) {
  auto name = support::openFile(path, O_RDONLY | O_CLOEXEC);
  if (!name.ok()) {
    return absl::FailedPreconditionError(
        strCat("its network namespace cannot be opened: ", name.status().message()));
  }
  Fd connected;
  // A thread that has entered a namespace is used for nothing else.
  BERTH_RETURN_IF_ERROR(support::onOwnThread([&]() -> absl::Status {
    if (::setns(name->get(), CLONE_NEWNET) != 0) {
      return absl::FailedPreconditionError(
          strCat("its network namespace ", path, " cannot be entered: ", std::strerror(errno)));
    }
    BERTH_ASSIGN_OR_RETURN(connected, connectLoopback(port, deadline));
    return absl::OkStatus();
  }));
  return connected;
}

}  // namespace berth::engine
