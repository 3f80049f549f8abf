#include "signatures/openpgp.hpp"

#include <algorithm>
#include <poll.h>
#include <semaphore>
#include <utility>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "common/installed_program.hpp"
#include "signatures/openpgp/frames.hpp"

namespace berth::signatures {

using support::strCat;

namespace {

constexpr std::chrono::seconds kLongest{20};

// However many pulls there are, what others wrote as signatures does not take a node's processors.
constexpr std::ptrdiff_t kMostAtOnce = 2;
std::counting_semaphore<kMostAtOnce> turns(kMostAtOnce);

class Turn {
 public:
  static absl::StatusOr<Turn> take(const support::RunLimits& limits) {
    constexpr std::chrono::milliseconds kLook{50};
    while (!turns.try_acquire_for(kLook)) {
      if (std::chrono::steady_clock::now() >= limits.deadline)
        return absl::DeadlineExceededError("the time for verifying signatures is over");
      pollfd cancel{limits.cancelFd, POLLIN, 0};
      if (limits.cancelFd >= 0 && ::poll(&cancel, 1, 0) > 0)
        return absl::CancelledError("verifying signatures was cancelled");
    }
    return Turn();
  }
  Turn(Turn&& other) noexcept : has_(std::exchange(other.has_, false)) {}
  Turn& operator=(Turn&&) = delete;
  ~Turn() {
    if (has_) turns.release();
  }

 private:
  Turn() = default;
  bool has_ = true;
};

std::string request(char kind, const std::vector<std::string>& keyrings) {
  std::string text(1, kind);
  frames::putNumber(text, keyrings.size());
  for (const std::string& keyring : keyrings) frames::putText(text, keyring);
  return text;
}

}  // namespace

absl::Status OpenPgp::checkKeyrings(const std::vector<std::string>& keyrings,
                                    const support::RunLimits& limits) const {
  return ask(request(frames::kCheckKeyrings, keyrings), limits).status();
}

absl::StatusOr<std::string> OpenPgp::open(const std::vector<std::string>& keyrings,
                                          std::string_view message,
                                          const support::RunLimits& limits) const {
  std::string text = request(frames::kOpen, keyrings);
  frames::putText(text, message);
  return ask(text, limits);
}

absl::StatusOr<std::string> OpenPgp::ask(const std::string& request,
                                         const support::RunLimits& given) const {
  if (request.size() > frames::kMostRequestBytes)
    return absl::InvalidArgumentError(
        strCat("keyrings and signature have more than ", frames::kMostRequestBytes, " bytes"));
  std::string program = program_;
  if (program.empty()) {
    auto found = common::installedProgram("berth-openpgp");
    if (!found.ok()) return support::annotate(found.status(), "verify OpenPGP signatures");
    program = *std::move(found);
  }
  support::Command command;
  command.argv = {program};
  command.environment.emplace();
  command.directory = "/";
  command.newSession = true;
  support::RunLimits limits = given;
  limits.outputBytes = frames::kMostAnswerBytes;
  BERTH_ASSIGN_OR_RETURN(const Turn turn, Turn::take(given));
  limits.deadline = std::min(given.deadline, std::chrono::steady_clock::now() + kLongest);
  auto output = support::run(command, request, limits);
  if (!output.ok()) return support::annotate(output.status(), strCat("run ", program));
  if (output->exitCode == frames::kDone) return std::move(output->standardOutput);
  if (output->exitCode == frames::kRefused)
    return absl::InvalidArgumentError(support::oneLine(output->standardOutput, 512));
  return absl::InternalError(strCat(program, " ended with ", output->exitCode, ": ",
                                    support::oneLine(output->standardError, 512)));
}

}  // namespace berth::signatures
