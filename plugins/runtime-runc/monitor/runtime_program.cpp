#include "runtime_program.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

#include "../protocol/runtime_copy.hpp"
#include "files.hpp"

namespace berth::runc::monitor {

namespace {

// Whose path is that of a descriptor of another process may be anything by now.
bool isSealed(const Fd& file) {
  constexpr int kNeeded = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const int seals = fcntl(file.get(), F_GET_SEALS);
  return seals >= 0 && (seals & kNeeded) == kNeeded;
}

}  // namespace

void RuntimeProgram::open(const protocol::StartRequest& request) {
  path_ = request.runtimePath;
  if (request.runtimeCopy.empty()) return;
  copy_.reset(::open(request.runtimeCopy.c_str(), O_RDONLY | O_CLOEXEC));
  if (copy_ && !isSealed(copy_)) copy_.reset();
}

// A runtime that was replaced on disk is the one that is asked for. One that has moved, with its
// package or by another configuration, is still there for the pods that it began.
bool RuntimeProgram::copyIsCurrent() const {
  if (!copy_) return false;
  struct stat file = {};
  struct stat copy = {};
  if (stat(path_.c_str(), &file) != 0) return errno == ENOENT || errno == ENOTDIR;
  return fstat(copy_.get(), &copy) == 0 && protocol::isCopyOf(copy, file);
}

Status RuntimeProgram::spawn(const std::vector<std::string>& argv, const Stdio& stdio, pid_t& pid) {
  if (copyIsCurrent()) {
    const std::string program = concat({"/proc/self/fd/", Number(copy_.get())});
    // Refused, by a security module for example, it would be again.
    if (isOk(monitor::spawn(program, argv, stdio, pid))) return {};
    copy_.reset();
  }
  return monitor::spawn(path_, argv, stdio, pid);
}

}  // namespace berth::runc::monitor
