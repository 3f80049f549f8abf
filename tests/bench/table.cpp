// The report as Markdown tables whose columns also line up in a terminal.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "report.hpp"

namespace berth::bench {
namespace {

using Line = std::vector<std::string>;

// Three or so significant digits: more would pretend a precision that a run does not have.
std::string format(double value) {
  const double size = std::fabs(value);
  if (size >= 100) return absl::StrFormat("%.0f", value);
  if (size >= 10) return absl::StrFormat("%.1f", value);
  if (size >= 1) return absl::StrFormat("%.2f", value);
  return absl::StrFormat("%.3f", value);
}

std::string cell(const std::string& text, size_t width, bool first) {
  const std::string padding(width - std::min(width, text.size()), ' ');
  return first ? absl::StrCat(" ", text, padding, " |") : absl::StrCat(" ", padding, text, " |");
}

// The first line is the head; the first column is set flush left, the others flush right.
std::string layOut(const std::vector<Line>& lines) {
  std::vector<size_t> widths(lines.front().size(), 3);
  for (const Line& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (size_t number = 0; number < lines.size(); ++number) {
    text += "|";
    for (size_t i = 0; i < widths.size(); ++i) text += cell(lines[number][i], widths[i], i == 0);
    text += "\n";
    if (number != 0) continue;
    text += "|";
    for (size_t i = 0; i < widths.size(); ++i) {
      absl::StrAppend(&text, std::string(widths[i] + 1, '-'), i == 0 ? "-|" : ":|");
    }
    text += "\n";
  }
  return text;
}

// The subjects that the section has values of, in the report's order.
std::vector<std::string> columnsOf(const Section& section, const Report& report) {
  std::vector<std::string> columns;
  for (const SubjectInfo& subject : report.subjects) {
    const bool present =
        std::any_of(section.rows().begin(), section.rows().end(),
                    [&](const Row& row) { return row.of(subject.name) != nullptr; });
    if (present) columns.push_back(subject.name);
  }
  return columns;
}

std::string medians(const Section& section, const Report& report,
                    const std::vector<std::string>& columns) {
  std::vector<std::string> compared;
  if (std::find(columns.begin(), columns.end(), report.baseline) != columns.end()) {
    std::copy_if(columns.begin(), columns.end(), std::back_inserter(compared),
                 [&](const std::string& column) { return column != report.baseline; });
  }
  Line head{"median", "unit"};
  head.insert(head.end(), columns.begin(), columns.end());
  for (const std::string& column : compared) {
    head.push_back(absl::StrCat(column, " / ", report.baseline));
  }
  std::vector<Line> lines{head};
  for (const Row& row : section.rows()) {
    Line line{row.name, row.unit};
    for (const std::string& column : columns) {
      const std::vector<double>* values = row.of(column);
      line.push_back(values == nullptr ? "-" : format(summarize(*values).median));
    }
    for (const std::string& column : compared) {
      const double ratio = medianRatio(row, column, report.baseline);
      line.push_back(ratio > 0 ? absl::StrFormat("%.2f", ratio) : "-");
    }
    lines.push_back(line);
  }
  return layOut(lines);
}

// Empty when no row has more than one value.
std::string spread(const Section& section, const std::vector<std::string>& columns) {
  std::vector<Line> lines{{"spread", "of", "unit", "rounds", "min", "median", "p90", "p99", "max"}};
  for (const Row& row : section.rows()) {
    for (const std::string& column : columns) {
      const std::vector<double>* values = row.of(column);
      if (values == nullptr || values->size() < 2) continue;
      const Summary summary = summarize(*values);
      lines.push_back({row.name, column, row.unit, absl::StrCat(summary.count),
                       format(summary.minimum), format(summary.median), format(summary.p90),
                       format(summary.p99), format(summary.maximum)});
    }
  }
  return lines.size() == 1 ? std::string() : layOut(lines);
}

}  // namespace

std::string toMarkdown(const Report& report) {
  std::string text;
  for (const auto& [fact, value] : report.machine) absl::StrAppend(&text, fact, ": ", value, "\n");
  for (const SubjectInfo& subject : report.subjects) {
    absl::StrAppend(&text, subject.name, ": ", subject.description, "\n");
  }
  for (const Section& section : report.sections) {
    if (section.rows().empty()) continue;
    const std::vector<std::string> columns = columnsOf(section, report);
    absl::StrAppend(&text, "\n## ", section.title(), "\n\n", medians(section, report, columns));
    const std::string details = spread(section, columns);
    if (!details.empty()) absl::StrAppend(&text, "\n", details);
    for (const std::string& note : section.notes()) absl::StrAppend(&text, "\n", note, "\n");
  }
  if (!report.failures.empty()) absl::StrAppend(&text, "\n## Failed calls\n\n");
  for (const std::string& failure : report.failures) absl::StrAppend(&text, "- ", failure, "\n");
  return text;
}

}  // namespace berth::bench
