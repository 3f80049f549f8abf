// berth-openpgp: answers one question about OpenPGP keys and a message (frames.hpp), without any
// rights, for berthd, which has all of them.
#include <array>
#include <cerrno>
#include <grp.h>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "frames.hpp"
#include "keyring.hpp"

namespace {

using berth::signatures::Keyring;
namespace frames = berth::signatures::frames;

constexpr id_t kNobody = 65534;
[[maybe_unused]] constexpr rlim_t kMostSeconds = 2;
[[maybe_unused]] constexpr rlim_t kMostMemory = 512u << 20;

bool limit(__rlimit_resource resource, rlim_t value) {
  const rlimit both{value, value};
  return ::setrlimit(resource, &both) == 0;
}

// Before anything of others' is looked at. What a container leaves to root may lack the
// capabilities to become somebody else, and with them most of what makes root dangerous.
absl::Status giveUpRights() {
  if (::geteuid() == 0) {
    const bool changed = ::setgroups(0, nullptr) == 0 &&
                         ::setresgid(kNobody, kNobody, kNobody) == 0 &&
                         ::setresuid(kNobody, kNobody, kNobody) == 0;
    if (!changed && errno != EPERM && errno != EINVAL)
      return berth::support::errnoStatus(errno, "become nobody");
  }
  bool limited = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                 ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && limit(RLIMIT_CORE, 0);
#ifndef BERTH_SANITIZED  // whose threads and shadow memory these do not allow
  // No files and no processes; a bomb of a message ends this process and nothing else.
  limited = limited && limit(RLIMIT_CPU, kMostSeconds) && limit(RLIMIT_AS, kMostMemory) &&
            limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_NOFILE, 0) && limit(RLIMIT_NPROC, 0);
#endif
  return limited ? absl::OkStatus() : berth::support::errnoStatus(errno, "give up rights");
}

absl::StatusOr<std::string> readRequest() {
  std::string request;
  std::array<char, 64u << 10> piece;
  for (;;) {
    const ssize_t size = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (size == 0) return request;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return berth::support::errnoStatus(errno, "read the request");
    if (request.size() + static_cast<size_t>(size) > frames::kMostRequestBytes)
      return absl::InvalidArgumentError("the request is too large");
    request.append(piece.data(), static_cast<size_t>(size));
  }
}

bool writeAll(int target, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(target, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    text.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

absl::StatusOr<std::string> answer(Keyring& keyring) {
  BERTH_ASSIGN_OR_RETURN(const std::string request, readRequest());
  absl::Status malformed = absl::InternalError("the request is malformed");
  std::string_view rest = request;
  if (rest.empty()) return malformed;
  const char kind = rest.front();
  rest.remove_prefix(1);
  const auto keyrings = frames::takeNumber(rest);
  if (!keyrings) return malformed;
  for (size_t i = 0; i < *keyrings; ++i) {
    const auto one = frames::takeText(rest);
    if (!one) return malformed;
    const absl::Status added = keyring.add(*one);
    if (!added.ok())
      return berth::support::annotate(added,
                                      berth::support::strCat("keyring ", i + 1, " of ", *keyrings));
  }
  if (kind == frames::kCheckKeyrings && rest.empty()) return std::string();
  const auto message = frames::takeText(rest);
  if (kind != frames::kOpen || !message || !rest.empty()) return malformed;
  return keyring.open(*message);
}

int run() {
  Keyring keyring;
  // Opens the source of random numbers.
  absl::Status ready = keyring.start();
  if (ready.ok()) ready = giveUpRights();
  const absl::StatusOr<std::string> result =
      ready.ok() ? answer(keyring) : absl::StatusOr<std::string>(ready);
  if (result.ok()) return writeAll(STDOUT_FILENO, *result) ? frames::kDone : frames::kFailed;
  const std::string reason(result.status().message());
  const bool refused = absl::IsInvalidArgument(result.status());
  if (!writeAll(refused ? STDOUT_FILENO : STDERR_FILENO, reason)) return frames::kFailed;
  return refused ? frames::kRefused : frames::kFailed;
}

}  // namespace

int main() {
  return run();
}
