#include "host_local.hpp"

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>

#include "berth/support/address.hpp"
#include "berth/support/aside.hpp"
#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::cni {
namespace {

using support::strCat;

// Both are host-local's (its documentation, "Files").
constexpr std::string_view kDefaultDirectory = "/var/lib/cni/networks";
constexpr std::string_view kLock = "lock";

constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::milliseconds kLookAgain{20};

bool isEmptyFile(const std::string& path) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  const auto content = support::readFile(path);
  return content.ok() && support::isCutOff(*content);
}

absl::StatusOr<std::vector<std::string>> emptyOnes(const std::string& directory) {
  BERTH_ASSIGN_OR_RETURN(std::vector<std::string> names, support::listDirectory(directory));
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    std::string path = strCat(directory, "/", name);
    if (support::isAddress(name) && isEmptyFile(path)) paths.push_back(std::move(path));
  }
  return paths;
}

// Held by whoever gives out or takes back an address.
absl::StatusOr<support::Fd> lock(const std::string& directory) {
  const std::string path = strCat(directory, "/", kLock);
  BERTH_ASSIGN_OR_RETURN(support::Fd file, support::openFile(path, O_RDWR | O_CREAT, 0600));
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return support::errnoStatus(errno, strCat("lock ", path));
    if (std::chrono::steady_clock::now() > until)
      return absl::UnavailableError(strCat("lock ", path, ": another program holds it"));
    std::this_thread::sleep_for(kLookAgain);
  }
  return file;
}

absl::Status release(const std::string& directory, std::vector<std::string>& released) {
  auto seen = emptyOnes(directory);
  if (absl::IsNotFound(seen.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(seen.status());
  if (seen->empty()) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const support::Fd locked, lock(directory));
  // One that was just being written is not empty any more.
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> empty, emptyOnes(directory));
  support::StatusCollector failures;
  for (const std::string& path : empty) {
    const absl::Status removed = support::removePath(path);
    if (removed.ok()) released.push_back(path);
    failures.add(removed);
  }
  return failures.status();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> releaseEmptyReservations(const NetworkConfig& network) {
  std::vector<std::string> released;
  support::StatusCollector failures;
  for (const PluginConfig& plugin : network.plugins) {
    const boost::json::object* ipam = support::objectMember(plugin.object, "ipam");
    if (ipam == nullptr || support::stringMember(*ipam, "type") != "host-local") continue;
    std::string directory = support::stringMember(*ipam, "dataDir");
    if (directory.empty()) directory = kDefaultDirectory;
    failures.add(release(strCat(directory, "/", network.name), released));
  }
  BERTH_RETURN_IF_ERROR(failures.status());
  return released;
}

}  // namespace berth::cni
