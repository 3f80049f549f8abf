#include "common/service_manager.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "berth/support/fd.hpp"
#include "berth/support/status.hpp"

namespace berth::common {

namespace {

using support::strCat;

// The variable's value, which is gone from the environment afterwards; empty when there is none.
std::string take(const char* name) {
  const char* value = ::getenv(name);
  std::string taken = value != nullptr ? value : "";
  ::unsetenv(name);
  return taken;
}

std::optional<int64_t> numberOf(const std::string& text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end || number <= 0) return std::nullopt;
  return number;
}

// Whatever is in the text, the manager reads one assignment of it.
std::string statusLine(std::string_view text) {
  std::string line = strCat("STATUS=", text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

}  // namespace

ServiceManager ServiceManager::fromEnvironment() {
  ServiceManager manager;
  manager.socket_ = take("NOTIFY_SOCKET");
  const auto microseconds = numberOf(take("WATCHDOG_USEC"));
  const std::string watched = take("WATCHDOG_PID");
  // Without a number whoever reads it is meant.
  const bool meansThis = watched.empty() || numberOf(watched) == ::getpid();
  if (microseconds && meansThis && !manager.socket_.empty())
    manager.patience_ = std::chrono::microseconds(*microseconds);
  return manager;
}

absl::Status ServiceManager::working(std::string_view status,
                                     std::chrono::microseconds time) const {
  return send(strCat("EXTEND_TIMEOUT_USEC=", time.count(), "\n", statusLine(status)),
              Delivery::kAtOnce);
}

absl::Status ServiceManager::ready(std::string_view status) const {
  return send(strCat("READY=1\n", statusLine(status)));
}

absl::Status ServiceManager::stopping(std::string_view status) const {
  return send(strCat("STOPPING=1\n", statusLine(status)));
}

absl::Status ServiceManager::alive() const {
  return send("WATCHDOG=1");
}

absl::Status ServiceManager::send(const std::string& message, Delivery delivery) const {
  if (socket_.empty()) return absl::OkStatus();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const bool known = socket_.front() == '/' || socket_.front() == '@';
  if (!known || socket_.size() >= sizeof address.sun_path)
    return absl::InvalidArgumentError(
        strCat("NOTIFY_SOCKET is \"", socket_, "\", which is no address of a Unix socket"));
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  // A name that is no path begins with a zero (unix(7), "abstract").
  if (socket_.front() == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  const support::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return support::errnoStatus(errno, "make a socket to the service manager");
  const timeval patience{.tv_sec = 1, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const int flags = MSG_NOSIGNAL | (delivery == Delivery::kAtOnce ? MSG_DONTWAIT : 0);
  if (::sendto(fd.get(), message.data(), message.size(), flags,
               reinterpret_cast<const sockaddr*>(&address), length) < 0)
    return support::errnoStatus(errno, strCat("tell the service manager on ", socket_));
  return absl::OkStatus();
}

}  // namespace berth::common
