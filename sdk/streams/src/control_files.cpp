#include "berth/streams/control_files.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "berth/support/fd.hpp"

namespace berth::streams {

using support::Fd;

std::string readOpen(int fd, size_t limit) {
  std::string content;
  char buffer[1024];
  off_t offset = 0;
  while (content.size() < limit) {
    const ssize_t count = pread(fd, buffer, sizeof buffer, offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    content.append(buffer, static_cast<size_t>(count));
    offset += count;
  }
  if (content.size() > limit) content.resize(limit);
  return content;
}

int writeControl(const char* path, std::string_view content) {
  const Fd file(open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) return errno;
  return write(file.get(), content.data(), content.size()) < 0 ? errno : 0;
}

std::string_view takeWord(std::string_view& rest) {
  const size_t begin = rest.find_first_not_of(" \n");
  if (begin == std::string_view::npos) {
    rest = {};
    return {};
  }
  size_t end = rest.find_first_of(" \n", begin);
  if (end == std::string_view::npos) end = rest.size();
  const std::string_view word = rest.substr(begin, end - begin);
  rest.remove_prefix(end);
  return word;
}

}  // namespace berth::streams
