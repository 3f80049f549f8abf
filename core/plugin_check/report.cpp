#include "plugin_check/report.hpp"

#include <algorithm>
#include <cstdio>

#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"

namespace berth::check {

using support::strCat;

namespace {

size_t countOf(const std::vector<Result>& results, Outcome outcome) {
  return static_cast<size_t>(
      std::count_if(results.begin(), results.end(),
                    [&](const Result& result) { return result.outcome == outcome; }));
}

std::string seconds(std::chrono::milliseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", static_cast<double>(time.count()) / 1000);
  return text;
}

std::string indented(std::string_view text, std::string_view before) {
  std::string result;
  for (const auto line : absl::StrSplit(support::toAbsl(text), '\n', absl::SkipEmpty())) {
    result += strCat(before, support::fromAbsl(line), "\n");
  }
  return result;
}

// XML 1.0 has no way to write most control characters.
std::string escaped(std::string_view text) {
  std::string valid = support::validUtf8(text);
  for (char& c : valid) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') c = '?';
  }
  return absl::StrReplaceAll(
      valid, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"\n", "&#10;"}});
}

std::string testCase(const Result& result) {
  const std::string reasons = escaped(absl::StrJoin(result.reasons, "\n"));
  std::string xml =
      strCat("    <testcase classname=\"", result.check.name.substr(0, result.check.name.find('.')),
             "\" name=\"", result.check.name, "\" time=\"", seconds(result.took), "\">\n");
  if (result.outcome == Outcome::kFailed)
    xml += strCat("      <failure message=\"", reasons, "\"/>\n");
  if (result.outcome == Outcome::kSkipped)
    xml += strCat("      <skipped message=\"", reasons, "\"/>\n");
  if (result.outcome == Outcome::kWarned)
    xml += strCat("      <system-out>", reasons, "</system-out>\n");
  if (!result.errors.empty())
    xml += strCat("      <system-err>", escaped(result.errors), "</system-err>\n");
  return xml + "    </testcase>\n";
}

}  // namespace

std::string tableRow(const Result& result, size_t nameWidth) {
  std::string name(result.check.name);
  name.resize(std::max(nameWidth, name.size()), ' ');
  std::string outcome(outcomeName(result.outcome));
  outcome.resize(8, ' ');
  std::string time = seconds(result.took);
  time.insert(0, time.size() < 7 ? 7 - time.size() : 0, ' ');
  std::string text = strCat(name, "  ", outcome, time, " s");
  // Further lines stand below the first one's beginning.
  const std::string margin = strCat("\n", std::string(nameWidth + 21, ' '));
  if (!result.reasons.empty()) {
    text +=
        strCat("  ", absl::StrReplaceAll(absl::StrJoin(result.reasons, "\n"), {{"\n", margin}}));
  }
  text += "\n";
  if (result.outcome == Outcome::kFailed && !result.errors.empty())
    text += indented(result.errors, "    | ");
  return text;
}

std::string summary(const std::vector<Result>& results) {
  std::string text =
      strCat(countOf(results, Outcome::kPassed) + countOf(results, Outcome::kWarned), " passed");
  if (const size_t warned = countOf(results, Outcome::kWarned); warned > 0)
    text += strCat(" (", warned, " with warnings)");
  return strCat(text, ", ", countOf(results, Outcome::kFailed), " failed, ",
                countOf(results, Outcome::kSkipped), " skipped");
}

std::string junit(const std::string& suite, const std::vector<Result>& results) {
  std::chrono::milliseconds all{0};
  for (const Result& result : results) all += result.took;
  std::string xml =
      strCat("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"",
             escaped(suite), "\" tests=\"", results.size(), "\" failures=\"",
             countOf(results, Outcome::kFailed), "\" errors=\"0\" skipped=\"",
             countOf(results, Outcome::kSkipped), "\" time=\"", seconds(all), "\">\n");
  for (const Result& result : results) xml += testCase(result);
  return xml + "  </testsuite>\n</testsuites>\n";
}

std::string checkList(const std::vector<Check>& checks) {
  std::string text;
  for (const Check& check : checks) {
    text += strCat(check.name, "\n    ", check.meaning, "\n    ", check.rule, "\n");
  }
  return text;
}

}  // namespace berth::check
