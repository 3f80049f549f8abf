// How much a pipe holds, without waiting for who writes into it.
#pragma once

#include <poll.h>
#include <sys/ioctl.h>

namespace berth::support {

// Bytes that the reading end of a pipe holds; -1 when it is none that can tell. FIONREAD alone
// takes the pipe's lock, and who splices into the pipe (sendfile(2), as BusyBox's cat does) keeps
// that for as long as the file lets it wait: uninterruptibly, for ever when its storage is gone.
inline int bytesIn(int pipe) {
  pollfd state{.fd = pipe, .events = POLLIN, .revents = 0};
  if (::poll(&state, 1, 0) == 0) return 0;
  int present = 0;
  return ::ioctl(pipe, FIONREAD, &present) == 0 ? present : -1;
}

}  // namespace berth::support
