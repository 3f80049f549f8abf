#include "config/secrets.hpp"

#include <algorithm>
#include <iterator>
#include <string>

namespace berth::config {
namespace {

namespace bj = boost::json;

constexpr std::string_view kSecretWords[] = {"password", "secret", "token", "auth", "credentials"};

bool speaksOfSecret(std::string_view name) {
  const size_t separator = name.find_last_of("_-");
  const std::string_view last =
      separator == std::string_view::npos ? name : name.substr(separator + 1);
  return std::find(std::begin(kSecretWords), std::end(kSecretWords), last) !=
         std::end(kSecretWords);
}

// RFC 3986, section 3.2: what stands before the "@" of an authority.
std::string withoutUserInformation(std::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return std::string(text);
  const size_t begin = scheme + 3;
  const size_t at = text.substr(0, text.find_first_of("/?#", begin)).rfind('@');
  if (at == std::string_view::npos || at < begin) return std::string(text);
  return std::string(text.substr(0, begin)).append(kHidden).append(text.substr(at));
}

// All that is in it.
bj::value hidden(const bj::value& value) {
  if (const auto* text = value.if_string()) {
    const bool shown = text->empty() || text->front() == '/';
    return shown ? value : bj::value(kHidden);
  }
  if (const auto* list = value.if_array()) {
    bj::array result;
    for (const bj::value& one : *list) result.push_back(hidden(one));
    return result;
  }
  if (const auto* object = value.if_object()) {
    bj::object result;
    for (const auto& [name, one] : *object) result[name] = hidden(one);
    return result;
  }
  return value;
}

}  // namespace

bj::value withoutSecrets(const bj::value& value) {
  if (const auto* text = value.if_string()) return bj::value(withoutUserInformation(*text));
  if (const auto* list = value.if_array()) {
    bj::array result;
    for (const bj::value& one : *list) result.push_back(withoutSecrets(one));
    return result;
  }
  if (const auto* object = value.if_object()) {
    bj::object result;
    for (const auto& [name, one] : *object)
      result[name] = name == "headers" || speaksOfSecret(name) ? hidden(one) : withoutSecrets(one);
    return result;
  }
  return value;
}

Value withoutSecrets(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return withoutUserInformation(*text);
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    std::vector<std::string> result;
    for (const std::string& one : *list) result.push_back(withoutUserInformation(one));
    return result;
  }
  if (const auto* options = std::get_if<bj::object>(&value))
    return withoutSecrets(bj::value(*options)).get_object();
  return value;
}

}  // namespace berth::config
