#include "plugin_error.hpp"

#include <algorithm>
#include <string>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"

namespace berth::cni {
namespace {

using support::strCat;

constexpr size_t kQuotedBytes = 1024;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  return text;
}

// Of a long text the beginning, where a crash says what it is, and the end, where a log stops.
std::string inQuotes(std::string_view text) {
  if (text.size() <= kQuotedBytes) return support::validUtf8(text);
  constexpr size_t kHalf = kQuotedBytes / 2;
  return support::validUtf8(
      strCat(support::utf8Prefix(text, kHalf), " [...] ", support::utf8Suffix(text, kHalf)));
}

absl::StatusCode statusCode(int64_t code, std::string_view message) {
  switch (code) {
    case 1:
    case 2:
    case 7:
      return absl::StatusCode::kFailedPrecondition;
    case 3:
      return absl::StatusCode::kNotFound;
    case 11:
    case 50:
    case 51:
      return absl::StatusCode::kUnavailable;
    default:
      break;
  }
  std::string lower(message);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower.find("try again later") != std::string::npos ? absl::StatusCode::kUnavailable
                                                            : absl::StatusCode::kInternal;
}

std::string_view advice(int64_t code) {
  switch (code) {
    case 1:
      return "; the plugin does not speak this cniVersion: offer an older one in cniVersions or "
             "install a newer plugin";
    case 2:
    case 7:
      return "; correct the network's configuration";
    case 51:
      return "; pods that run may have lost connectivity";
    default:
      return "";
  }
}

absl::Status fromObject(std::string_view doing, const boost::json::object& error) {
  const int64_t code = support::intMember(error, "code");
  const std::string message = support::stringMember(error, "msg");
  const std::string details = support::stringMember(error, "details");
  const std::string text =
      strCat(doing, ": ", message.empty() ? "failed without a message" : message,
             details.empty() ? "" : ": ", details, " (CNI error ", code, ")", advice(code));
  return absl::Status(statusCode(code, strCat(message, " ", details)), text);
}

}  // namespace

absl::Status pluginError(std::string_view doing, const support::Output& output) {
  // The error belongs on standard output; some plugins print it on the other one.
  for (const std::string* printed : {&output.standardOutput, &output.standardError}) {
    if (trimmed(*printed).empty()) continue;
    const auto error = support::parseJsonObject(*printed, "error");
    if (error.ok() && (error->contains("code") || error->contains("msg")))
      return fromObject(doing, *error);
  }
  constexpr int kSignalBase = 128;
  const std::string how = output.exitCode > kSignalBase
                              ? strCat("it was killed by signal ", output.exitCode - kSignalBase)
                              : strCat("it ended with exit code ", output.exitCode);
  std::string_view printed = trimmed(output.standardError);
  if (printed.empty()) printed = trimmed(output.standardOutput);
  if (printed.empty()) return absl::InternalError(strCat(doing, ": ", how, " and said nothing"));
  return absl::Status(statusCode(0, printed), strCat(doing, ": ", how, ": ", inQuotes(printed)));
}

}  // namespace berth::cni
