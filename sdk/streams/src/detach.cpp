#include "berth/streams/detach.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace berth::streams {

support::Fd detach(support::Fd starter) {
  constexpr int kPlace = 3;
  if (starter.get() != kPlace) {
    dup3(starter.get(), kPlace, O_CLOEXEC);
    starter.reset();
  }
  static_cast<void>(starter.release());
  syscall(SYS_close_range, kPlace + 1u, ~0u, 0u);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < kPlace; ++fd) dup2(null, fd);
  close(null);
  if (chdir("/") != 0) _exit(1);
  umask(022);
  return support::Fd(kPlace);
}

}  // namespace berth::streams
