#include "signatures/openpgp.hpp"

#include <algorithm>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "common/installed_program.hpp"
#include "signatures/openpgp/frames.hpp"

namespace berth::signatures {

using support::strCat;

namespace {

constexpr std::chrono::seconds kLongest{20};

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
