// The measurements of a run, and their two forms: tables for people, JSON for programs.
// Not thread-safe: suites that measure in threads add their values after joining them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <absl/strings/string_view.h>
#include <boost/json.hpp>

#include "statistics.hpp"

namespace berth::bench {

// One line of a table: a quantity, with the values measured for each subject (an engine, or the
// bare programs).
struct Row {
  std::string name;
  std::string unit;
  // In the order in which subjects first appeared.
  std::vector<std::pair<std::string, std::vector<double>>> values;

  // Null when the subject has none.
  const std::vector<double>* of(absl::string_view subject) const;
};

// What one suite found. Rows stand in the order in which they were first added to.
class Section {
 public:
  Section(std::string name, std::string title) : name_(std::move(name)), title_(std::move(title)) {}

  void add(absl::string_view row, absl::string_view unit, absl::string_view subject, double value);
  // A sentence printed under the table: a method, a limitation.
  void note(std::string text) { notes_.push_back(std::move(text)); }

  const std::string& name() const { return name_; }
  const std::string& title() const { return title_; }
  const std::vector<Row>& rows() const { return rows_; }
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  std::string name_;
  std::string title_;
  std::vector<Row> rows_;
  std::vector<std::string> notes_;
};

struct SubjectInfo {
  std::string name;
  std::string description;  // engine and version as the engine gives them
};

struct Report {
  std::vector<std::pair<std::string, std::string>> machine;  // fact, value
  std::vector<SubjectInfo> subjects;                         // the tables' columns, in order
  std::string baseline;  // the subject that ratios are taken to; empty for none
  std::vector<Section> sections;
  std::vector<std::string> failures;  // calls that failed; a run without any succeeded
};

// Markdown: for each section a table of medians with ratios to the baseline, and one of the
// spread (number of values, minimum, p90, p99, maximum).
std::string toMarkdown(const Report& report);

// The same with every single value; "schema" is 1.
boost::json::object toJson(const Report& report);

// `numerator` median over `denominator` median; 0 when either is missing or the latter is 0.
double medianRatio(const Row& row, absl::string_view numerator, absl::string_view denominator);

}  // namespace berth::bench
