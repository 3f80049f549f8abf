#include "error_body.hpp"

#include <vector>

#include "berth/support/json.hpp"
#include "berth/support/utf8.hpp"
#include "text.hpp"

namespace berth::registry {
namespace {

constexpr size_t kTextLimit = 256;
constexpr size_t kErrorsShown = 3;

std::string joined(const std::string& code, const std::string& message) {
  if (code.empty() || message.empty()) return code + message;
  return code + ": " + message;
}

void append(std::string& result, const std::string& text) {
  if (text.empty()) return;
  if (!result.empty()) result += "; ";
  result += text;
}

std::string describeDocument(const boost::json::object& document) {
  std::string result;
  if (const boost::json::array* errors = support::arrayMember(document, "errors")) {
    for (size_t i = 0; i < errors->size() && i < kErrorsShown; ++i)
      if (const boost::json::object* error = (*errors)[i].if_object())
        append(result, joined(support::stringMember(*error, "code"),
                              support::stringMember(*error, "message")));
  }
  if (result.empty())
    result = joined(support::stringMember(document, "error"),
                    support::stringMember(document, "error_description"));
  if (result.empty())
    result =
        joined(support::stringMember(document, "code"), support::stringMember(document, "message"));
  if (result.empty()) result = support::stringMember(document, "details");
  return result;
}

}  // namespace

std::string describeErrorBody(std::string_view body, std::string_view contentType) {
  const auto document = support::parseJsonObject(body, "an error body");
  if (document.ok()) return support::oneLine(describeDocument(*document), kTextLimit);
  const std::string type = lowerAscii(contentType);
  const bool markup = type.find("html") != std::string::npos ||
                      type.find("xml") != std::string::npos || trimmed(body).substr(0, 1) == "<";
  const bool data = type.find("octet-stream") != std::string::npos;
  return markup || data ? std::string() : support::oneLine(body, kTextLimit);
}

}  // namespace berth::registry
