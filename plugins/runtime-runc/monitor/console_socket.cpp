#include "console_socket.hpp"

#include <cerrno>
#include <sys/ioctl.h>
#include <unistd.h>

#include "berth/support/steps.hpp"
#include "streams.hpp"

namespace berth::runc::monitor {

ConsoleSocket::~ConsoleSocket() {
  if (listener_) support::steps::unlinkat(context_.runDir.get(), name_.c_str(), 0);
}

Status ConsoleSocket::open() {
  name_ = concat({"console-", Number(context_.nextSerial())});
  return listenAt(context_.runDir.get(), name_, SOCK_STREAM, listener_);
}

std::string ConsoleSocket::path() const {
  return concat({"/proc/", Number(context_.facts.monitorPid), "/fd/", Number(context_.runDir.get()),
                 "/", name_});
}

Status ConsoleSocket::take(Fd& terminal) {
  const Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  char name[256];
  size_t count = 0;
  if (!connection ||
      receiveWithFds(connection.get(), name, sizeof name, &terminal, 1, count) <= 0 || count != 1) {
    return failure(Code::kInternal,
                   {"the OCI runtime handed over no terminal: the bundle's config.json (or "
                    "process.json) must have process.terminal set when a terminal is asked for"});
  }
  return {};
}

void setTerminalSize(int terminal, uint16_t width, uint16_t height) {
  if (width == 0 && height == 0) return;
  winsize size{};
  size.ws_col = width;
  size.ws_row = height;
  ioctl(terminal, TIOCSWINSZ, &size);
}

}  // namespace berth::runc::monitor
