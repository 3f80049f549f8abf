#include "files.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/steps.hpp"

namespace berth::runc::monitor {

using support::Fd;
namespace steps = support::steps;

std::string readSmall(int directory, const char* path, size_t limit, Part part) {
  const Fd file(openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) return {};
  std::string content;
  char buffer[1024];
  if (part == Part::kTail) {
    const off_t size = lseek(file.get(), 0, SEEK_END);
    const off_t start = size > static_cast<off_t>(limit) ? size - static_cast<off_t>(limit) : 0;
    lseek(file.get(), start, SEEK_SET);
  }
  while (content.size() < limit) {
    const ssize_t count = read(file.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    content.append(buffer, static_cast<size_t>(count));
  }
  if (content.size() > limit) content.resize(limit);
  return content;
}

int writeFully(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = write(fd, data.data(), data.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    data.remove_prefix(static_cast<size_t>(count));
  }
  return 0;
}

Status replaceSmall(int directory, const std::string& name, std::string_view content) {
  const size_t base = name.rfind('/') + 1;
  const std::string beside = concat({name.substr(0, base), ".", name.substr(base)});
  Fd file(steps::createat(directory, beside.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return errnoFailure(errno, {"create ", beside, " in the run folder"});
  const int error = writeFully(file.get(), content);
  file.reset();
  if (error != 0 || steps::renameat(directory, beside.c_str(), directory, name.c_str()) != 0) {
    const int reason = error != 0 ? error : errno;
    steps::unlinkat(directory, beside.c_str(), 0);
    return errnoFailure(reason, {"write ", name, " in the run folder"});
  }
  return {};
}

Status makeParents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    if (steps::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
      return errnoFailure(errno, {"make the folder ", folder});
    }
  }
  return {};
}

}  // namespace berth::runc::monitor
