// Whether containers can be checkpointed on this host.
#include <sys/stat.h>

#include <boost/json/serialize.hpp>

#include "berth/support/criu.hpp"
#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "features.hpp"

namespace berth::runc {

using support::strCat;

namespace {

// Far more than it takes; a host under load must not lose its checkpoints until the next boot.
constexpr auto kCheckTime = std::chrono::seconds(60);

// Which CRIU was asked: another one is asked anew.
std::string identity() {
  const auto path = findBinary("criu");
  struct stat info {};
  if (!path.ok() || ::stat(path->c_str(), &info) != 0) return {};
  return strCat(*path, " ", info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec);
}

}  // namespace

absl::Status probeCheckpoints(const RuntimeFeatures& features, const std::string& cache) {
  if (!features.checkpoints) {
    return absl::FailedPreconditionError(
        strCat(features.binary, " ", features.version, " was built without checkpoints (CRIU)"));
  }
  const std::string criu = identity();
  if (criu.empty()) {
    return absl::FailedPreconditionError("criu is not installed: not found in PATH");
  }
  const auto text = support::readFile(cache);
  const auto known = text.ok() ? support::parseJsonObject(*text, cache)
                               : absl::StatusOr<boost::json::object>(text.status());
  if (known.ok() && support::stringMember(*known, "criu") == criu) {
    const std::string reason = support::stringMember(*known, "reason");
    return reason.empty() ? absl::OkStatus() : absl::FailedPreconditionError(reason);
  }
  absl::Status checked =
      support::checkCriu({.deadline = std::chrono::steady_clock::now() + kCheckTime});
  const boost::json::object answer{{"criu", criu},
                                   {"reason", support::fromAbsl(checked.message())}};
  // Without the file the question is asked again at the next start.
  support::replaceFile(cache, boost::json::serialize(answer), 0600, support::Durability::kVisible)
      .IgnoreError();
  return checked;
}

}  // namespace berth::runc
