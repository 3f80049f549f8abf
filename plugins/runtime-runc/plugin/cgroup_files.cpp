#include "cgroup_files.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "berth/support/status.hpp"

namespace berth::runc {

namespace {

// Some 200 containers' worth; and never more than a quarter of what the process may open.
constexpr rlim_t kMostKept = 4096;
constexpr rlim_t kShare = 4;

// The kernel formats into pages: a read of less than half of one was the whole.
constexpr size_t kSurelyAll = 2048;

std::atomic<rlim_t> keptByAll{0};

bool mayKeepMore() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  return keptByAll.load() < std::min(kMostKept, limit.rlim_cur / kShare);
}

// From `offset` to the end of the file or of the buffer; -1 with errno.
ssize_t readFrom(int fd, std::span<char> buffer, size_t offset) {
  size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got =
        ::pread(fd, buffer.data() + size, buffer.size() - size, static_cast<off_t>(offset + size));
    if (got < 0) return -1;
    size += static_cast<size_t>(got);
    if (got == 0 || size < kSurelyAll) break;
  }
  return static_cast<ssize_t>(size);
}

}  // namespace

bool CgroupFiles::read(const char* name, std::span<char> buffer, std::string_view& text) {
  return readAt(name, 0, buffer, text);
}

uint64_t CgroupFiles::countLines(const char* name, std::span<char> buffer) {
  uint64_t lines = 0;
  std::string_view text;
  for (size_t offset = 0; readAt(name, offset, buffer, text); offset += text.size()) {
    lines += static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
    if (text.size() < buffer.size()) break;
  }
  return lines;
}

bool CgroupFiles::readAt(const char* name, size_t offset, std::span<char> buffer,
                         std::string_view& text) {
  if (directory_.empty()) return false;
  support::Fd once;
  ssize_t size = -1;
  if (const int fd = open(name, once); fd >= 0) size = readFrom(fd, buffer, offset);
  if (size < 0 && errno == ENODEV) {
    // The cgroup was removed; there may be another of that name.
    drop(name);
    if (const int fd = open(name, once); fd >= 0) size = readFrom(fd, buffer, offset);
  }
  if (size < 0) return false;
  text = std::string_view(buffer.data(), static_cast<size_t>(size));
  return true;
}

int CgroupFiles::open(const char* name, support::Fd& once) {
  const std::string_view wanted = name;
  for (const auto& [known, fd] : kept_) {
    if (known == wanted) return fd.get();
  }
  const std::string path = support::strCat(directory_, "/", name);
  once.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!once || !keeps_ || !mayKeepMore()) return once.get();
  kept_.emplace_back(name, std::move(once));
  ++keptByAll;
  return kept_.back().second.get();
}

void CgroupFiles::drop(const char* name) {
  const std::string_view wanted = name;
  keptByAll -= std::erase_if(kept_, [&](const auto& kept) { return kept.first == wanted; });
}

void CgroupFiles::release() {
  keeps_ = false;
  keptByAll -= kept_.size();
  kept_.clear();
}

}  // namespace berth::runc
