// A cgroup's control files, kept open between reads: opening costs five times what reading does.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/support/fd.hpp"

namespace berth::runc {

// Takes no more than a share of the descriptors the process may have; past that, files are opened
// for each read. Not thread-safe.
class CgroupFiles {
 public:
  explicit CgroupFiles(std::string directory) : directory_(std::move(directory)) {}
  CgroupFiles(const CgroupFiles&) = delete;
  CgroupFiles& operator=(const CgroupFiles&) = delete;
  ~CgroupFiles() { release(); }

  // The content as far as `buffer` holds it; `text` views into it. False when there is no such
  // file. `name` is a literal.
  bool read(const char* name, std::span<char> buffer, std::string_view& text);
  // The lines of the file, however many; 0 when there is no such file.
  uint64_t countLines(const char* name, std::span<char> buffer);
  const std::string& directory() const { return directory_; }
  // Keeps nothing open from here on: an open file holds on to what a removed cgroup used.
  void release();

 private:
  bool readAt(const char* name, size_t offset, std::span<char> buffer, std::string_view& text);
  // -1 when it does not exist. `once` owns it when it is not kept.
  int open(const char* name, support::Fd& once);
  void drop(const char* name);

  std::string directory_;
  std::vector<std::pair<const char*, support::Fd>> kept_;
  bool keeps_ = true;
};

}  // namespace berth::runc
