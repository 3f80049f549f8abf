#include "sealed_program.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../protocol/runtime_copy.hpp"
#include "berth/support/status.hpp"

namespace berth::runc {

using protocol::isCopyOf;
using support::Fd;

namespace {

#ifndef MFD_EXEC
constexpr unsigned MFD_EXEC = 0x10;  // Linux 6.3
#endif

// Neither more nor fewer: older runtimes compare.
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

bool isBinary(int file) {
  char magic[4];
  return pread(file, magic, sizeof magic, 0) == sizeof magic &&
         std::memcmp(magic, "\177ELF", sizeof magic) == 0;
}

Fd memoryFile() {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  Fd file(memfd_create("runtime", kFlags | MFD_EXEC));
  if (!file && errno == EINVAL) file.reset(memfd_create("runtime", kFlags));
  return file;
}

bool copyAll(int from, int to, off_t size) {
  while (size > 0) {
    const ssize_t count = sendfile(to, from, nullptr, static_cast<size_t>(size));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    size -= count;
  }
  return true;
}

// None when there cannot be one.
Fd sealedCopy(const std::string& program) {
  const Fd file(open(program.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat before = {};
  if (!file || !isBinary(file.get()) || fstat(file.get(), &before) != 0) return {};
  Fd copy = memoryFile();
  if (!copy || !copyAll(file.get(), copy.get(), before.st_size)) return {};
  struct stat after = {};
  const timespec times[] = {{0, UTIME_OMIT}, before.st_mtim};
  // Written to meanwhile, it could be a mixture.
  if (fstat(file.get(), &after) != 0 || !isCopyOf(after, before)) return {};
  if (fchmod(copy.get(), 0555) != 0 || futimens(copy.get(), times) != 0 ||
      fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0) {
    return {};
  }
  return copy;
}

}  // namespace

std::string SealedProgram::pathOf(const std::string& program) {
  const std::lock_guard lock(mutex_);
  struct stat file = {};
  struct stat copy = {};
  const bool current = copy_ && program_ == program && stat(program.c_str(), &file) == 0 &&
                       fstat(copy_.get(), &copy) == 0 && isCopyOf(copy, file);
  if (!current) {
    copy_ = sealedCopy(program);
    program_ = program;
  }
  if (!copy_) return {};
  return support::strCat("/proc/", getpid(), "/fd/", copy_.get());
}

}  // namespace berth::runc
