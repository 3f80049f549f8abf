// The disk as the store meets it: which files are synced, and failures to order. Defines system
// calls of the whole program, SQLite's included: for one source file of a test program.
#pragma once

#include <atomic>
#include <cerrno>
#include <dlfcn.h>
#include <filesystem>
#include <string>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace berth::store::testing {

struct DiskFaults {
  std::atomic<int> logSyncs{0};         // of the write-ahead log, failed ones included
  std::atomic<bool> failSyncs{false};   // EIO
  std::atomic<bool> readOnly{false};    // its file systems say so
  std::atomic<bool> holdSyncs{false};   // they last until letSyncsGo()
  std::atomic<bool> failWrites{false};  // to the log: EIO
  std::atomic<int> fullWrites{0};       // that many writes to the log meet a full disk
  std::atomic<off_t> goodUpTo{-1};      // reads of a database from there on fail, unless negative
};
inline DiskFaults disk;

inline void letSyncsGo() {
  disk.holdSyncs = false;
  disk.holdSyncs.notify_all();
}

inline bool endsWith(int fd, const char* end) {
  std::error_code error;
  const auto path =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error).string();
  return path.ends_with(end);
}

inline bool isLog(int fd) {
  return endsWith(fd, "-wal");
}

inline bool isDatabase(int fd) {
  return endsWith(fd, ".db");
}

inline int sync(int fd, long number) {
  if (isLog(fd)) {
    ++disk.logSyncs;
    disk.holdSyncs.wait(true);
    if (disk.failSyncs) {
      errno = EIO;
      return -1;
    }
  }
  return static_cast<int>(::syscall(number, fd));
}

inline ssize_t write(int fd, const void* data, size_t size, off_t position) {
  if (disk.failWrites && isLog(fd)) {
    errno = EIO;
    return -1;
  }
  if (disk.fullWrites > 0 && isLog(fd)) {
    --disk.fullWrites;
    errno = ENOSPC;
    return -1;
  }
  return ::syscall(SYS_pwrite64, fd, data, size, position);
}

inline ssize_t read(int fd, void* data, size_t size, off_t position) {
  if (disk.goodUpTo >= 0 && position >= disk.goodUpTo && isDatabase(fd)) {
    errno = EIO;
    return -1;
  }
  return ::syscall(SYS_pread64, fd, data, size, position);
}

inline int describe(int fd, struct statvfs64* system) {
  using Function = int (*)(int, struct statvfs64*);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "fstatvfs64"));
  const int result = real(fd, system);
  if (disk.readOnly) system->f_flag |= ST_RDONLY;
  return result;
}

}  // namespace berth::store::testing

extern "C" __attribute__((visibility("default"))) int fstatvfs64(int fd, struct statvfs64* system) {
  return berth::store::testing::describe(fd, system);
}
extern "C" __attribute__((visibility("default"))) int fdatasync(int fd) {
  return berth::store::testing::sync(fd, SYS_fdatasync);
}
extern "C" __attribute__((visibility("default"))) int fsync(int fd) {
  return berth::store::testing::sync(fd, SYS_fsync);
}
extern "C" __attribute__((visibility("default"))) ssize_t pwrite64(int fd, const void* data,
                                                                   size_t size, off64_t position) {
  return berth::store::testing::write(fd, data, size, position);
}
extern "C" __attribute__((visibility("default"))) ssize_t pread64(int fd, void* data, size_t size,
                                                                  off64_t position) {
  return berth::store::testing::read(fd, data, size, position);
}
