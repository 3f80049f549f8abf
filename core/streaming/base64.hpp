// Base64 in pieces (RFC 4648, section 4).
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace berth::streaming {

std::string encodeBase64(std::string_view bytes);

// Decodes one text that comes in pieces cut anywhere.
class Base64Decoder {
 public:
  // What can be decoded so far. INVALID_ARGUMENT when it is no base64, or when the last piece
  // leaves it incomplete.
  absl::StatusOr<std::string> feed(std::string_view text, bool last);

 private:
  std::string held_;  // less than a group of four
  bool padded_ = false;
};

}  // namespace berth::streaming
