#include "lookaside.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::registry {

using support::strCat;

namespace {

constexpr std::string_view kFileScheme = "file://";

void dropSlashes(std::string& path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
}

}  // namespace

absl::StatusOr<Lookaside> parseLookaside(std::string_view text) {
  Lookaside store;
  if (text.starts_with(kFileScheme)) {
    store.folder = text.substr(kFileScheme.size());
    if (!store.folder.starts_with('/') || store.folder.find_first_of("?#%") != std::string::npos)
      return absl::InvalidArgumentError(
          "a file URL has an absolute path: file:///var/lib/sigstore");
    dropSlashes(store.folder);
    if (store.folder.empty()) store.folder = "/.";
    return store;
  }
  BERTH_ASSIGN_OR_RETURN(store.url, parseUrl(text));
  if (!store.url->query.empty())
    return absl::InvalidArgumentError("a lookaside store's URL must not have a query (?…)");
  dropSlashes(store.url->path);
  return store;
}

std::string lookasidePath(std::string_view repository, std::string_view digest, size_t number) {
  const size_t colon = digest.find(':');
  return strCat("/", repository, "@", digest.substr(0, colon), "=", digest.substr(colon + 1),
                "/signature-", number);
}

absl::StatusOr<std::string> readLookaside(const std::string& path, size_t limit) {
  // Without waiting for whoever would write into a pipe.
  BERTH_ASSIGN_OR_RETURN(const support::Fd file, support::openFile(path, O_RDONLY | O_NONBLOCK));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return support::errnoStatus(errno, strCat("stat ", path));
  if (!S_ISREG(info.st_mode))
    return absl::FailedPreconditionError(strCat(path, " is no regular file"));
  return support::readFile(strCat("/proc/self/fd/", file.get()), limit);
}

}  // namespace berth::registry
