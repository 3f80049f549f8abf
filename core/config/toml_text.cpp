#include "config/toml_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "berth/support/status.hpp"

namespace berth::config {
namespace {

using support::strCat;

std::string_view viewOf(const boost::json::string& text) {
  return {text.data(), text.size()};
}

bool isBare(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

std::string inlineTable(const boost::json::object& object) {
  std::string text = "{";
  for (const auto& member : object) {
    text += text.size() > 1 ? ", " : " ";
    text += strCat(keyText(std::string_view(member.key().data(), member.key().size())), " = ",
                   valueText(member.value()));
  }
  return text + (object.empty() ? "}" : " }");
}

}  // namespace

std::string quote(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string result = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        result += "\\\"";
        break;
      case '\\':
        result += "\\\\";
        break;
      case '\b':
        result += "\\b";
        break;
      case '\t':
        result += "\\t";
        break;
      case '\n':
        result += "\\n";
        break;
      case '\f':
        result += "\\f";
        break;
      case '\r':
        result += "\\r";
        break;
      default:
        if (const auto byte = static_cast<unsigned char>(c); byte < 0x20 || byte == 0x7f) {
          result += "\\u00";
          result += kDigits[byte >> 4];
          result += kDigits[byte & 15];
        } else {
          result += c;
        }
    }
  }
  return result + '"';
}

std::string keyText(std::string_view key) {
  return isBare(key) ? std::string(key) : quote(key);
}

std::string floatText(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  std::array<char, 64> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  std::string text(buffer.data(), error == std::errc() ? end : buffer.data());
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string arrayText(const std::vector<std::string>& elements) {
  std::string text = "[";
  for (const std::string& element : elements) {
    if (text.size() > 1) text += ", ";
    text += quote(element);
  }
  return text + "]";
}

std::string valueText(const boost::json::value& value) {
  if (const auto* text = value.if_string()) return quote(viewOf(*text));
  if (const auto* number = value.if_int64()) return strCat(*number);
  if (const auto* number = value.if_uint64()) return strCat(*number);
  if (const auto* number = value.if_double()) return floatText(*number);
  if (const auto* flag = value.if_bool()) return *flag ? "true" : "false";
  if (const auto* object = value.if_object()) return inlineTable(*object);
  std::string text = "[";
  if (const auto* array = value.if_array())
    for (const boost::json::value& element : *array) {
      if (text.size() > 1) text += ", ";
      text += valueText(element);
    }
  return text + "]";
}

std::string tableText(const boost::json::object& object, const std::string& path) {
  std::string text = strCat("[", path, "]\n");
  std::string below;
  for (const auto& member : object) {
    const std::string key = keyText(std::string_view(member.key().data(), member.key().size()));
    if (const auto* inner = member.value().if_object()) {
      below += strCat("\n", tableText(*inner, strCat(path, ".", key)));
    } else {
      text += strCat(key, " = ", valueText(member.value()), "\n");
    }
  }
  return text + below;
}

}  // namespace berth::config
