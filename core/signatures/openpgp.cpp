#include "signatures/openpgp.hpp"

#include <algorithm>
#include <unistd.h>

#include <climits>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "signatures/openpgp/frames.hpp"

namespace berth::signatures {

using support::strCat;

namespace {

constexpr std::chrono::seconds kLongest{20};

// Programs for this one lie in <prefix>/libexec/berth; a build folder is such a prefix too.
absl::StatusOr<std::string> findProgram() {
  char self[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", self, sizeof self);
  if (size <= 0) return support::errnoStatus(errno, "read the link /proc/self/exe");
  std::string folder(self, static_cast<size_t>(size));
  for (int up = 0; up < 2 && !folder.empty(); ++up) folder.resize(folder.rfind('/'));
  std::string path = folder + "/libexec/berth/berth-openpgp";
  if (::access(path.c_str(), X_OK) != 0)
    return support::errnoStatus(errno, strCat("execute ", path));
  return path;
}

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
    auto found = findProgram();
    if (!found.ok()) return support::annotate(found.status(), "verify OpenPGP signatures");
    program = *std::move(found);
  }
  support::Command command;
  command.argv = {program};
  command.environment.emplace();
  command.directory = "/";
  command.newSession = true;
  support::RunLimits limits = given;
  limits.deadline = std::min(given.deadline, std::chrono::steady_clock::now() + kLongest);
  limits.outputBytes = frames::kMostAnswerBytes;
  auto output = support::run(command, request, limits);
  if (!output.ok()) return support::annotate(output.status(), strCat("run ", program));
  if (output->exitCode == frames::kDone) return std::move(output->standardOutput);
  if (output->exitCode == frames::kRefused)
    return absl::InvalidArgumentError(support::oneLine(output->standardOutput, 512));
  return absl::InternalError(strCat(program, " ended with ", output->exitCode, ": ",
                                    support::oneLine(output->standardError, 512)));
}

}  // namespace berth::signatures
