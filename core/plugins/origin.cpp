#include "plugins/origin.hpp"

#include "berth/support/status.hpp"
#include "common/refusal.hpp"

namespace berth::plugins {

using support::fromAbsl;
using support::strCat;

namespace {

constexpr std::string_view kOption = "option ";

// The PATH of "option PATH: REASON"; empty when the line is none. A quoted part of it may hold
// anything.
std::string_view optionPath(std::string_view line) {
  if (!line.starts_with(kOption)) return {};
  bool quoted = false;
  for (size_t i = kOption.size(); i < line.size(); ++i) {
    if (line[i] == '\\' && quoted) {
      ++i;
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && line.substr(i, 2) == ": ") {
      return line.substr(kOption.size(), i - kOption.size());
    } else if (!quoted && line[i] == ' ') {
      return {};
    }
  }
  return {};
}

std::string locateLine(const Origin& origin, std::string_view doing, std::string_view line) {
  const std::string_view path = optionPath(line);
  if (!path.empty()) {
    return strCat(origin.place.ofOption(path), ": ", origin.table, ".options.",
                  line.substr(kOption.size()));
  }
  return strCat(origin.place.text, ": ", origin.table, ": ", doing, doing.empty() ? "" : ": ",
                line);
}

}  // namespace

std::string locate(const Origin& origin, std::string_view doing, std::string_view message,
                   std::string_view after) {
  std::string text;
  for (;;) {
    const size_t end = message.find('\n');
    text += strCat(locateLine(origin, doing, message.substr(0, end)), after);
    if (end == std::string_view::npos) return text;
    text += '\n';
    message.remove_prefix(end + 1);
  }
}

absl::Status locate(const Origin& origin, std::string_view doing, const absl::Status& status,
                    std::string_view after) {
  if (status.ok()) return status;
  absl::Status located(status.code(), locate(origin, doing, fromAbsl(status.message()), after));
  return common::isRefusal(status) ? common::refusal(std::move(located)) : located;
}

}  // namespace berth::plugins
