#include "engine/checkpoint/log_copy.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::checkpoint {

namespace {
constexpr size_t kPiece = 1u << 20;
}

absl::StatusOr<LogCopy> LogCopy::look(const std::string& path) {
  LogCopy log;
  if (path.empty()) return log;
  auto file = support::openFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (absl::IsNotFound(file.status())) return log;
  BERTH_RETURN_IF_ERROR(file.status());
  struct stat info {};
  if (::fstat(file->get(), &info) != 0) {
    return support::errnoStatus(errno, support::strCat("look at ", path));
  }
  log.file_ = *std::move(file);
  log.size_ = static_cast<uint64_t>(info.st_size);
  return log;
}

absl::Status LogCopy::writeTo(const std::string& path, const Check& check) const {
  if (!file_) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const support::Fd target,
                         support::openFile(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
  std::string buffer(std::min<uint64_t>(kPiece, size_), '\0');
  for (uint64_t copied = 0; copied < size_;) {
    BERTH_RETURN_IF_ERROR(check());
    const ssize_t count =
        ::pread(file_.get(), buffer.data(), std::min<uint64_t>(buffer.size(), size_ - copied),
                static_cast<off_t>(copied));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return support::errnoStatus(errno, support::strCat("read the log to copy it to ", path));
    }
    if (count == 0) break;  // somebody has cut it short
    BERTH_RETURN_IF_ERROR(
        support::writeAll(target.get(), {buffer.data(), static_cast<size_t>(count)}));
    copied += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

}  // namespace berth::checkpoint
