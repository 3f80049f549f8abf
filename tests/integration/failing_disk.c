/* Preloaded: while the file $BERTH_FAILING_DISK is there, nothing can be written to a write-ahead
 * log of SQLite, as on a disk that is broken. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int fd) {
  static const char kEnd[] = "-wal";
  const char* flag = getenv("BERTH_FAILING_DISK");
  char link[64];
  char path[4096];
  if (flag == NULL || access(flag, F_OK) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path);
  const ssize_t end = sizeof kEnd - 1;
  return size > end && memcmp(path + size - end, kEnd, (size_t)end) == 0;
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  if (fails(fd)) {
    errno = EIO;
    return -1;
  }
  return syscall(SYS_pwrite64, fd, data, size, offset);
}
