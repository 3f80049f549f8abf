#include "shim_program.hpp"

#include <unistd.h>

#include <absl/strings/strip.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "bootstrap.pb.h"
#include "shim_times.hpp"
#include "task.pb.h"

namespace berth::kata {

using support::strCat;

namespace {

constexpr std::string_view kScheme = "unix://";
constexpr size_t kMaxOutput = 1u << 20;
constexpr size_t kMaxWords = 1024;

std::string_view trimmed(std::string_view text) {
  return support::fromAbsl(absl::StripAsciiWhitespace(support::toAbsl(text)));
}

// The shim's own variables are set; those of ours that it would take for another engine's go.
std::vector<std::string> environmentOf(const ShimCall& call) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable = *entry;
    const std::string_view name = variable.substr(0, variable.find('='));
    if (name != "TTRPC_ADDRESS" && name != "GRPC_ADDRESS" && name != "NAMESPACE" &&
        name != "MAX_SHIM_VERSION" && name != "GOMAXPROCS") {
      result.emplace_back(variable);
    }
  }
  result.emplace_back("GOMAXPROCS=2");
  result.emplace_back("MAX_SHIM_VERSION=2");
  result.push_back(strCat("TTRPC_ADDRESS=", call.eventsAddress));
  result.emplace_back("GRPC_ADDRESS=");
  result.emplace_back("NAMESPACE=default");
  return result;
}

absl::StatusOr<std::string> runShim(const ShimCall& call, const std::string& action,
                                    const CallLimits& limits) {
  support::Command command;
  command.argv = {call.binary,       "-namespace",   "default", "-address", "",
                  "-publish-binary", call.publisher, "-id",     call.id};
  if (call.debug) command.argv.emplace_back("-debug");
  if (action == "delete") command.argv.insert(command.argv.end(), {"-bundle", call.bundle});
  command.argv.push_back(action);
  command.environment = environmentOf(call);
  command.directory = call.bundle;
  command.newSession = true;
  const std::string doing = strCat("run ", call.binary, " ", action);
  const auto output = support::run(
      command, {},
      {.deadline = limits.deadline, .cancelFd = limits.cancelFd, .outputBytes = kMaxOutput});
  if (!output.ok()) return support::annotate(output.status(), doing);
  if (output->exitCode == 0) return output->standardOutput;
  const std::string words = support::oneLine(
      output->standardError.empty() ? output->standardOutput : output->standardError, kMaxWords);
  return absl::InternalError(strCat(doing, ": exit code ", output->exitCode, ": ", words));
}

absl::StatusOr<ShimAddress> checked(std::string address, int64_t version,
                                    std::string_view protocol) {
  if (!protocol.empty() && protocol != "ttrpc") {
    return absl::FailedPreconditionError(
        strCat("the shim speaks ", protocol, "; this plugin speaks ttrpc alone"));
  }
  if (version != 2 && version != 3) {
    return absl::FailedPreconditionError(
        strCat("the shim has version ", version, " of its interface; this plugin has 2 and 3"));
  }
  if (address.empty()) return absl::InternalError("the shim told no address");
  return ShimAddress{std::move(address), static_cast<int>(version)};
}

}  // namespace

absl::StatusOr<ShimAddress> parseStartOutput(std::string_view output) {
  const std::string_view text = trimmed(output);
  if (text.starts_with(kScheme) || text.starts_with('/')) {
    if (text.find_first_of("\n\r") != std::string_view::npos) {
      return absl::InternalError("the shim told more than its address");
    }
    return checked(std::string(text), 2, {});
  }
  if (text.starts_with('{')) {
    BERTH_ASSIGN_OR_RETURN(const auto document,
                           support::parseJsonObject(text, "what the shim wrote"));
    return checked(support::stringMember(document, "address"),
                   support::intMember(document, "version", 2),
                   support::stringMember(document, "protocol"));
  }
  containerd::runtime::bootstrap::v1::BootstrapResult result;
  if (!result.ParseFromArray(output.data(), static_cast<int>(output.size())) ||
      result.address().empty()) {
    return absl::InternalError(
        strCat("what the shim wrote has no address: ", support::oneLine(output, kMaxWords)));
  }
  return checked(result.address(), result.version() == 0 ? 2 : result.version(), result.protocol());
}

absl::StatusOr<ShimAddress> startShim(const ShimCall& call, const CallLimits& limits) {
  BERTH_ASSIGN_OR_RETURN(const std::string output, runShim(call, "start", limits));
  auto address = parseStartOutput(output);
  return address.ok() ? address
                      : support::annotate(address.status(), strCat("run ", call.binary, " start"));
}

absl::StatusOr<ShimExit> cleanUpWithShim(const ShimCall& call, const CallLimits& limits) {
  BERTH_ASSIGN_OR_RETURN(const std::string output, runShim(call, "delete", limits));
  containerd::task::v2::DeleteResponse response;
  if (!response.ParseFromString(output)) {
    return absl::InternalError(strCat("what ", call.binary, " delete wrote is no DeleteResponse"));
  }
  return ShimExit{.pid = response.pid(),
                  .exitCode = static_cast<int>(response.exit_status()),
                  .exitedAt = nanosecondsOf(response.exited_at())};
}

absl::Status removeStaleSocket(const std::string& address) {
  std::string_view path = address;
  if (path.starts_with(kScheme)) path.remove_prefix(kScheme.size());
  // An abstract one is gone with its process.
  return path.starts_with('/') ? support::removePath(std::string(path)) : absl::OkStatus();
}

}  // namespace berth::kata
