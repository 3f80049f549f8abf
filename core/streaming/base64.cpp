#include "streaming/base64.hpp"

#include <absl/strings/escaping.h>

#include "berth/support/status.hpp"

namespace berth::streaming {

std::string encodeBase64(std::string_view bytes) {
  return absl::Base64Escape(support::toAbsl(bytes));
}

absl::StatusOr<std::string> Base64Decoder::feed(std::string_view text, bool last) {
  held_ += text;
  const size_t whole = held_.size() - held_.size() % 4;
  const std::string groups = held_.substr(0, whole);
  held_.erase(0, whole);
  std::string bytes;
  if ((padded_ && !groups.empty()) || (last && !held_.empty()) ||
      !absl::Base64Unescape(groups, &bytes) || groups.find_first_of(" \t\r\n") != groups.npos) {
    return absl::InvalidArgumentError("a message's text is no base64");
  }
  padded_ = groups.ends_with('=');
  return bytes;
}

}  // namespace berth::streaming
