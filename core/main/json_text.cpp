#include "main/json_text.hpp"

#include <boost/json/serialize.hpp>

#include "common/terminal.hpp"

namespace berth::program {

namespace json = boost::json;

namespace {

void write(const json::value& value, size_t depth, std::string& text) {
  const auto line = [&text](size_t indent) { text += "\n" + std::string(2 * indent, ' '); };
  if (value.is_object() && !value.get_object().empty()) {
    const char* before = "{";
    for (const auto& [key, member] : value.get_object()) {
      text += before;
      line(depth + 1);
      text += json::serialize(json::value(key)) + ": ";
      write(member, depth + 1, text);
      before = ",";
    }
    line(depth);
    text += "}";
  } else if (value.is_array() && !value.get_array().empty()) {
    const char* before = "[";
    for (const json::value& element : value.get_array()) {
      text += before;
      line(depth + 1);
      write(element, depth + 1, text);
      before = ",";
    }
    line(depth);
    text += "]";
  } else {
    text += json::serialize(value);
  }
}

}  // namespace

std::string jsonText(const json::value& value) {
  std::string text;
  write(value, 0, text);
  return common::jsonForTerminal(text) + "\n";
}

}  // namespace berth::program
