#include "report.hpp"

#include <algorithm>

namespace berth::bench {
namespace {

boost::json::object toJson(const std::vector<double>& values) {
  const Summary summary = summarize(values);
  return {{"count", summary.count}, {"median", summary.median},
          {"min", summary.minimum}, {"max", summary.maximum},
          {"mean", summary.mean},   {"p90", summary.p90},
          {"p99", summary.p99},     {"values", boost::json::value_from(values)}};
}

boost::json::object toJson(const Row& row, const std::string& baseline) {
  boost::json::object results;
  boost::json::object ratios;
  for (const auto& [subject, values] : row.values) {
    results[subject] = toJson(values);
    const double ratio = medianRatio(row, subject, baseline);
    if (subject != baseline && ratio > 0) ratios[subject] = ratio;
  }
  return {{"name", row.name}, {"unit", row.unit}, {"results", results}, {"ratios", ratios}};
}

boost::json::object toJson(const Section& section, const std::string& baseline) {
  boost::json::array rows;
  for (const Row& row : section.rows()) rows.push_back(toJson(row, baseline));
  return {{"name", section.name()},
          {"title", section.title()},
          {"rows", rows},
          {"notes", boost::json::value_from(section.notes())}};
}

}  // namespace

const std::vector<double>* Row::of(absl::string_view subject) const {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [&](const auto& entry) { return entry.first == subject; });
  return found == values.end() ? nullptr : &found->second;
}

void Section::add(absl::string_view row, absl::string_view unit, absl::string_view subject,
                  double value) {
  auto place = std::find_if(rows_.begin(), rows_.end(), [&](const Row& candidate) {
    return candidate.name == row && candidate.unit == unit;
  });
  if (place == rows_.end()) {
    place = rows_.insert(rows_.end(), Row{std::string(row), std::string(unit), {}});
  }
  auto column = std::find_if(place->values.begin(), place->values.end(),
                             [&](const auto& entry) { return entry.first == subject; });
  if (column == place->values.end()) {
    column = place->values.insert(place->values.end(), {std::string(subject), {}});
  }
  column->second.push_back(value);
}

double medianRatio(const Row& row, absl::string_view numerator, absl::string_view denominator) {
  const std::vector<double>* above = row.of(numerator);
  const std::vector<double>* below = row.of(denominator);
  if (above == nullptr || below == nullptr) return 0;
  const double divisor = summarize(*below).median;
  return divisor == 0 ? 0 : summarize(*above).median / divisor;
}

boost::json::object toJson(const Report& report) {
  boost::json::object machine;
  for (const auto& [fact, value] : report.machine) machine[fact] = value;
  boost::json::array subjects;
  for (const SubjectInfo& subject : report.subjects) {
    subjects.push_back({{"name", subject.name}, {"description", subject.description}});
  }
  boost::json::array sections;
  for (const Section& section : report.sections) {
    sections.push_back(toJson(section, report.baseline));
  }
  return {{"schema", 1},          {"machine", machine},
          {"subjects", subjects}, {"baseline", report.baseline},
          {"sections", sections}, {"failures", boost::json::value_from(report.failures)}};
}

}  // namespace berth::bench
